package graph_test

import (
	"bytes"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/compiletest"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/review/graph"
)

// hostile is a rule's name that would like to be a script.
const hostile = `</script><script>window.hostile=1</script><img src=x onerror="window.hostile=1"> "#;|`

func shop(t *testing.T) *ir.Mesh {
	t.Helper()
	text := `package shop

mesh: {name: "shop", trustDomain: "shop.example", silence: {MC1203: "-", MC1701: "-", MC1703: "-"}}
gateways: public: {
	listeners: http: port: 80
	routes: [{match: path: prefix: "/checkout", to: [{service: "checkout"}]}, {to: [{service: "frontend"}]}]
	uses: {frontend: {}, checkout: {}}
}
services: frontend: {
	workload: deployment: "frontend"
	ports: http: {port: 80, protocol: "http"}
	uses: {checkout: {}, cart: {}}
	allow: [{from: gateways: ["public"]}]
}
services: cart: {workload: deployment: "cart", ports: http: {port: 80, protocol: "http"}, allow: [{from: services: ["frontend"]}]}
services: checkout: {
	workload: deployment: "checkout"
	ports: grpc: {port: 5050, protocol: "grpc"}
	allow: [{name: ` + strconv.Quote(hostile) + `, from: services: ["frontend"]}, {from: gateways: ["public"]}]
	deny: [{name: "no debugging", from: anyone: true, headers: "x-debug": present: true}]
}
`
	r := compiletest.Compile(t, t.TempDir(), map[string]string{"mesh.cue": text})
	if r.Mesh == nil {
		t.Fatalf("%+v", r.Diagnostics)
	}
	return r.Mesh
}

// TestEdgesSayWhy tells calls of the application from those by routes of others, and from those of its proxy alone.
func TestEdgesSayWhy(t *testing.T) {
	r := compiletest.Compile(t, t.TempDir(), map[string]string{"mesh.cue": `package shop

mesh: {
	name: "shop", trustDomain: "shop.example"
	rateLimit: {service: "limits"}
	externalAuthorization: gate: service: "gate"
	jwt: issuers: accounts: {issuer: "https://accounts.example", audiences: ["shop"], jwks: {url: "https://keys.example/jwks"}}
}
services: a: {
	workload: deployment: "a", ports: http: {port: 80, protocol: "http"}, uses: b: {}
	allow: [{from: services: ["b"], jwt: issuer: "accounts"}], externalAuthorization: "gate"
	rateLimit: {requests: 5, per: "1s", global: true}
}
services: b: {
	workload: deployment: "b", ports: http: {port: 80, protocol: "http"}, uses: a: {}
	routes: [{match: path: prefix: "/c", to: [{service: "c"}]}, {match: path: prefix: "/d", mirror: {service: "d", percent: 50}}]
	allow: [{from: services: ["a"]}]
}
services: [N=("c" | "d")]: {workload: deployment: N, ports: http: {port: 80, protocol: "http"}, allow: [{from: services: ["a"]}]}
services: {c: {}, d: {}}
services: [N=("gate" | "limits")]: {workload: deployment: N, ports: grpc: {port: 81, protocol: "grpc"}, allow: [{from: services: ["a"]}]}
services: {gate: {}, limits: {}}
external: keys: {hosts: ["keys.example"], ports: https: {port: 443, protocol: "https"}}
`})
	if r.Mesh == nil {
		t.Fatalf("%+v", r.Diagnostics)
	}
	got := map[string]string{}
	for _, e := range graph.Of(r.Mesh).Edges {
		if e.From == "service a" {
			got[e.To] = fmt.Sprintf("routed %t, asked %t", e.Routed, e.Asked)
		}
	}
	want := map[string]string{
		"service b": "routed false, asked false", "service c": "routed true, asked false",
		"service d":    "routed true, asked false",
		"service gate": "routed false, asked true", "service limits": "routed false, asked true",
		"external keys": "routed false, asked true",
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

// TestGraph draws the edges with their rules, and hostile names as text.
func TestGraph(t *testing.T) {
	g := graph.Of(shop(t))
	var edges []string
	for _, e := range g.Edges {
		edges = append(edges, e.From+" → "+e.To)
		if e.From == "service frontend" && e.To == "service checkout" && (len(e.Rules) != 2 ||
			e.Rules[0].Name != hostile || !e.Rules[1].Deny) {
			t.Errorf("rules %+v", e.Rules)
		}
	}
	if got := strings.Join(edges,
		", "); got != "gateway public → service checkout, gateway public → service frontend, service frontend → service cart, service frontend → service checkout" {
		t.Errorf("edges: %s", got)
	}
	near := g.Around("cart", 1)
	if near == nil || len(near.Nodes) != 2 || len(near.Edges) != 1 {
		t.Errorf("near the cart: %+v", near)
	}
	if g.Around("nobody", 1) != nil {
		t.Error("nobody is there")
	}
	var page bytes.Buffer
	if err := g.HTML(&page); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(page.String(), "</script>"); n != 2 {
		t.Errorf("%d scripts end in the page", n)
	}
}
