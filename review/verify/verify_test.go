package verify

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"slices"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/compiletest"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
)

const spec = `package shop

mesh: {
	name: "shop", trustDomain: "shop.example"
	silence: {MC1203: "-", MC1705: "-"}
	jwt: issuers: accounts: {issuer: "https://accounts.example", audiences: ["shop"], jwks: url: "https://accounts.example/keys"}
}
external: accounts: {hosts: ["accounts.example"], ports: https: {port: 443, protocol: "https"}}
gateways: public: {
	listeners: {
		http: {port: 80, hosts: ["*.shop.example"], redirectTo: "https"}
		https: {port: 443, hosts: ["*.shop.example"], tls: {secret: "shop"}}
	}
	routes: [
		{name: "shop", match: path: prefix: "/shop/", to: [{service: "web"}]},
		{name: "never", match: path: exact: "/never", to: [{service: "web"}]},
	]
	uses: web: {}
}
services: web: {
	workload: deployment: "web"
	ports: http: {port: 8080, protocol: "http"}
	versions: {v1: labels: version: "v1", v2: labels: version: "v2"}
	routes: [{name: "new", match: headers: "x-new": exact: "1", to: [{version: "v2"}]}, {name: "all", to: [{version: "v1"}]}]
	allow: [{from: gateways: ["public"]}]
	uses: {orders: {}, chat: {}}
}
services: chat: {
	workload: deployment: "chat"
	ports: http: {port: 8081, protocol: "http", upgrades: ["websocket"]}
	allow: [{from: services: ["web"]}]
}
services: orders: {
	workload: deployment: "orders"
	ports: grpc: {port: 9000, protocol: "grpc"}
	allow: [{name: "buyers", from: services: ["web"], jwt: {issuer: "accounts", claims: role: ["buyer"]}}, {name: "writers", from: services: ["web"], jwt: {issuer: "accounts", claims: scope: ["write"]}}]
	deny: [{name: "no debugging", from: services: ["web"], headers: "x-debug": present: true}]
}
services: other: workload: deployment: "other"

tests: {
	"shoppers see the old shop": {from: gateway: "public", request: {host: "www.shop.example", path: "/shop/"}, expect: {allowed: true, service: "web", version: "v1"}}
	"some see the new one": {from: gateway: "public", request: {host: "www.shop.example", path: "/shop/", headers: "x-new": "1"}, expect: {allowed: true, version: "v2"}}
	"in plain they are sent elsewhere": {from: gateway: "public", request: {host: "www.shop.example", path: "/shop/", port: "http"}, expect: allowed: true}
	"nothing else is there": {from: gateway: "public", request: {host: "www.shop.example", path: "/admin"}, expect: allowed: false}
	"buyers order": {from: service: "web", request: {to: "orders", path: "/shop.Orders/Place", method: "POST", jwt: role: "buyer"}, expect: {allowed: true, service: "orders"}}
	"cooks do not": {from: service: "web", request: {to: "orders", path: "/shop.Orders/Place", method: "POST", jwt: role: "cook"}, expect: allowed: false}
	"cooks do not by gRPC": {from: service: "web", request: {to: "orders", path: "/shop.Orders/Place", method: "POST", headers: "content-type": "application/grpc", jwt: role: "cook"}, expect: allowed: false}
	"a WebSocket is taken up": {from: service: "web", request: {to: "chat", path: "/", headers: {upgrade: "websocket", connection: "Upgrade", "sec-websocket-version": "13", "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="}}, expect: {allowed: true, service: "chat"}}
	"odd escapes stay": {from: gateway: "public", request: {host: "a.b.shop.example", path: "/shop/a%20b/%E4"}, expect: {allowed: true, service: "web"}}
	"scopes are words": {from: service: "web", request: {to: "orders", path: "/", jwt: scope: "read write"}, expect: allowed: true}
	"nobody debugs": {from: service: "web", request: {to: "orders", path: "/", jwt: role: "buyer", headers: "x-debug": "1"}, expect: allowed: false}
	"the other does not order": {from: service: "other", request: {to: "orders", path: "/", jwt: role: "buyer"}, expect: allowed: false}
}
`

