package diff

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/meshc/meshc/compiler/compiletest"
	"github.com/meshc/meshc/compiler/ir"
)

// silentFields may change without an effect, with the reason why.
var silentFields = map[string]string{
	".services[].allow[].from[].namespace": "it says in words whose identities the pattern beside it has, which decides",
	".services[].uses[].statefulSets[]":    "it names the workloads of the callee, where a change of them is told",
}

// felt is a mesh for what changes nothing in those of the features: what callers there decide for themselves, and a
// route that goes where the others go.
const felt = `package shop

mesh: {name: "shop", trustDomain: "shop.example"}
services: {
	a: {workload: deployment: "a", uses: b: {}}
	b: {
		workload: deployment: "b"
		ports: http: {port: 8080, protocol: "http"}
		versions: {v1: labels: version: "v1", v2: labels: version: "v2"}
		routes: [{match: headers: "x-env": {exact: "prod", invert: true}, to: [{version: "v1"}]}, {to: [{version: "v2"}]}]
		retries: attempts: 1
		connections: maxRequests: 900
		allow: [{from: services: ["a"]}]
	}
}
`

// TestEveryFieldIsTold takes every value in the meshes of testdata/feature, changes it, and wants an effect. What no
// mesh can have after the change (a reference to nothing, a kind that there is not) is refused by the reader of
// mesh.json. Values at one place of the types are changed until one is told.
func TestEveryFieldIsTold(t *testing.T) {
	files, err := filepath.Glob("../../testdata/feature/*.txtar")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d features: %v", len(files), err)
	}
	told, silent := map[string]bool{}, map[string]string{}
	sweep(t, "felt", map[string]string{"mesh.cue": felt}, told, silent)
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		spec := map[string]string{}
		for _, f := range archive.Files {
			if strings.HasSuffix(f.Name, ".cue") {
				spec[f.Name] = string(f.Data)
			}
		}
		sweep(t, filepath.Base(file), spec, told, silent)
	}
	for _, path := range slices.Sorted(maps.Keys(silent)) {
		if !told[path] && silentFields[path] == "" {
			t.Errorf("nothing is told of %s (%s)", path, silent[path])
		}
	}
	for path := range silentFields {
		if told[path] {
			t.Errorf("%s is told after all", path)
		}
	}
	t.Logf("%d fields are told", len(told))
	if len(told) < 150 {
		t.Error("these are too few")
	}
}

// sweep changes every value of a spec's mesh, and adds the places in the types for which something is told, and for
// which nothing is.
func sweep(t *testing.T, name string, spec map[string]string, told map[string]bool, silent map[string]string) {
	t.Helper()
	compiled := compiletest.Compile(t, t.TempDir(), spec).Mesh
	if compiled == nil {
		return
	}
	data, err := ir.Marshal(compiled)
	if err != nil {
		t.Fatal(err)
	}
	before, err := ir.Unmarshal(data)
	if err != nil {
		t.Fatal(err)
	}
	var doc any
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	each(doc, "", func(path string, set func(any), value any) {
		if told[path] {
			return
		}
		defer set(value)
		set(another(value))
		changed, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		after, err := ir.Unmarshal(changed)
		if err != nil || ir.Same(before, after) {
			return
		}
		if len(effectsOf(before, after)) > 0 {
			told[path] = true
		} else {
			silent[path] = fmt.Sprintf("%s: %v is %v", name, value, another(value))
		}
	})
}

// effectsOf are those of two meshes, of which the second may hold what no compiler writes: what cannot be followed is
// an effect.
func effectsOf(before, after *ir.Mesh) (effects []*Effect) {
	defer func() {
		if recover() != nil {
			effects = []*Effect{{}}
		}
	}()
	return Of(before, after).Effects
}

// each calls f with every value of a document that is neither a list nor a struct, by its path without names and
// indices.
func each(v any, path string, f func(path string, set func(any), value any)) {
	visit := func(path string, set func(any), value any) {
		switch value.(type) {
		case map[string]any, []any:
			each(value, path, f)
		default:
			f(path, set, value)
		}
	}
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if key != "pos" && !(path == "" && key == "meshc") {
				visit(path+"."+key, func(x any) { v[key] = x }, v[key])
			}
		}
	case []any:
		for i := range v {
			visit(path+"[]", func(x any) { v[i] = x }, v[i])
		}
	}
}

// another is a value in the place of one.
func another(v any) any {
	switch v := v.(type) {
	case bool:
		return !v
	case float64:
		return v + 1
	case string:
		if strings.HasSuffix(v, "s") && strings.IndexAny(v, "0123456789") == 0 {
			return "1h" + v // a duration
		}
		return v + "x"
	}
	return v
}
