package local

import (
	"net/http"
	"testing"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

// Two namespaces have a service api, and a third calls both.
const sameNames = `package m

mesh: {name: "m", trustDomain: "m.example"}
`

const sameNamesA = `package m

services: [N=string]: {namespace: "team-a", workload: deployment: N}
services: {
	web: uses: api: {}
	api: {
		ports: http: {port: 8080, protocol: "http"}
		allow: [{from: services: ["web", "edge.team-c"]}]
	}
}
`

const sameNamesB = `package m

services: [N=string]: {namespace: "team-b", workload: deployment: N}
services: {
	shop: uses: "api.team-b": {}
	api: {
		ports: http: {port: 8080, protocol: "http"}
		allow: [{from: services: ["shop"]}, {from: services: ["edge"], methods: ["GET"]}]
	}
}
`

const sameNamesC = `package m

services: edge: {
	namespace: "team-c"
	workload: deployment: "edge"
	uses: {"api.team-a": {}, "api.team-b": {}}
}
`

// Services of several namespaces have one name, and each is called as Kubernetes' DNS has it: by the plain name in its
// own namespace, and with the namespace from elsewhere. Rules tell their callers apart.
//
// Field: uses
func TestSameNamesInSeveralNamespaces(t *testing.T) {
	m := inline(t, map[string]string{
		"mesh.cue": sameNames, "a/a.cue": sameNamesA, "b/b.cue": sameNamesB, "c/c.cue": sameNamesC,
	})
	mesh := start(t, m)
	for _, c := range []struct{ from, method, host, reaches string }{
		{"web", "GET", "api", "api.team-a"},
		{"web", "GET", "api.team-a", "api.team-a"},
		{"web", "GET", "api.team-a.svc.cluster.local", "api.team-a"},
		{"shop", "POST", "api", "api.team-b"},
		{"edge", "GET", "api.team-a", "api.team-a"},
		{"edge", "GET", "api.team-b.svc", "api.team-b"},
		{"edge", "POST", "api.team-a", "api.team-a"},
		{"edge", "POST", "api.team-b", ""},
	} {
		got := send(t, mesh.As(c.from).Client(), c.method, "http://"+c.host+":8080/")
		reached := ""
		if got.status == http.StatusOK {
			reached = got.report.Service
		}
		if reached != c.reaches {
			t.Errorf("%s, %s %s: %d from %q, want %q", c.from, c.method, c.host, got.status, reached, c.reaches)
		}
		if said := triedFrom(t, m, c.from, c.method, c.host); said != c.reaches {
			t.Errorf("%s, %s %s: try says %q, want %q", c.from, c.method, c.host, said, c.reaches)
		}
	}
	// Of another namespace's service of the same name, and of a name that could be either.
	for from, host := range map[string]string{"web": "api.team-b", "shop": "api.team-a", "edge": "api"} {
		if said := triedFrom(t, m, from, "GET", host); said != "" {
			t.Errorf("%s reaches %s by the host %s, which it does not use", from, said, host)
		}
	}
}

// triedFrom is the service that try says a request reaches; "" for none.
func triedFrom(t *testing.T, m *ir.Mesh, from, method, host string) string {
	t.Helper()
	r := try.Request{From: try.Sender{Kind: ir.KindService, Name: from}, Method: method}
	if err := r.ParseURL("http://" + host + ":8080/"); err != nil {
		t.Fatal(err)
	}
	trial, err := try.Try(m, r)
	if err != nil {
		t.Fatal(err)
	}
	if trial.Answer != nil {
		return ""
	}
	return trial.Reaches[0].Service
}

// A service is called by its further names too, in whatever letters (istio/istio#49638: two spellings of a host had
// Envoy refuse all routes), and the host arrives as it was sent. Another service may have the same further name on
// another port (istio/istio#4845).
//
// Field: hosts
func TestFurtherNames(t *testing.T) {
	m := inline(t, map[string]string{"m.cue": `package m

mesh: {name: "m", trustDomain: "m.example"}
services: [N=string]: workload: deployment: N
services: {
	web: uses: {cart: {}, old: {}}
	cart: {
		hosts: ["Cart.Internal.Example", "legacy-cart", "both.example"]
		ports: {http: {port: 8080, protocol: "http"}, grpc: {port: 8081, protocol: "grpc"}}
		allow: [{from: services: ["web"]}]
		routes: [{match: headers: host: exact: "legacy-cart", to: [{service: "cart"}], headers: response: set: "x-route": "legacy"}, {to: [{service: "cart"}]}]
	}
	old: {
		hosts: ["both.example"]
		ports: http: {port: 8082, protocol: "http"}
		allow: [{from: services: ["web"]}]
	}
}
`})
	mesh := start(t, m)
	for _, c := range []struct{ host, reaches string }{
		{"cart", "cart"},
		{"cart.internal.example", "cart"},
		{"CART.internal.Example", "cart"},
		{"legacy-cart", "cart"},
		{"both.example", "cart"},
	} {
		got := send(t, mesh.As("web").Client(), "GET", "http://"+c.host+":8080/")
		if got.status != http.StatusOK || got.report.Service != c.reaches || got.report.Host != c.host+":8080" {
			t.Errorf("%s: %d from %q as %q, want %q", c.host, got.status, got.report.Service, got.report.Host, c.reaches)
		}
		if said := triedFrom(t, m, "web", "GET", c.host); said != c.reaches {
			t.Errorf("%s: try says %q, want %q", c.host, said, c.reaches)
		}
	}
	if got := send(t, mesh.As("web").Client(), "GET", "http://both.example:8082/"); got.report.Service != "old" {
		t.Errorf("the name of both on the port of old is %d from %q", got.status, got.report.Service)
	}
	legacy := exchange(t, mesh.As("web").Client(), "GET", "http://legacy-cart:8080/", "")
	if legacy.header.Get("x-route") != "legacy" {
		t.Errorf("the route for a further name does not match: %v", legacy.header)
	}
	for _, host := range []string{"legacy-cart.default", "x.legacy-cart", "internal.example"} {
		if said := triedFrom(t, m, "web", "GET", host); said != "" {
			t.Errorf("try says that %s is %s", host, said)
		}
	}
}
