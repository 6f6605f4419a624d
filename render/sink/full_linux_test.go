package sink

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestReplaceWhenNothingMoreCanBeWritten bounds the size of files, which to a
// writer is as a disk that is full: it writes some, and then no more.
func TestReplaceWhenNothingMoreCanBeWritten(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "out")
	replace(t, dir, nil, nil, []File{{"a.yaml", text("1")}, {"b.yaml", text("1")}})
	tree, err := Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
			t.Error(err)
		}
	})
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 64 << 10, Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	_, _, err = tree.Replace([]File{{"a.yaml", text("2")}, {"b.yaml", bytes.Repeat(text("2"), 64<<10)}}, nil)
	if want := dir + " cannot be written and is as it was: file too large"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if got := contents(t, dir); got["a.yaml"] != string(text("1")) || got["b.yaml"] != string(text("1")) {
		t.Errorf("it holds %v", got)
	}
	left, err := os.ReadDir(parent)
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
