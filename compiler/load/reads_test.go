package load

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"testing"

	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/parser"

	"github.com/meshc/meshc/compiler/diag"
)

// A small module: two units, a library, and a library that imports a unit.
var smallModule = map[string]string{
	"cue.mod/module.cue":        "module: \"shop.example/mesh@v0\"\nlanguage: version: \"v0.17.0\"\n",
	"mesh.cue":                  "package shop\n\nmesh: {name: \"shop\", trustDomain: \"shop.example\"}\n",
	"services/cart/cart.cue":    "package shop\n\n" + service("cart"),
	"services/pay/pay.cue":      "package shop\n\n" + service("pay"),
	"lib/lib.cue":               "package lib\n\nport: 8080\n",
	"through/through.cue":       "package through\n\nimport cart \"shop.example/mesh/services/cart:shop\"\n\nport: cart.services.cart.ports.http.port\n",
	"cue.mod/pkg/v.org/v/v.cue": "package v\n\nport: 8080\n",
}

func service(name string) string { return serviceAt(name, "8080") }

func serviceAt(name, port string) string {
	return fmt.Sprintf("services: %q: {workload: deployment: %q, ports: http: {port: %s, protocol: \"http\"}}\n", name,
		name, port)
}

// edits are changes of single files of the module, each with what it adds to it; "" removes it. CUE, and nobody who
// reads line by line, says what they do.
var edits = []struct{ name, text string }{
	{"services/pay/x.cue", "package shop\n\n" + service("more")},
	{"services/pay/x.cue", "@note(\npackage _\n)\npackage shop\n\n" + service("more")},
	{"services/pay/x.cue", "@note(\npackage other\n)\npackage shop\n\n" + service("more")},
	{"services/pay/x.cue", "@note(\"\"\"\npackage _\n\"\"\")\n@b()\npackage shop, " + service("more")},
	{"services/pay/x.cue", "@note(a) package shop\n\n" + service("more")},
	{"services/pay/x.cue", "@note(\npackage shop\n)\npackage other\n\n" + service("more")},
	{"services/pay/x.cue", "\ufeff// package _\n\r\n  package\tshop // package other\n" + service("more")},
	{"services/pay/x.cue", "package shop,\n" + service("more")},
	{"services/pay/x.cue", "\fpackage shop\n" + service("more")},
	{"services/pay/x.cue", "package _\n\n" + service("more")},
	{"services/pay/x.cue", "package \"shop\"\n\n" + service("more")},
	{"services/pay/x.cue", "package #shop\n\n" + service("more")},
	{"services/pay/x.cue", "package\nshop\n\n" + service("more")},
	{"services/pay/x.cue", "package other\n\n{{{"},
	{"services/pay/x.cue", "package shop\n\nservices: pay: port: 1\n"},
	{"services/pay/x_test.cue", "package shop\n\n{{{"},
	{"services/x.cue", "@note(\npackage _\n)\npackage shop\n\n" + service("more")},
	{"services/hid/x.cue", "@note(\npackage _\n)\npackage shop\n\n" + service("hid")},
	{"services/hid/x.cue", "@if(never)\npackage shop\n\n" + service("hid")},
	{"services/pay/x.cue", "@if(never)\npackage shop\n\n" + service("more")},
	{"services/pay/x.cue", "@ignore()\npackage shop\n\n" + service("more")},
	{"x.cue", "@a(\npackage other\n)\n@b() package shop\nservices: [string]: namespace: \"two\"\n"},
	{"other.cue", "package lib\n\nport: 8081\n"},
	{"services/cart/cart.cue", "package shop\n\n" + serviceAt("cart", "8081")},
	{"services/cart/x.cue", "package shop\n\n" + service("beside")},
	{"lib/lib.cue", "package lib\n\nport: 8081\n"},
	{"lib/more.cue", "@a(\npackage _\n)\npackage lib\n\nport: 8081\n"},
	{"lib/below/below.cue", "package lib\n\nport: 8082\n"},
	{"cue.mod/pkg/v.org/v/v.cue", "package v\n\nport: 8081\n"},
	{"cue.mod/gen/shop.example/mesh/lib/lib.cue", "package lib\n\nport: 8081\n"},
	{"cue.mod/module.cue", "module: \"shop.example/mesh@v0\"\nlanguage: version: \"v0.16.0\"\n"},
	{"services/cart/cart.cue", ""},
	{"lib/lib.cue", ""},
}

// imports are ways in which a unit comes to what another directory has: each is a unit of its own.
var imports = []struct{ path, port string }{
	{`"shop.example/mesh/lib"`, "x.port"},
	{`"shop.example/mesh/lib:lib"`, "x.port"},
	{`"shop.example/mesh/lib@v0:lib"`, "x.port"},
	{`"shop.example/mesh/lib/below:lib"`, "8080"},
	{`"shop.example\u002fmesh/lib:lib"`, "x.port"},
	{`"shop.example\u002fmesh/l\u0069b"`, "x.port"},
	{`"shop.example/mesh/services/cart:shop"`, "x.services.cart.ports.http.port"},
	{`"shop.example\u002Fmesh/services/c\u0061rt:shop"`, "x.services.cart.ports.http.port"},
	{`"shop.example/mesh/through"`, "x.port"},
	{`"shop.example/mesh/through:through"`, "x.port"},
	{`"shop.example/mesh/through\u003athrough"`, "x.port"},
	{`"v.org/v"`, "x.port"},
	{`"v.org/v:v"`, "x.port"},
	{`"strings"`, `len(x.Repeat("a", 8080))`},
	{`#"shop.example/mesh/lib"#`, "x.port"},
	{`"shop.example/mesh/./lib"`, "x.port"},
	{`"shop.example/mesh/lib/"`, "x.port"},
	{`"shop.example/mesh"`, "8080"},
}

