package local

import (
	"os"
	"path/filepath"
	"testing"
)

// The next mesh removes what a dead one has left, and that alone.
func TestDeadDirectoriesAreRemoved(t *testing.T) {
	parent, elsewhere := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", parent)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	// left is a directory as a mesh that was killed leaves it.
	left := func(name string, mode os.FileMode) string {
		dir := filepath.Join(parent, name)
		must(os.Mkdir(dir, 0o700))
		must(os.MkdirAll(filepath.Join(dir, "certificates"), 0o700))
		must(os.WriteFile(filepath.Join(dir, "certificates", "tls.key"), []byte("key"), 0o600))
		must(os.WriteFile(filepath.Join(dir, lockFile), nil, 0o600))
		must(os.Chmod(dir, mode))
		return dir
	}
	running, err := newTemporary()
	must(err)
	dead := left(temporaryPrefix+"dead", 0o700)
	must(os.WriteFile(filepath.Join(elsewhere, "precious"), nil, 0o600))
	must(os.WriteFile(filepath.Join(elsewhere, lockFile), nil, 0o600))
	must(os.Symlink(elsewhere, filepath.Join(dead, "link")))

	stay := []string{
		running.dir,
		filepath.Join(elsewhere, "precious"),
		left(temporaryPrefix+"open-to-others", 0o755),
		left("somebody-elses", 0o700),
	}
	link := filepath.Join(parent, temporaryPrefix+"link")
	must(os.Symlink(elsewhere, link))
	unmarked := left(temporaryPrefix+"unmarked", 0o700)
	must(os.Remove(filepath.Join(unmarked, lockFile)))
	lockIsLink := left(temporaryPrefix+"lock-is-a-link", 0o700)
	must(os.Remove(filepath.Join(lockIsLink, lockFile)))
	must(os.Symlink(filepath.Join(elsewhere, lockFile), filepath.Join(lockIsLink, lockFile)))
	stay = append(stay, link, unmarked, lockIsLink)

	next, err := newTemporary()
	must(err)
	if _, err := os.Lstat(dead); !os.IsNotExist(err) {
		t.Errorf("what a dead mesh has left is there: %v", err)
	}
	for _, name := range stay {
		if _, err := os.Lstat(name); err != nil {
			t.Errorf("%v: that is not what a dead mesh has left", err)
		}
	}
	must(next.remove())
	if _, err := os.Lstat(next.dir); !os.IsNotExist(err) {
		t.Errorf("a mesh that has ended leaves its directory: %v", err)
	}
	must(running.remove())
}
