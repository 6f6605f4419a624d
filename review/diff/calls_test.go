package diff

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
	"github.com/meshc/meshc/compiler/try/trytest"
)

// TestCallsAreAsTried puts a request of each sort to the examples and to random meshes: the routes, time and tries
// that [try.Try] says are those of one of the calls of its sender, [ir.Scope.Calls].
func TestCallsAreAsTried(t *testing.T) {
	var meshes []*ir.Mesh
	for _, dir := range []string{"../../examples/shop", "../../testdata/traffic"} {
		r, err := compiler.Compile(t.Context(), compiler.Options{Dir: dir})
		if err != nil || r.Mesh == nil {
			t.Fatal(err, r)
		}
		meshes = append(meshes, r.Mesh)
	}
	g := &trytest.Random{Rand: rand.New(rand.NewPCG(1, 2)), Keys: `"{\"keys\": []}"`}
	for len(meshes) < 20 {
		if m := compiled(t, t.TempDir(), g.Spec().Text()); m != nil {
			meshes = append(meshes, m)
		}
	}
	seen := 0
	for _, m := range meshes {
		for _, scope := range m.Scopes() {
			calls := map[string]ir.Call{}
			for c := range scope.Calls() {
				calls[wayOf(c.Use.To, c.Port.Name, c.By)] = c
			}
			for _, trial := range trialsOf(t, m, &scope) {
				if trial.Policy == nil {
					continue
				}
				way := wayOf(trial.to, trial.port, trial.Routes)
				c, known := calls[way]
				switch {
				case !known:
					t.Fatalf("%s %s: a request goes by %q, which is none of the calls", scope.Kind(), scope.Member().
						Name, way)
				case c.Port.Protocol.IsHTTP() && !reflect.DeepEqual(&c.Policy, trial.Policy):
					t.Fatalf("%s %s by %q:\ntry says %+v\ncalls say %+v", scope.Kind(), scope.Member().
						Name, way, trial.Policy, c.Policy)
				}
				seen++
			}
		}
	}
	if seen < 500 {
		t.Errorf("only %d requests went anywhere", seen)
	}
}

// wayOf names a way to a callee's port; the route of what no written one takes has no name.
func wayOf(to, port string, by []*ir.Route) string {
	way := to + ":" + port
	for _, r := range by {
		if r.Name != "" {
			way += " " + r.Name
		}
	}
	return way
}

// sentCall is a request that was tried, and the callee's port that the sender calls for it.
type sentCall struct {
	*try.Trial
	to, port string
}

// trialsOf are those of a request of each sort that the member can send.
func trialsOf(t *testing.T, m *ir.Mesh, s *ir.Scope) (out []sentCall) {
	d := &differ{Difference: &Difference{}, old: m, new: m, steps: budget{left: maxSteps}}
	all := func(sp *space, add func(*about), name func(*try.Trial) (string, string)) {
		d.about(sp, add)
		requests, _ := sp.requests()
		for i := range requests {
			trial, err := try.Try(m, requests[i])
			if err != nil {
				t.Fatal(err)
			}
			to, port := name(trial)
			out = append(out, sentCall{trial, to, port})
		}
	}
	if g := s.Gateway; g != nil {
		for i := range g.Listeners {
			l := &g.Listeners[i]
			if l.To != nil {
				continue
			}
			scheme := "http"
			if l.BySNI() {
				scheme = "https"
			}
			hosts, _ := concrete(append(l.Hosts[:len(l.Hosts):len(l.Hosts)], "any.example"))
			sp := &space{base: try.Request{
				From: try.Sender{Kind: ir.KindGateway, Name: g.Name}, Method: "GET",
				Scheme: scheme, Port: l.Port, Path: "/",
			}, hosts: hosts}
			all(sp, func(a *about) { a.gateway(g, l.Name, func(*ir.Route) bool { return true }) },
				func(trial *try.Trial) (string, string) {
					if len(trial.Routes) == 0 || len(trial.Routes[0].To) == 0 {
						return "", ""
					}
					return trial.Routes[0].To[0].Service, trial.Routes[0].To[0].Port
				})
		}
		return out
	}
	for i := range s.Service.Uses {
		use := &s.Service.Uses[i]
		for _, name := range use.Ports {
			if use.External {
				continue
			}
			callee := m.Service(use.To)
			sp := &space{base: try.Request{
				From: try.Sender{Kind: ir.KindService, Name: s.Service.Name}, Method: "GET",
				Scheme: "http", Host: use.To, Port: callee.Port(name).Number, Path: "/",
			}}
			all(sp, func(a *about) { a.callee(callee) }, func(*try.Trial) (string, string) { return use.To, name })
		}
	}
	return out
}