// withImports is the module with a unit for each way of an import.
func withImports() map[string]string {
	out := maps.Clone(smallModule)
	for i, way := range imports {
		name := fmt.Sprintf("i%02d", i)
		out["services/"+name+"/s.cue"] = "package shop\n\nimport x " + way.path + "\n\n" + serviceAt(name, way.port)
	}
	return out
}

// edited is the module with an edit.
func edited(module map[string]string, name, text string) map[string]string {
	out := maps.Clone(module)
	if out[name] = text; text == "" {
		delete(out, name)
	}
	return out
}

// readModule is a module of those files, its units, and what is said of it.
func readModule(t *testing.T, files map[string]string) (*Module, []Unit, diag.List) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		at := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m, found, err := Open(dir)
	if err != nil || m == nil {
		t.Fatal(found, err)
	}
	t.Cleanup(func() { _ = m.Close() })
	found = m.Read()
	units, _, more := m.Units([]string{"./...:shop"})
	return m, units, append(found, more...)
}

// TestUnitsAreWhatCUELoads holds the units, the files of each and the files that its key covers against those that CUE
// itself loads.
func TestUnitsAreWhatCUELoads(t *testing.T) {
	count := 0
	for _, edit := range edits {
		m, units, said := readModule(t, edited(withImports(), edit.name, edit.text))
		reads := m.reads()
		isUnit := map[string]bool{}
		for i, instance := range m.instances(units, nil) {
			u := units[i]
			isUnit[u.Dir] = true
			if own := ownFiles(m, u, instance); len(instance.InvalidFiles) == 0 &&
				!slices.Equal(own, slices.Sorted(slices.Values(u.Files))) {
				t.Errorf("%q in %s: the unit %s has the files %v, and CUE loads %v", edit.text, edit.name, u.Dir,
					u.Files, own)
			}
			covered := reads.files(u.Dir)
			for _, name := range allFiles(instance) {
				count++
				if !slices.Contains(covered, name) {
					t.Errorf("%q in %s: the key of %s does not cover %s, which CUE reads", edit.text, edit.name, u.Dir,
						name)
				}
			}
		}
		for dir := range m.dirs {
			if isUnit[dir] || inModuleDir(dir) {
				continue
			}
			instance := m.instances([]Unit{{Dir: dir, pkg: "shop"}}, nil)[0]
			if slices.ContainsFunc(loaded(instance.BuildFiles), func(name string) bool {
				return path.Dir(name) == dir
			}) {
				t.Errorf("%q in %s: CUE has a package in %s, and it is no unit; meshc says %v", edit.text, edit.name,
					dir, said)
			}
		}
	}
	if count < 1000 {
		t.Errorf("CUE loaded %d files", count)
	}
}

// files are those that are taken to be read for a unit in a directory.
func (r *reads) files(dir string) (out []string) {
	for _, d := range r.directories(dir) {
		out = append(out, r.of[d]...)
	}
	return out
}

// ownFiles are the files of a unit as CUE sees them: those that it builds, and those that are the unit's and have an
// attribute by which they are left out.
func ownFiles(m *Module, u Unit, instance *build.Instance) []string {
	own := loaded(instance.BuildFiles)
	for _, f := range instance.IgnoredFiles {
		name := relativeName(f.Filename)
		syntax, err := parser.ParseFile(name, m.files[name].data, parser.ImportsOnly)
		if err == nil && syntax.PackageName() == u.pkg && built(m.files[name]) {
			own = append(own, name)
		}
	}
	return slices.Sorted(slices.Values(own))
}

// allFiles are the files that CUE reads of a package and of all that it imports.
func allFiles(instance *build.Instance) []string {
	out := loaded(slices.Concat(instance.BuildFiles, instance.IgnoredFiles, instance.InvalidFiles))
	for _, imported := range instance.Imports {
		out = append(out, allFiles(imported)...)
	}
	return out
}

func loaded(files []*build.File) (out []string) {
	for _, f := range files {
		out = append(out, relativeName(f.Filename))
	}
	return out
}

// TestCacheKeepsWhatTheSpecSays evaluates a module, changes a file, and evaluates it again with what was kept: it
// comes to the same as without.
func TestCacheKeepsWhatTheSpecSays(t *testing.T) {
	kept := t.TempDir()
	before := evaluated(t, withImports(), kept)
	if len(before) < len(imports) {
		t.Fatal(before)
	}
	for _, edit := range edits {
		after := edited(withImports(), edit.name, edit.text)
		with, without := evaluated(t, after, kept), evaluated(t, after, "")
		for dir, want := range without {
			if with[dir] != want {
				t.Errorf("%q in %s: with the cache the unit %s is\n%s\nand without\n%s", edit.text, edit.name, dir,
					with[dir], want)
			}
		}
		if len(with) != len(without) {
			t.Errorf("%q in %s: with the cache there are %d units, and without %d", edit.text, edit.name, len(with),
				len(without))
		}
	}
}

// evaluated is what each unit of a module comes to, by its directory. Only what is kept already is used of the cache.
func evaluated(t *testing.T, files map[string]string, kept string) map[string]string {
	t.Helper()
	m, units, _ := readModule(t, files)
	cache := OpenCache(kept, m.Path, nil)
	results, err := m.Evaluate(t.Context(), units, nil, cache, nil)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, r := range results {
		out[r.Dir] = fmt.Sprint(r.Found)
		if r.Spec != nil {
			text, err := json.Marshal(r.Spec)
			if err != nil {
				t.Fatal(err)
			}
			out[r.Dir] = string(text)
		}
	}
	if cache != nil && len(cache.known[0])+len(cache.known[1]) == 0 {
		cache.Save()
	}
	return out
}