// TestVerify runs tests of each sort offline and through real Envoys, and then one that fails in both ways.
func TestVerify(t *testing.T) {
	m, _ := compiled(t, spec)
	r, err := Verify(t.Context(), m, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Tests) != 12 || r.Failed() != 0 || r.Proxies < 5 {
		t.Errorf("%d tests, %d failed, %d proxies", len(r.Tests), r.Failed(), r.Proxies)
	}
	for _, want := range []struct{ title, sent string }{
		{"shoppers see the old shop", "is answered 200 by web v1"},
		{"in plain they are sent elsewhere", "is answered 308 by a proxy"},
		{"buyers order", "is answered 200 by orders a"},
		{"a WebSocket is taken up", "is answered 101 by chat a"},
		{"cooks do not", "is answered 403 by a proxy"},
		{"cooks do not by gRPC", "is answered 200 by a proxy, with the status 7 of gRPC"},
		{"the other does not order", "is answered 403 by a proxy"},
	} {
		for _, test := range r.Tests {
			if test.Title == want.title && test.Sent.Outcome != want.sent {
				t.Errorf("%s: %s, want %s", test.Title, test.Sent.Outcome, want.sent)
			}
		}
	}
	c := r.Coverage
	if c.Routes != 4 || c.RoutesReached != 3 || c.Rules != 5 || c.RulesReached != 5 || len(c.Missed) != 1 ||
		c.Missed[0].Name != "never" {
		t.Errorf("coverage %+v", c)
	}

	wrong, found := compiled(t, strings.Replace(spec, `path: "/admin"}, expect: allowed: false`,
		`path: "/admin"}, expect: allowed: true`, 1))
	if errors, _ := found.Count(); errors != 1 {
		t.Errorf("%d errors of the compiler", errors)
	}
	r, err = Verify(t.Context(), wrong, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var text, junit bytes.Buffer
	if err := r.Text(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"FAIL  nothing else is there, offline: the request is answered 404 by the proxy of gateway public; it must be let in",
		"FAIL  nothing else is there, through Envoys: the request is answered 404 by a proxy; it must be let in",
		"meshc try --from gateway:public GET https://www.shop.example:443/admin", "11 of 12 tests pass",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	if err := r.JUnit(&junit); err != nil {
		t.Fatal(err)
	}
	var read suites
	if err := xml.Unmarshal(junit.Bytes(), &read); err != nil || len(read.Suites) != 2 {
		t.Fatalf("%v\n%s", err, junit.String())
	}
	for _, s := range read.Suites {
		if s.Tests != 12 || s.Failures != 1 {
			t.Errorf("%s: %d tests, %d failures", s.Name, s.Tests, s.Failures)
		}
	}
}

// TestOutcomesAreSeen runs tests whose outcomes chance decides through real Envoys: each outcome is seen, one that is
// always as expected passes, and one that is so at times is not decided, however it went.
func TestOutcomesAreSeen(t *testing.T) {
	m, _ := compiled(t, `package shop

mesh: {name: "shop", trustDomain: "shop.example"}
services: web: {workload: deployment: "web", uses: {orders: {}, limited: {}}}
services: orders: {
	workload: deployment: "orders"
	ports: http: {port: 9000, protocol: "http"}
	versions: {v1: labels: version: "v1", v2: labels: version: "v2"}
	routes: [
		{match: path: prefix: "/faulty/", fault: abort: {status: 503, percent: 20}, to: [{version: "v1"}]},
		{to: [{version: "v1", weight: 95}, {version: "v2", weight: 5}]},
	]
	allow: [{from: services: ["web"], methods: ["GET"]}]
}
services: limited: {
	workload: deployment: "limited"
	ports: http: {port: 9000, protocol: "http"}
	rateLimit: {requests: 1, per: "1s"}
	allow: [{from: services: ["web"], methods: ["GET"]}]
}
tests: {
	"either": {from: service: "web", request: {to: "orders", path: "/"}, expect: {allowed: true, service: "orders"}}
	"the new one": {from: service: "web", request: {to: "orders", path: "/"}, expect: {allowed: true, version: "v2"}}
	"another": {from: service: "web", request: {to: "orders", path: "/"}, expect: {allowed: true, service: "limited"}}
	"nobody writes": {from: service: "web", request: {to: "orders", path: "/", method: "PUT"}, expect: allowed: false}
	"faults": {from: service: "web", request: {to: "orders", path: "/faulty/"}, expect: allowed: true}
	"but for faults": {from: service: "web", request: {to: "orders", path: "/faulty/"}, expect: {allowed: true, unless: ["fault"]}}
	"limited 1": {from: service: "web", request: {to: "limited", path: "/"}, expect: {allowed: true, unless: ["rateLimit"]}}
	"limited 2": {from: service: "web", request: {to: "limited", path: "/"}, expect: {allowed: true, unless: ["rateLimit"]}}
	"limited 3": {from: service: "web", request: {to: "limited", path: "/"}, expect: allowed: false}
}
`)
	r, err := Verify(t.Context(), m, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for title, want := range map[string]struct {
		failed, undecided bool
		seen              []string
	}{
		"either":         {seen: []string{"by orders v1", "by orders v2"}},
		"the new one":    {undecided: true, seen: []string{"by orders v1", "by orders v2"}},
		"another":        {failed: true},
		"nobody writes":  {seen: []string{"403"}},
		"faults":         {undecided: true, seen: []string{"by orders v1", "503"}},
		"but for faults": {seen: []string{"by orders v1", "503"}},
		"limited 1":      {seen: []string{"by limited"}},
		"limited 2":      {seen: []string{"by limited"}},
		"limited 3":      {failed: true},
	} {
		i := slices.IndexFunc(r.Tests, func(t Test) bool { return t.Title == title })
		for _, run := range r.Tests[i].runs() {
			if (run.Failure != "") != want.failed || (run.Undecided != "") != want.undecided {
				t.Errorf("%s, %s: %+v", title, run.how, run.Run)
			}
		}
		for _, seen := range want.seen {
			if sent := r.Tests[i].Sent.Outcome; !strings.Contains(sent, seen) {
				t.Errorf("%s: no %q in %s", title, seen, sent)
			}
		}
	}
	if r.Failed() != 2 || r.Undecided() != 2 {
		t.Errorf("%d tests failed, %d are not decided", r.Failed(), r.Undecided())
	}
}

// compiled is the mesh of a spec of which nothing is wrong but its tests.
func compiled(t *testing.T, text string) (*ir.Mesh, diag.List) {
	t.Helper()
	r := compiletest.Compile(t, t.TempDir(), map[string]string{"mesh.cue": text})
	m := cmp.Or(r.Mesh, r.Failing)
	if m == nil {
		t.Fatalf("%+v", r.Diagnostics)
	}
	return m, r.Diagnostics
}
