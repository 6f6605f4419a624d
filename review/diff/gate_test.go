package diff

import (
	"slices"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/compiletest"
	"github.com/meshc/meshc/compiler/ir"
)

const guarded = `package shop

mesh: {
	name: "shop", trustDomain: "shop.example"
	images: {meshc: "meshc:1", envoy: "envoy:1"}
	flux: {url: "oci://registry.example/shop", tag: "prod", verify: secret: "keys"}
	limits: {attempts: 9, series: 9000}
	owners: {".": ["@shop/all"]}
	silence: {MC1203: "-", MC1307: "-", MC1703: "-", MC1705: "-"}
	jwt: issuers: accounts: {issuer: "https://accounts.example", jwks: inline: "{\"keys\": []}", forward: claims: sub: "x-user"}
	externalAuthorization: az: {service: "az", forward: ["x-role"]}
}
services: a: {workload: deployment: "a", grants: ["@shop/one"], uses: {b: {}, bank: {}}}
services: b: {
	workload: deployment: "b"
	ports: {http: {port: 8080, target: 80, protocol: "http"}, admin: {port: 9090, target: 90, protocol: "http"}}
	externalAuthorization: "az"
	allow: [{from: services: ["a"], ports: ["http"]}, {from: gateways: ["g"], ports: ["http"], jwt: issuer: "accounts"}]
}
services: az: {workload: deployment: "az", ports: http: {port: 9000, protocol: "http"}, allow: [{from: {services: ["b"], gateways: ["g"]}}]}
external: bank: {hosts: ["bank.example"], ports: https: {port: 443, protocol: "https"}, via: "exit"}
gateways: exit: {egress: {}, uses: bank: {}}
gateways: g: {
	listeners: https: {port: 443, tls: {secret: "shop", minVersion: "1.3"}}
	routes: [{to: [{service: "b", port: "http"}]}]
	uses: b: {}
	externalAuthorization: "az"
}
tests: "a may call b": {from: service: "a", request: {to: "b", port: "http", path: "/"}, expect: allowed: true}
`

// allowingRoutes has the gateway let others have routes, in the place of its uses.
const allowingRoutes = "\tuses: b: {}\n\tallowedRoutes: [{from: directories: [\"teams\"], hosts: [\"*\"]}]\n"

