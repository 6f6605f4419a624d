package diff

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/update"
)

// TestEveryGuardIsTold changes each guard of a service alone, and wants the difference to be told, its proxies to be
// among those that get another configuration, and the change to be one that takes a right back in one of its
// directions at least.
func TestEveryGuardIsTold(t *testing.T) {
	const spec = `package shop

mesh: {name: "shop", trustDomain: "shop.example", externalAuthorization: asks: {service: "asks", port: "http"}}
services: {
	asks: {workload: deployment: "asks", ports: http: {port: 80, protocol: "http"}, allow: [{from: services: ["guarded"]}]}
	caller: {workload: deployment: "caller", uses: guarded: {}}
	other: {workload: deployment: "other"}
	guarded: {workload: deployment: "guarded", ports: http: {port: 82, protocol: "http"}, allow: [{from: services: ["caller"]}ALLOW]GUARD}
}
`
	changes := map[string][2]string{
		"Allow":      {"ALLOW", `, {from: services: ["other"]}`},
		"Deny":       {"GUARD", `, deny: [{from: services: ["caller"], paths: ["/admin"]}]`},
		"Authorizer": {"GUARD", `, externalAuthorization: "asks"`},
		"Plaintext":  {"GUARD", `, mtls: "permissive"`},
		"Probes":     {"GUARD", `, probes: [{port: 82, http: path: "/healthz"}]`},
		"RateLimit":  {"GUARD", `, rateLimit: requests: 5`},
	}
	dir := t.TempDir()
	with := func(mark, text string) *ir.Mesh {
		return compiled(t, dir, strings.NewReplacer(mark, text, "ALLOW", "", "GUARD", "").Replace(spec))
	}
	before := with("ALLOW", "")
	if before == nil {
		t.Fatal("the mesh does not compile")
	}
	typ := reflect.TypeFor[ir.Guards]()
	for i := range typ.NumField() {
		name := typ.Field(i).Name
		c, ok := changes[name]
		if !ok {
			t.Errorf("no change of the guard %s is tried", name)
			continue
		}
		after := with(c[0], c[1])
		if after == nil {
			t.Fatalf("%s: the mesh does not compile", name)
		}
		d := Of(before, after)
		if !slices.Contains(d.Proxies.Changed, ir.ServiceRef("guarded")) {
			t.Errorf("%s: the proxies of %v change", name, d.Proxies.Changed)
		}
		if len(d.Effects) == 0 && name != "Plaintext" { // no rule lets plaintext in, and so it changes nothing
			t.Errorf("%s: nothing is told", name)
		}
		if !update.Narrows(before, after) && !update.Narrows(after, before) {
			t.Errorf("%s: it takes a right back in neither direction", name)
		}
	}
}

// TestRuleBesideItsAudit adds a rule to a gateway beside rules of the same words that are only audited.
func TestRuleBesideItsAudit(t *testing.T) {
	const spec = `package shop

mesh: {name: "shop", trustDomain: "shop.example"}
services: web: {workload: deployment: "web", ports: http: {port: 80, protocol: "http"}, allow: [{from: gateways: ["g"]}]}
gateways: g: {
	listeners: http: port: 8080
	allow: [{from: anyone: true, mode: "audit"}, {from: anyone: true, paths: ["/open"]}, RULE{from: anyone: true, mode: "audit"}]
	routes: [{to: [{service: "web"}]}]
	uses: web: {}
}
`
	dir := t.TempDir()
	before := compiled(t, dir, strings.ReplaceAll(spec, "RULE", ""))
	after := compiled(t, dir, strings.ReplaceAll(spec, "RULE", "{from: anyone: true}, "))
	if before == nil || after == nil {
		t.Fatal("the mesh does not compile")
	}
	if d := Of(before, after); len(d.Effects) != 1 || d.Effects[0].Kind != NewlyAllowed {
		t.Errorf("these are told: %v", d.Effects)
	}
}
