package diff

import (
	"testing"

	"github.com/meshc/meshc/compiler/compiletest"
	"github.com/meshc/meshc/compiler/ir"
)

// A second service of a name comes, in another namespace: nothing differs for the first, its callers and their proxies,
// and when it goes again nothing does either.
func TestSecondServiceOfAName(t *testing.T) {
	files := map[string]string{
		"mesh.cue": `package shop
mesh: {name: "shop", trustDomain: "shop.example"}
`,
		"a/a.cue": `package shop
services: [N=string]: {namespace: "team-a", workload: deployment: N}
services: {
	web: uses: api: {}
	api: {ports: http: {port: 8080, protocol: "http"}, allow: [{from: services: ["web", "web2"]}]}
}
gateways: edge: {
	namespace: "team-a"
	listeners: http: port: 8080
	routes: [{name: "all", to: [{service: "web2"}]}]
	uses: web2: {}
}
services: web2: {
	ports: http: {port: 8080, protocol: "http"}
	allow: [{from: gateways: ["edge"]}]
	uses: api: retries: attempts: 2
}
`,
	}
	compiled := func(files map[string]string) *ir.Mesh {
		t.Helper()
		r := compiletest.Compile(t, t.TempDir(), files)
		if r.Mesh == nil {
			t.Fatal(r.Diagnostics)
		}
		return r.Mesh
	}
	before := compiled(files)
	files["b/b.cue"] = `package shop
services: [N=string]: {namespace: "team-b", workload: deployment: N}
services: {
	shop: uses: api: {}
	api: {ports: http: {port: 8080, protocol: "http"}, allow: [{from: services: ["shop"]}]}
}
`
	after := compiled(files)
	if after.Service("api") != nil || after.Service("api.team-b") == nil || before.Service("api.team-a") == nil {
		t.Fatal("the services do not have the names that they should have")
	}
	for name, d := range map[string]*Difference{"comes": Of(before, after), "goes": Of(after, before)} {
		if len(d.Effects) == 0 {
			t.Errorf("when it %s nothing differs", name)
		}
		for _, e := range d.Effects {
			if e.To != service("api.team-b") && e.To != service("shop") {
				t.Errorf("when it %s: %v", name, e)
			}
		}
		if len(d.Proxies.Changed) > 0 {
			t.Errorf("when it %s, proxies are touched: %v", name, d.Proxies.Changed)
		}
	}
}
