package serve_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/serve"
)

// TestUnchangedEndpointsFilesAreNotRead changes one of many files in each way in which programs write files, and wants
// that one to be read and no other.
func TestUnchangedEndpointsFilesAreNotRead(t *testing.T) {
	const good = `[{"address": "10.0.0.1"}]`
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rename := func(from, to string) {
		t.Helper()
		if err := os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 20 {
		write(fmt.Sprintf("s%02d.json", i), good)
	}
	link := filepath.Join(dir, "link.json")
	write("first", good)
	write("second", good)
	if err := os.Symlink("first", link); err != nil {
		t.Fatal(err)
	}
	files := serve.NewEndpointFiles(dir)
	now := time.Now()
	// The files are long settled whenever it looks.
	reads := func(want string, wrong int) {
		t.Helper()
		now = now.Add(time.Hour)
		names, errors := files.Changed(now)
		if got := strings.Join(names, " "); got != want || len(errors) != wrong {
			t.Errorf("%q is read, want %q; errors %q", got, want, errors)
		}
	}
	if names, wrong := files.Changed(now); len(names) != 21 || wrong != nil {
		t.Fatalf("%q are read at first, errors %q", names, wrong)
	}
	if names, _ := files.Changed(now); len(names) != 21 {
		t.Errorf("files that may still change without a trace are not read again: %q", names)
	}
	_, _ = files.Changed(now.Add(time.Hour))
	reads("", 0)
	later(t, dir)
	write("s07.json", `[{"address": "10.0.0.2"}]`) // in place, with the same length
	reads("s07.json", 0)
	reads("", 0)
	write("new", good)
	rename("new", "s08.json")
	reads("s08.json", 0)
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("second", link); err != nil {
		t.Fatal(err)
	}
	reads("link.json", 0)
	write("s09.json", "nonsense")
	reads("", 1)
	reads("", 1) // it stays wrong
	later(t, dir)
	write("s09.json", good)
	reads("s09.json", 0)
	if err := os.Remove(filepath.Join(dir, "s10.json")); err != nil {
		t.Fatal(err)
	}
	reads("", 0)
	write("s10.json", good)
	reads("s10.json", 0)
	all, _ := serve.NewEndpointFiles(dir).Changed(now)
	if len(all) != 21 || slices.Contains(all, "second") {
		t.Errorf("there are %q", all)
	}
}

// later waits until files that are written have another time than those that were written before.
func later(t *testing.T, dir string) {
	t.Helper()
	probe := filepath.Join(dir, ".probe")
	written := func() time.Time {
		if err := os.WriteFile(probe, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(probe)
		if err != nil {
			t.Fatal(err)
		}
		return info.ModTime()
	}
	before := written()
	eventually(t, "the clock of the file system goes on", func() bool { return written().After(before) })
}
