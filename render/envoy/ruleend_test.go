package envoy

import (
	"testing"

	"github.com/meshc/meshc/compiler/compiletest"
	"github.com/meshc/meshc/compiler/ir"
)

// The probes of callers that a rule with an end alone lets in end with it; those of others go on, and so does a rule of
// deny, without which more would be allowed.
func TestProbesEndWithTheirRule(t *testing.T) {
	r := compiletest.Compile(t, t.TempDir(), map[string]string{"mesh.cue": `package shop

mesh: {name: "shop", trustDomain: "shop.example"}
services: front: {workload: deployment: "front", uses: cart: {}}
services: guest: {workload: deployment: "guest", uses: cart: {}}
services: cart: {
	workload: deployment: "cart", ports: http: {port: 80, protocol: "http"}, health: http: path: "/healthz"
	allow: [
		{name: "lasts", from: services: ["front"], paths: ["/a"]},
		{name: "ends", from: services: ["guest"], paths: ["/b"], until: "2999-01-01"},
	]
	deny: [{name: "denies", from: services: ["guest"], methods: ["PUT"], until: "2999-01-01"}]
}
`})
	if r.Mesh == nil {
		t.Fatalf("%v", r.Diagnostics)
	}
	cart := r.Mesh.Service("cart")
	b := &builder{scope: r.Mesh.ServiceScope(cart)}
	allowed, denied := b.allowed(&cart.Ports[0]).Policies, b.denied(&cart.Ports[0]).Policies
	if len(allowed) != 3 || len(denied) != 1 {
		t.Fatalf("%v, and %v", allowed, denied)
	}
	lasting := allowed[ir.HealthRule]
	if n := len(lasting.Principals); n != 1 || lasting.Condition != nil ||
		allowed[cart.Allow[0].Label()].Condition != nil {
		t.Errorf("%d callers may probe without an end: %v", n, lasting)
	}
	if ends := allowed[cart.Allow[1].Label()]; len(ends.Permissions) != 2 || ends.Condition == nil {
		t.Errorf("a rule with an end is %v", ends)
	}
	if denied[cart.Deny[0].Label()].Condition != nil {
		t.Error("a rule of deny ends")
	}
}
