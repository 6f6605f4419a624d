package ir_test

import (
	"reflect"
	"slices"
	"testing"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/load"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/schema"
)

// TestSettingsAreOfTheLanguage wants every field of a policy among its settings, each by its path in the schema.
func TestSettingsAreOfTheLanguage(t *testing.T) {
	p := ir.Default()
	all := slices.Concat(p.Settings(), p.Bounds.Settings())
	fields := reflect.TypeFor[ir.Policy]().NumField() - 1 + reflect.TypeFor[ir.Bounds]().NumField() // Bounds is none
	if len(all) != fields {
		t.Errorf("%d settings of %d fields", len(all), fields)
	}
	use := definition(t, "#Use")
	seen := map[string]bool{}
	for _, s := range all {
		if seen[s.Path] {
			t.Errorf("%s is there twice", s.Path)
		}
		seen[s.Path] = true
		v := use
		for _, selector := range cue.ParsePath(s.Path).Selectors() {
			v = v.LookupPath(cue.MakePath(selector.Optional()))
		}
		if !v.Exists() {
			t.Errorf("a use has no %s", s.Path)
		}
	}
}

// definition is one of the schema's.
func definition(t *testing.T, name string) cue.Value {
	t.Helper()
	overlay := map[string]load.Source{}
	entries, err := schema.FS.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		data, err := schema.FS.ReadFile(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, "/schema/"+e.Name())
		overlay["/schema/"+e.Name()] = load.FromBytes(data)
	}
	instance := load.Instances(names, &load.Config{Dir: "/schema", Overlay: overlay})[0]
	v := cuecontext.New().BuildInstance(instance).LookupPath(cue.ParsePath(name))
	if v.Err() != nil {
		t.Fatal(v.Err())
	}
	return v
}