// TestWeakenedIsNoSetting changes what lets more in, or lets the next change pass, without a request that the meshes
// tell apart. Each is told as what it is, and the way back too; nothing else is told as gravely.
func TestWeakenedIsNoSetting(t *testing.T) {
	compile := func(text string) *ir.Mesh {
		t.Helper()
		r := compiletest.Compile(t, t.TempDir(), map[string]string{"mesh.cue": text})
		if r.Mesh == nil && r.Failing == nil {
			t.Fatalf("%+v\n%s", r.Diagnostics, text)
		}
		if r.Mesh == nil {
			return r.Failing
		}
		return r.Mesh
	}
	before := compile(guarded)
	for _, c := range []struct {
		from, to string
		kind     Kind
		of, what string
		back     Kind // of the way back; empty for the same
	}{
		{from: `{service: "az", forward`, to: `{service: "az", failOpen: true, forward`, kind: NewlyAllowed, of: "mesh shop", what: "externalAuthorization.az.failOpen", back: NewlyDenied},
		{from: `, forward: claims: sub: "x-user"`, to: ``, kind: NewlyAllowed, of: "gateway g", what: "header x-user", back: Handled},
		{from: `, forward: ["x-role"]`, to: ``, kind: NewlyAllowed, of: "gateway g", what: "header x-role", back: Handled},
		{from: `, forward: ["x-role"]`, to: ``, kind: NewlyAllowed, of: "service b", what: "header x-role", back: Handled},
		{from: `target: 80, protocol: "http"}, admin: {port: 9090, target: 90`, to: `target: 90, protocol: "http"}, admin: {port: 9090, target: 80`, kind: NewlyAllowed, of: "service b", what: "ports.http.target"},
		{from: `443, protocol: "https"`, to: `443, protocol: "http"`, kind: Protection, of: "external bank", what: "ports.https.protocol"},
		{from: `, via: "exit"`, to: ``, kind: Protection, of: "external bank", what: "via"},
		{from: `, via: "exit"`, to: `, via: "exit", local: true`, kind: Protection, of: "external bank", what: "local"},
		{from: `, minVersion: "1.3"`, to: ``, kind: Protection, of: "gateway g", what: "listeners.https.tls.minVersion"},
		{from: `".": ["@shop/all"]`, to: `".": ["@shop/all", "@evil/me"]`, kind: Gate, of: "mesh shop", what: "owners.."},
		{from: `".": ["@shop/all"]`, to: ``, kind: Gate, of: "mesh shop", what: "owners.."},
		{from: `grants: ["@shop/one"]`, to: `grants: ["*"]`, kind: Gate, of: "service a", what: "grants"},
		{from: "\tuses: b: {}\n", to: allowingRoutes, kind: Gate, of: "gateway g", what: "allowedRoutes"},
		{from: `grants: ["@shop/one"], `, to: ``, kind: Gate, of: "service a", what: "grants"},
		{from: `MC1705: "-"}`, to: `MC1705: "-", MC1704: "-"}`, kind: Gate, of: "mesh", what: "silence.MC1704"},
		{from: `grants: ["@shop/one"], `, to: `grants: ["@shop/one"], silence: MC1704: "-", `, kind: Gate, of: "services.a", what: "silence.MC1704"},
		{from: `expect: allowed: true`, to: `expect: allowed: false`, kind: Gate, of: "test a may call b"},
		{from: `tests: "a may call b": {from: service: "a", request: {to: "b", port: "http", path: "/"}, expect: allowed: true}`, to: ``, kind: Gate, of: "test a may call b", back: Setting},
		{from: `attempts: 9,`, to: `attempts: 90,`, kind: Gate, of: "mesh shop", what: "maxAttempts"},
		{from: `series: 9000`, to: `series: 90000`, kind: Gate, of: "mesh shop", what: "maxSeries"},
		{from: `envoy: "envoy:1"`, to: `envoy: "evil/envoy:1"`, kind: Deployment, of: "mesh shop", what: "images.envoy"},
		{from: `, verify: secret: "keys"`, to: ``, kind: Deployment, of: "mesh shop", what: "flux.verifySecret"},
		{from: `registry.example/shop`, to: `registry.example/else`, kind: Deployment, of: "mesh shop", what: "flux.url"},
		{from: `services: a: {workload: deployment: "a"`, to: `services: a: {workload: deployment: "else"`, kind: Identity, of: "service a", what: "workload.pods.name"},
		{from: `grants: ["@shop/one"], `, to: `grants: ["@shop/one"], versions: v1: {labels: version: "1", workload: "else"}, `, kind: Identity, of: "service a", what: "versions.v1"},
		{from: `workload: deployment: "az"`, to: `workload: deployment: "az", versions: v1: labels: version: "1"`, kind: Rerouted, of: "service az", what: "versions.v1"},
		{from: `	name: "shop"`, to: `	name: "evil"`, kind: Identity, what: "name"},
		{from: `series: 9000}`, to: "series: 9000}\n\tserver: limits: instances: 50", kind: Protection, of: "mesh shop", what: "server.limits.instances"},
		{from: `services: az: {`, to: `services: az: {proxy: drainTime: "1h", `, kind: Protection, of: "service az", what: "proxy.drainTime"},
		{from: `services: b: {`, to: "services: b: {\n\troutes: [{mirror: {}}]", kind: Protection, of: "service b", what: "mirror"},
	} {
		if !strings.Contains(guarded, c.from) {
			t.Fatalf("no %q", c.from)
		}
		after := compile(strings.Replace(guarded, c.from, c.to, 1))
		back := c.back
		if back == "" {
			back = c.kind
		}
		for _, way := range []struct {
			kind Kind
			d    *Difference
		}{{c.kind, Of(before, after)}, {back, Of(after, before)}} {
			d := way.d
			if !slices.ContainsFunc(d.Effects, func(e *Effect) bool {
				return e.Kind == way.kind && (c.of == "" || e.To.String() == c.of) && e.What == c.what
			}) {
				t.Errorf("%q to %q: no %s of %s: %s", c.from, c.to, way.kind, c.of, c.what)
				for _, e := range d.Effects {
					t.Logf("%s: %s: %s -> %s", e.Kind, e.subject(), e.Was, e.Is)
				}
			}
		}
	}
	// What was compiled before has no owners and tests, and takes none away.
	compiled := before.Clone()
	if d := Of(before, compiled); !d.Empty() {
		t.Errorf("a compiled mesh is not the same: %+v", d.Effects[0])
	}
}

// TestRestartsAreTold changes images and what pods are started with, and wants those to be named whose pods are
// replaced.
func TestRestartsAreTold(t *testing.T) {
	compile := func(text string) *ir.Mesh {
		return compiletest.Compile(t, t.TempDir(), map[string]string{"mesh.cue": text}).Mesh
	}
	before := compile(guarded)
	all := []string{"gateway exit", "gateway g", "service a", "service az", "service b"}
	for _, c := range []struct {
		from, to string
		who      []string
	}{
		{`envoy: "envoy:1"`, `envoy: "envoy:2"`, all},
		{`meshc: "meshc:1"`, `meshc: "meshc:2"`, append([]string{"gateway exit", "gateway g", "meshc serve"}, all[2:]...)},
		{`services: az: {`, `services: az: {proxy: drainTime: "5s", `, []string{"service az"}},
		{`services: az: {`, `services: az: {proxy: image: "envoy:2", `, []string{"service az"}},
		{`services: az: {`, `services: az: {proxy: resources: limits: memory: "1Gi", `, []string{"service az"}},
		{`minVersion: "1.3"`, `minVersion: "1.2"`, nil},
		{`attempts: 9,`, `attempts: 8,`, nil},
	} {
		var who []string
		for _, e := range Of(before, compile(strings.Replace(guarded, c.from, c.to, 1))).Effects {
			if e.Kind == Restart {
				for _, f := range e.From {
					who = append(who, f.String())
				}
			}
		}
		if !slices.Equal(who, c.who) {
			t.Errorf("%s: the pods of %q restart, and not of %q", c.to, who, c.who)
		}
	}
}
