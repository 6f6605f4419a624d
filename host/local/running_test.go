package local

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestServerOf looks for the server of a spec's mesh among meshes that run, have ended, or are somebody else's.
func TestServerOf(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	running := func(announcement string) *temporary {
		t.Helper()
		mesh, err := newTemporary()
		must(err)
		t.Cleanup(func() { _ = mesh.remove() })
		must(os.WriteFile(filepath.Join(mesh.dir, announcementFile), []byte(announcement), 0o600))
		return mesh
	}
	finds := func(want, when string) {
		t.Helper()
		if got := ServerOf("/specs/shop"); got != want {
			t.Errorf("%s: the server is %q, want %q", when, got, want)
		}
		// It has written no state, so that it is found and cannot be read.
		if _, err := Find("/specs/shop"); errors.Is(err, fs.ErrNotExist) != (want != "") {
			t.Errorf("%s: finding it says %v", when, err)
		}
	}
	finds("", "nothing runs")
	running(`{"spec": "/specs/bank", "server": "127.0.0.2:1"}`)
	running(`{`)
	finds("", "others run")
	mesh := running(`{"spec": "/specs/shop", "server": "127.0.0.3:1"}`)
	finds("127.0.0.3:1", "it runs")
	second := running(`{"spec": "/specs/shop", "server": "127.0.0.4:1"}`)
	finds("", "it runs twice")
	must(second.remove())
	must(os.Chmod(mesh.dir, 0o755))
	finds("", "its directory is open to others")
	must(os.Chmod(mesh.dir, 0o700))
	must(mesh.lock.Close()) // as when the process is killed
	finds("", "it has ended")
}
