package watch

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func write(t *testing.T, name string) {
	t.Helper()
	if err := os.WriteFile(name, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
}

func changed(t *testing.T, w *Watcher, what string) {
	t.Helper()
	select {
	case <-w.Changes():
	case <-time.After(10 * time.Second):
		t.Fatalf("no word of %s", what)
	}
}

func TestChanges(t *testing.T) {
	root := t.TempDir()
	w, err := New([]string{root, filepath.Join(root, "gone")})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()

	file := filepath.Join(root, "mesh.cue")
	write(t, file)
	changed(t, w, "a new file")
	write(t, file)
	changed(t, w, "a changed file")
	if err := os.Rename(file, file+".old"); err != nil {
		t.Fatal(err)
	}
	changed(t, w, "a renamed file")

	below := filepath.Join(root, "services")
	if err := os.Mkdir(below, 0o755); err != nil {
		t.Fatal(err)
	}
	changed(t, w, "a new directory")
	write(t, filepath.Join(below, "service.cue"))
	changed(t, w, "a file in a new directory")
}

func TestDirectoryNoLongerWatched(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	w, err := New([]string{a, b})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := w.Set([]string{b}); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(a, "one"))
	write(t, filepath.Join(b, "two"))
	changed(t, w, "a file that is watched")
	if list := w.notify.WatchList(); len(list) != 1 || list[0] != b {
		t.Errorf("watched: %v, want %s alone", list, b)
	}
}
