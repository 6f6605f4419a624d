package sink

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/meshc/meshc/render/manifest"
)

func text(s string) []byte { return []byte(manifest.Header + s + "\n") }

// contents are the files below a directory.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		below, _ := filepath.Rel(dir, name)
		out[filepath.ToSlash(below)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func replace(t *testing.T, dir string, known map[string]Stamp, spare *Spare, files []File) ([]Difference,
	map[string]Stamp,
) {
	t.Helper()
	tree, err := Open(dir, known)
	if err != nil {
		t.Fatal(err)
	}
	differences, stamps, err := tree.Replace(files, spare)
	if err != nil {
		t.Fatal(err)
	}
	return differences, stamps
}

func TestReplaceWritesChangesAndRemoves(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "out")
	replace(t, dir, nil, nil, []File{{"a/one.yaml", text("1")}, {"a/two.yaml", text("2")}, {"b/three.yaml", text("3")}})
	differences, _ := replace(t, dir, nil, nil, []File{
		{"a/one.yaml", text("1")},
		{"a/two.yaml", text("two")},
		{"c/four.yaml", text("4")},
	})
	want := []Difference{{"a/two.yaml", "different"}, {"b/three.yaml", "stale"}, {"c/four.yaml", "missing"}}
	if !slices.Equal(differences, want) {
		t.Errorf("got %v, want %v", differences, want)
	}
	got := contents(t, dir)
	if len(got) != 3 || got["a/two.yaml"] != string(text("two")) || got["c/four.yaml"] != string(text("4")) {
		t.Errorf("got %v", got)
	}
	if _, err := os.Stat(filepath.Join(dir, "b")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory b is still there: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(dir), ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestReplaceTouchesNothingTwice(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	files := []File{{"one.yaml", text("1")}}
	replace(t, dir, nil, nil, files)
	before, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if differences, _ := replace(t, dir, nil, nil, files); len(differences) > 0 {
		t.Errorf("a second run changes %v", differences)
	}
	after, err := os.Stat(dir)
	if err != nil || !os.SameFile(before, after) || before.ModTime() != after.ModTime() {
		t.Errorf("a second run replaced the directory: %v", err)
	}
}

func TestOpenRefusesForeignFiles(t *testing.T) {
	for name, make := range map[string]func(dir string) error{
		"a file of the user's": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("mine"), 0o644)
		},
		"an empty file": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "empty.yaml"), nil, 0o644)
		},
		"a link": func(dir string) error {
			return os.Symlink("/etc/passwd", filepath.Join(dir, "x.yaml"))
		},
		"a repository": func(dir string) error {
			return errors.Join(os.Mkdir(filepath.Join(dir, ".git"), 0o755),
				os.WriteFile(filepath.Join(dir, ".git", "HEAD"), []byte("ref"), 0o644))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := make(dir); err != nil {
				t.Fatal(err)
			}
			_, err := Open(dir, nil)
			var foreign *ForeignError
			if !errors.As(err, &foreign) || len(foreign.Files) != 1 {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestReplaceLeavesAllAsItWasWhenItFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	replace(t, dir, nil, nil, []File{{"a.yaml", text("1")}})
	before := contents(t, dir)
	for _, files := range [][]File{
		{{"a.yaml", text("2")}, {"b", text("a file")}, {"b/c.yaml", text("below a file")}},
		{{"a.yaml", text("2")}, {"../escape.yaml", text("outside")}},
		{{"a.yaml", text("2")}, {"/escape.yaml", text("outside")}},
		{{"a.yaml", text("2")}, {"A.yaml", text("the same where case does not count")}},
	} {
		tree, err := Open(dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := tree.Replace(files, nil); err == nil {
			t.Errorf("%s was written", files[len(files)-1].Path)
		}
		if after := contents(t, dir); len(after) != 1 || after["a.yaml"] != before["a.yaml"] {
			t.Errorf("the directory has changed: %v", after)
		}
		if left := contents(t, filepath.Dir(dir)); len(left) != 1 {
			t.Errorf("left behind: %v", left)
		}
	}
}

// TestSpareMakesTheSameTree replaces a tree many times, with a spare tree and by
// hand edited files in between, and wants exactly the files each time.
func TestSpareMakesTheSameTree(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	dir := filepath.Join(t.TempDir(), "out")
	spare := &Spare{Dir: filepath.Join(t.TempDir(), "spare")}
	var known map[string]Stamp
	borrowed := 0
	for round := range 60 {
		var files []File
		want := map[string]string{}
		for i := range 12 {
			if random.IntN(4) == 0 {
				continue
			}
			name := fmt.Sprintf("d%d/f%d.yaml", i%3, i)
			data := text(fmt.Sprint(random.IntN(3)))
			files = append(files, File{name, data})
			want[name] = string(data)
		}
		if round%5 == 4 { // somebody edits a file in place
			for name := range contents(t, dir) {
				f, err := os.OpenFile(filepath.Join(dir, name), os.O_APPEND|os.O_WRONLY, 0)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := f.WriteString("edited by hand\n"); err != nil {
					t.Fatal(err)
				}
				if err := f.Close(); err != nil {
					t.Fatal(err)
				}
				break
			}
		}
		if _, err := os.Stat(spare.Dir); err == nil {
			borrowed++
		}
		_, known = replace(t, dir, known, spare, files)
		got := contents(t, dir)
		if len(got) != len(want) {
			t.Fatalf("round %d: %d files, want %d", round, len(got), len(want))
		}
		for name, data := range want {
			if got[name] != data {
				t.Fatalf("round %d: %s is %q, want %q", round, name, got[name], data)
			}
		}
	}
	if borrowed < 30 {
		t.Errorf("the spare tree was there in %d rounds only", borrowed)
	}
}
