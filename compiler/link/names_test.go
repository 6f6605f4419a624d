package link_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/compiletest"
	"github.com/meshc/meshc/compiler/ir"
)

// Whoever compares two meshes of which one has a second member of a name gives the members of the other their
// namespaces, as the linker would have.
func TestAlikeIsAsLinked(t *testing.T) {
	dirs, err := filepath.Glob("../../examples/*/cue.mod")
	if err != nil || len(dirs) < 2 {
		t.Fatal(dirs, err)
	}
	for _, dir := range dirs {
		compile := func(qualified ...string) *ir.Mesh {
			t.Helper()
			r, err := compiler.Compile(t.Context(), compiler.Options{Dir: filepath.Dir(dir), Qualified: qualified})
			if err != nil {
				t.Fatal(err)
			}
			if r.Mesh == nil {
				t.Fatal(r.Diagnostics)
			}
			return r.Mesh
		}
		plain := compile()
		var names []string
		for _, s := range plain.Services {
			names = append(names, s.Name)
		}
		for _, g := range plain.Gateways {
			names = append(names, g.Name)
		}
		linked := compile(names...)
		alike, same := ir.Alike(plain, linked)
		if same != linked {
			t.Error("a mesh in which all names have namespaces was changed")
		}
		if got, want := asJSON(t, alike), asJSON(t, linked); got != want {
			t.Errorf("%s: the names are not those of the linker:\n%s\n\nwant:\n%s", dir, got, want)
		}
	}
}

// asJSON is a mesh with all that reviews read, but for the names of rules that only say who calls.
func asJSON(t *testing.T, m *ir.Mesh) string {
	t.Helper()
	for _, s := range m.Services {
		for _, rules := range [][]ir.Rule{s.Allow, s.Deny} {
			for i := range rules {
				rules[i].Name = ""
			}
		}
	}
	for i := range m.Tests {
		m.Tests[i].Host = "" // any of the callee's
	}
	text, err := json.MarshalIndent([]any{m, m.Review}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Bounds of routes are counted by their owner's name in the mesh: services of one name in two namespaces do not share
// them.
func TestBoundsOfSameNamesAreApart(t *testing.T) {
	const service = `package m

services: api: {
	namespace: "%s"
	workload: deployment: "api"
	ports: http: {port: 8080, protocol: "http"}
	routes: [{name: "all", rateLimit: {requests: 5, per: "1s"}}]
}
`
	r := compiletest.Compile(t, t.TempDir(), map[string]string{
		"mesh.cue": "package m\n\nmesh: {name: \"m\", trustDomain: \"m.example\"}\n",
		"a/a.cue":  fmt.Sprintf(service, "team-a"),
		"b/b.cue":  fmt.Sprintf(service, "team-b"),
	})
	if r.Mesh == nil {
		t.Fatal(r.Diagnostics)
	}
	for _, name := range []string{"api.team-a", "api.team-b"} {
		if got := r.Mesh.Service(name).Routes[0].RateLimit.Owner; got != name {
			t.Errorf("the bound of %s is counted for %s", name, got)
		}
	}
}
