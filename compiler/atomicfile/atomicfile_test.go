package atomicfile_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/meshc/meshc/compiler/atomicfile"
)

// TestReplace writes all or nothing, and leaves nothing else behind.
func TestReplace(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "file")
	write := func(text string, fails error) error {
		return atomicfile.Replace(name, 0o640, func(f *os.File) error {
			_, err := f.WriteString(text)
			return errors.Join(err, fails)
		})
	}
	if err := write("old", nil); err != nil {
		t.Fatal(err)
	}
	full := errors.New("the disk is full")
	if err := write("half of the new", full); !errors.Is(err, full) {
		t.Errorf("it fails with %v", err)
	}
	if data, err := os.ReadFile(name); err != nil || string(data) != "old" {
		t.Errorf("after a failure it says %q, %v", data, err)
	}
	if err := write("new", nil); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(name)
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("it has the mode %v, %v", info.Mode(), err)
	}
	if data, err := os.ReadFile(name); err != nil || string(data) != "new" {
		t.Errorf("it says %q, %v", data, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("there are %v, %v", left, err)
	}
	if err := atomicfile.Replace(dir, 0o600, func(*os.File) error { return nil }); err == nil {
		t.Error("a file takes the place of a directory")
	}
}

// TestKeep makes directories, and takes no harm where it cannot.
func TestKeep(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a", "b")
	atomicfile.Keep(name, []byte("kept"))
	atomicfile.Keep(filepath.Join(name, "c"), []byte("below a file"))
	if data, err := os.ReadFile(name); err != nil || string(data) != "kept" {
		t.Errorf("it keeps %q, %v", data, err)
	}
}
