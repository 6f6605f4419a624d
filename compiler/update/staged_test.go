package update_test

import (
	"testing"

	"github.com/meshc/meshc/compiler/compiletest"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/update"
	"github.com/meshc/meshc/render/envoy"
)

const moved = `package shop

mesh: {
	name: "shop", trustDomain: "shop.example"
	silence: {MC1203: "-", MC1703: "-", MC1705: "-"}
	externalAuthorization: az: {service: "az", port: "grpc"}
	jwt: issuers: accounts: {issuer: "https://accounts.example", jwks: {service: "az", port: "http", path: "/keys"}}
}
services: a: {workload: deployment: "a", uses: b: {}}
services: az: {workload: deployment: "az", ports: {grpc: {port: 9000, protocol: "grpc"}, http: {port: 9001, protocol: "http"}}, allow: [{from: anyone: true}]}
`

// TestStagesCanBeRendered brings and takes what proxies ask others about together with a route: every proxy of every
// stage can be rendered, and a right that is taken back is in no stage but the last.
func TestStagesCanBeRendered(t *testing.T) {
	const (
		to      = `services: b: {workload: deployment: "b", ports: http: {port: 8080, protocol: "http"}, allow: [{from: services: ["a"]}], routes: [{to: [{service: "c"}]}]}` + "\n"
		own     = `services: b: {workload: deployment: "b", ports: http: {port: 8080, protocol: "http"}, allow: [{from: services: ["a"]}]}` + "\n"
		plain   = `services: c: {workload: deployment: "c", ports: http: {port: 8080, protocol: "http"}}` + "\n"
		guarded = `services: c: {workload: deployment: "c", ports: http: {port: 8080, protocol: "http"}, uses: az: {}, externalAuthorization: "az", allow: [{from: services: ["a"]}]}` + "\n"
		tokens  = `services: c: {workload: deployment: "c", ports: http: {port: 8080, protocol: "http"}, uses: az: {}, allow: [{from: services: ["a"], jwt: issuer: "accounts"}]}` + "\n"
		gateway = `gateways: g: {listeners: {http: port: 80, tcp: {port: 81, protocol: "tcp", to: {service: "d"}}}, uses: {az: {}, d: {}}, externalAuthorization: "az", routes: [{to: [{service: "d", port: "http"}]}]}` + "\n" +
			`services: d: {workload: deployment: "d", ports: {http: {port: 80, protocol: "http"}, tcp: {port: 81, protocol: "tcp"}}, allow: [{from: gateways: ["g"]}]}` + "\n"
	)
	dir := t.TempDir()
	mesh := func(text string) *ir.Mesh {
		t.Helper()
		r := compiletest.Compile(t, dir, map[string]string{"mesh.cue": moved + text})
		if r.Mesh == nil {
			t.Fatalf("%+v", r.Diagnostics)
		}
		return r.Mesh
	}
	for name, pair := range map[string][2]string{
		"an authorization service comes": {own + plain, to + guarded},
		"an authorization service goes":  {to + guarded, own + plain},
		"keys come":                      {own + plain, to + tokens},
		"keys go":                        {to + tokens, own + plain},
		"a gateway comes":                {own + plain, to + guarded + gateway},
		"a gateway goes":                 {to + guarded + gateway, own + plain},
	} {
		stages := update.Stages(mesh(pair[0]), mesh(pair[1]))
		if len(stages) < 2 {
			t.Errorf("%s: in %d stages", name, len(stages))
		}
		for i, stage := range stages {
			for _, scope := range stage.Scopes() {
				if _, err := envoy.Build(scope, envoy.Options{}); err != nil {
					t.Errorf("%s: stage %d of %d, %s: %v", name, i, len(stages), scope.Member().Name, err)
				}
			}
		}
	}

	wide := `services: b: {workload: deployment: "b", ports: {http: {port: 8080, protocol: "http"}, admin: {port: 9090, protocol: "http"}}, allow: [{from: services: ["a"]}]}` + "\n"
	narrow := `services: b: {workload: deployment: "b", ports: {http: {port: 8080, protocol: "http"}, admin: {port: 9090, protocol: "http"}}, allow: [{from: services: ["a"], ports: ["http"]}]}` + "\n"
	if stages := update.Stages(mesh(wide), mesh(narrow)); len(stages) != 1 {
		t.Errorf("a right is taken back in %d stages", len(stages))
	}
	renumbered := `services: b: {workload: deployment: "b", ports: http: {port: 8081, protocol: "http"}, allow: [{from: services: ["a"]}], routes: [{to: [{service: "c", port: "http"}]}]}` + "\n"
	if stages := update.Stages(mesh(own+plain), mesh(renumbered+guarded)); len(stages) != 1 {
		t.Errorf("ports change their numbers in %d stages", len(stages))
	}
}
