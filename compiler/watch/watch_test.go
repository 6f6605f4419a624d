package watch

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// watch watches the directories from now on.
func watch(t *testing.T, directories ...string) *Watcher {
	t.Helper()
	w, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	// What was made for the test a moment ago is not a change.
	if err := w.Set(directories, time.Now().Add(2*grain)); err != nil {
		t.Fatal(err)
	}
	return w
}

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
	w := watch(t, root, filepath.Join(root, "gone"))

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
	w := watch(t, a, b)
	if err := w.Set([]string{b}, time.Now()); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(a, "one"))
	write(t, filepath.Join(b, "two"))
	changed(t, w, "a file that is watched")
	if list := w.notify.WatchList(); len(list) != 1 || list[0] != b {
		t.Errorf("watched: %v, want %s alone", list, b)
	}
}

// What happens while a repository is read, before it is watched, is not lost.
func TestChangeBeforeTheWatch(t *testing.T) {
	root := t.TempDir()
	file := filepath.Join(root, "mesh.cue")
	write(t, file)
	long := time.Now().Add(-time.Hour)
	for _, name := range []string{file, root} {
		if err := os.Chtimes(name, long, long); err != nil {
			t.Fatal(err)
		}
	}
	w, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := w.Set([]string{root}, time.Now()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-w.Changes():
		t.Fatal("nothing had changed")
	default:
	}

	other := t.TempDir()
	began := time.Now()
	write(t, filepath.Join(other, "late.cue"))
	if err := w.Set([]string{root, other}, began); err != nil {
		t.Fatal(err)
	}
	changed(t, w, "a file that was written before its directory was watched")
}

// A directory that takes the place of another is watched in its stead.
func TestDirectoryExchanged(t *testing.T) {
	root := t.TempDir()
	spec, next := filepath.Join(root, "spec"), filepath.Join(root, "next")
	for _, name := range []string{spec, next} {
		if err := os.Mkdir(name, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	w := watch(t, spec)
	if err := os.Rename(spec, filepath.Join(root, "old")); err != nil {
		t.Fatal(err)
	}
	changed(t, w, "the directory's end")
	if err := os.Rename(next, spec); err != nil {
		t.Fatal(err)
	}
	if err := w.Set([]string{spec}, time.Now().Add(2*grain)); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(spec, "mesh.cue"))
	changed(t, w, "a file in the directory that took its place")
}
