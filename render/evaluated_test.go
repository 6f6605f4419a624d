package render_test

import (
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/check"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/link"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/compiler/spec"
)

// units keeps what texts were evaluated to: two tests make the same changes of fields.
var units sync.Map

// evaluated is the unit that a text without its marks says, which the schema accepts.
func evaluated(t *testing.T, source string) *spec.Unit {
	t.Helper()
	source = marks.ReplaceAllString(source, "")
	if unit, known := units.Load(source); known {
		return unit.(*spec.Unit)
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "cue.mod"), 0o755); err != nil {
		t.Fatal(err)
	}
	module := "module: \"shop.example/mesh@v0\"\nlanguage: version: \"v0.17.0\"\n"
	for name, text := range map[string]string{"cue.mod/module.cue": module, "mesh.cue": source} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	opened, found, err := load.Open(dir)
	if err != nil || opened == nil {
		t.Fatal(found, err)
	}
	defer opened.Close()
	found = opened.Read()
	list, _, problems := opened.Units(nil)
	results, err := opened.Evaluate(t.Context(), list, nil, nil, nil)
	if err != nil || len(results) != 1 {
		t.Fatal(results, err)
	}
	found.Add(problems...)
	found.Add(results[0].Found...)
	if results[0].Spec == nil || len(found) > 0 {
		t.Fatal(found)
	}
	units.Store(source, results[0].Spec)
	return results[0].Spec
}

// linked is the mesh of a unit, and what is found in it.
func linked(unit *spec.Unit) (*ir.Mesh, diag.List) {
	mesh, silences, found := link.Link([]*spec.Unit{unit}, link.Options{
		Lost: func(string) bool { return false }, Now: time.Now(), Version: "devel",
	})
	if mesh == nil {
		return nil, found
	}
	found.Add(check.Run(mesh, !found.HasErrors())...)
	return mesh, slices.DeleteFunc(found, silences.Covers)
}
