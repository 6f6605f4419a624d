package main

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
)

// TestPartsFindWhatTheWholeFinds compiles each package of the wrong specs by itself: what they find together is what
// the whole finds, so that nothing is nobody's, and nothing is found that is not so. A part has a mesh where the whole
// has one alone.
func TestPartsFindWhatTheWholeFinds(t *testing.T) {
	files, err := filepath.Glob("../../testdata/wrong/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	cache := t.TempDir()
	parts := 0
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		layOut(t, dir, archive)
		packages := packagesOf(t, dir)
		if len(packages) < 3 {
			continue
		}
		whole := compileIn(t, dir, cache)
		want := map[string]bool{}
		for _, d := range whole.Diagnostics {
			want[fmt.Sprint(d)] = true
		}
		got := map[string]bool{}
		for _, name := range packages {
			part := compileIn(t, dir, cache, "./"+name)
			if part.Part != nil {
				parts++
			}
			if part.Mesh != nil && whole.Mesh == nil && whole.Failing == nil {
				t.Errorf("%s: %s has a mesh, and the whole has none", file, name)
			}
			for _, d := range part.Diagnostics {
				if d.Code != diag.RestIsWrong {
					got[fmt.Sprint(d)] = true
				}
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: the parts find\n%s\nand the whole\n%s", file, strings.Join(slices.Sorted(maps.Keys(got)),
				"\n"), strings.Join(slices.Sorted(maps.Keys(want)), "\n"))
		}
	}
	if parts < 20 {
		t.Errorf("there were %d parts", parts)
	}
}

// packagesOf are the directories that have CUE files.
func packagesOf(t *testing.T, dir string) []string {
	found := map[string]bool{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(name, ".cue") && !strings.HasPrefix(name, "cue.mod/") {
			found[path.Dir(name)] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(maps.Keys(found))
}

func compileIn(t *testing.T, dir, cache string, packages ...string) *compiler.Result {
	t.Helper()
	r, err := compiler.Compile(t.Context(), compiler.Options{Dir: dir, Patterns: packages, CacheDir: cache})
	if err != nil {
		t.Fatal(err)
	}
	return r
}
