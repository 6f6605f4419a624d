package try_test

import (
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/compiletest"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

// TestWhatIsToBeWrittenLetsInOneRequest writes what a denied request is told to need, and puts requests to the mesh
// with it: that request is let in, and no other. Whoever sends requests chooses their paths, and an access log repeats
// them to meshc replay, so a path may be what a rule takes for a pattern.
func TestWhatIsToBeWrittenLetsInOneRequest(t *testing.T) {
	const mesh = `package shop
mesh: {name: "shop", trustDomain: "shop.example", silence: {MC1307: "-", MC1203: "-"}}
services: web: {workload: deployment: "web", uses: cart: {}}
services: cart: {workload: deployment: "cart", ports: http: {port: 8080, protocol: "http"}, allow: [
	{from: services: ["web"], paths: ["/known"]},
]}
`
	compiled := func(text string) *ir.Mesh {
		r := compiletest.Compile(t, t.TempDir(), map[string]string{"mesh.cue": text})
		if r.Mesh == nil {
			t.Fatalf("%s\n%+v", text, r.Diagnostics)
		}
		return r.Mesh
	}
	follow := func(m *ir.Mesh, method, path string) *try.Trial {
		trial, err := try.Try(m, try.Request{
			From: try.Sender{Kind: ir.KindService, Name: "web"}, Method: method, Scheme: "http", Host: "cart",
			Port: 8080, Path: path,
		})
		if err != nil {
			t.Fatal(err)
		}
		return trial
	}
	before := compiled(mesh)
	for _, c := range []struct{ method, path string }{
		{"GET", "/ok"},
		{"GET", "/*"},
		{"GET", "/admin/*"},
		{"GET", "/**"},
		{"GET", "/a*b"},
		{"GET", "*"},
		{"OPTIONS", "*"},
		{"*", "/ok"},
		{"get", "/ok"},
		{"GET", "/%2a"},
		{"GET", "/admin/%2A"},
		{"GET", `/a"]}`},
		{"GET", `/\(x)`},
		{"GET", "/a%3f*"},
		{"GET", "/"},
		{"GET", "/é"},
	} {
		trial := follow(before, c.method, c.path)
		if trial.Answer == nil || trial.Answer.Status != 403 {
			continue // it is refused for its form, and no rule lets it in
		}
		rule, _, ok := strings.Cut(strings.TrimPrefix(trial.Write, "add "), " to services.cart.allow")
		if !ok {
			if !strings.HasPrefix(trial.Write, "a rule of services.cart.allow;") {
				t.Errorf("%s %s: to let it in: %q", c.method, c.path, trial.Write)
			}
			continue
		}
		after := compiled(strings.Replace(mesh, "]},\n]}", "]},\n\t"+rule+",\n]}", 1))
		if trial := follow(after, c.method, c.path); trial.Answer != nil {
			t.Errorf("%s %s is not let in by %s: %+v", c.method, c.path, rule, trial.Answer)
		}
		for _, other := range []struct{ method, path string }{
			{"GET", "/other"}, {"GET", "/admin/x"}, {"DELETE", c.path},
		} {
			if trial := follow(after, other.method, other.path); trial.Answer == nil {
				t.Errorf("%s %s: %s lets %s in too", c.method, c.path, rule, other)
			}
		}
	}
}
