package compiler_test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/tools/txtar"

	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/compiler/spec"
)

// TestPrint prints the spec of every feature, and reads the same from what it printed.
func TestPrint(t *testing.T) {
	files, err := filepath.Glob("../testdata/feature/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no features: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			written := map[string]string{}
			for _, f := range archive.Files {
				if !strings.HasPrefix(f.Name, "want/") {
					written[f.Name] = string(f.Data)
				}
			}
			first := repository(t, written)
			text, err := spec.Print(first)
			if err != nil {
				t.Fatal(err)
			}
			second := repository(t, map[string]string{"mesh.cue": "package shop\n\n" + string(text)})
			if diff := cmp.Diff(first, second, cmpopts.IgnoreTypes(spec.Pos(0)), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("what was printed says something else:\n%s\n%s", diff, text)
			}
		})
	}
}

// repository is what the files say, all units in one.
func repository(t *testing.T, files map[string]string) *spec.Repository {
	t.Helper()
	dir := t.TempDir()
	files["cue.mod/module.cue"] = "module: \"shop.example/mesh@v0\"\nlanguage: version: \"v0.17.0\"\n"
	for name, data := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	module, _, err := load.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer module.Close()
	module.Read()
	units, _, _ := module.Units(nil)
	evaluated, err := module.Evaluate(t.Context(), units, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	all := &spec.Repository{}
	for _, e := range evaluated {
		if e.Spec == nil {
			t.Fatalf("it does not evaluate: %v", e.Found)
		}
		all.Mesh = e.Spec.Mesh
		join(&all.Services, e.Spec.Services)
		join(&all.Gateways, e.Spec.Gateways)
		join(&all.External, e.Spec.External)
	}
	return all
}

func join[T any](into *map[string]T, from map[string]T) {
	if *into == nil {
		*into = map[string]T{}
	}
	maps.Copy(*into, from)
}
