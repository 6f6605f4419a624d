package local

import (
	"testing"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

// Rules of which several match a request, in an order that is not that of their names.
const decidingMesh = `package m

mesh: {name: "m", trustDomain: "m.example", silence: {MC1701: "-", MC1702: "-", MC1703: "-", MC1705: "-"}}
services: a: {workload: deployment: "a", uses: b: {}}
services: b: {
	workload: deployment: "b"
	ports: http: {port: 8080, protocol: "http"}
	allow: [
		{name: "z", from: services: ["a"]},
		{name: "k", from: services: ["a"], methods: ["GET"]},
		{name: "c", from: services: ["a"], methods: ["GET", "POST"]},
	]
	deny: [
		{name: "y", from: services: ["a"], methods: ["DELETE"]},
		{name: "d", from: anyone: true, methods: ["DELETE", "PUT"]},
		{name: "r", from: services: ["a"], paths: ["/d"]},
	]
}
`

// Where several rules match a request, the one that "try" names is the one that the proxy's numbers name, and what
// "try" says to write names all of those that deny it.
func TestRuleThatDecides(t *testing.T) {
	m := inline(t, map[string]string{"mesh.cue": decidingMesh})
	mesh := start(t, m)
	const counters = "envoy_meshc_http_server_"
	for _, c := range []struct{ method, path, denied string }{
		{"GET", "/", ""},
		{"POST", "/", ""},
		{"PATCH", "/", ""},
		{"DELETE", "/", `remove it from the rules "d", "y" of services.b.deny`},
		{"DELETE", "/d", `remove it from the rules "d", "r", "y" of services.b.deny`},
		{"GET", "/d", `remove it from the rule "r" of services.b.deny`},
	} {
		trial, err := try.Try(m, try.Request{
			From: try.Sender{Kind: ir.KindService, Name: "a"}, Method: c.method, Scheme: "http", Host: "b", Port: 8080,
			Path: c.path,
		})
		if err != nil {
			t.Fatal(err)
		}
		if trial.Write != c.denied {
			t.Errorf("%s %s: write %q, want %q", c.method, c.path, trial.Write, c.denied)
		}
		before := scraped(t, mesh, "service/b/"+onlyInstance, counters)
		send(t, mesh.As("a").Client(), c.method, "http://b:8080"+c.path)
		eventually(t, "the proxy counts it", func() bool {
			for name := range scraped(t, mesh, "service/b/"+onlyInstance, counters).since(before) {
				if rule := labels(name)["rule"]; rule != "" {
					if want := trial.Rules[0].Label(); rule != want {
						t.Fatalf("%s %s: counted by the rule %q, and try says %q", c.method, c.path, rule, want)
					}
					return true
				}
			}
			return false
		})
	}
}
