package local

import (
	"net/http"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

// Two teams with routes of their own at two gateways of a third one.
var exposedMesh = map[string]string{
	"mesh.cue": `package m

mesh: {name: "m", trustDomain: "m.example", silence: MC1203: "cart and search are for the public alone"}
`,
	"edge/gateways.cue": `package m

gateways: public: {
	listeners: {plain: port: 8080, secure: {port: 8443, tls: secret: "a", http3: true}}
	allowedRoutes: [
		{from: directories: ["teams/shop"], hosts: ["shop.example", "*.shop.example"]},
		{from: directories: ["teams/pay/pay.cue"], hosts: ["shop.example"], paths: ["/pay", "/pay/*"]},
		{from: namespaces: ["pay"], hosts: ["*.pay.example"]},
	]
	routes: [
		{name: "health", match: {host: "shop.example", path: exact: "/healthz"}, directResponse: status: 299},
		{name: "rest", match: path: prefix: "/", directResponse: status: 298},
	]
}
gateways: internal: {
	listeners: plain: port: 8080
	allowedRoutes: [{from: directories: ["."], hosts: ["*"]}]
}
`,
	"teams/shop/shop.cue": `package m

services: [_]: {ports: http: {port: 8080, protocol: "http"}, allow: [{from: gateways: ["public", "internal"]}]}
services: front: {
	workload: deployment: "front"
	expose: [
		{gateway: "public", match: host: "shop.example"},
		{gateway: "internal", match: host: "shop.example"},
		{gateway: "public", match: host: "*.shop.example"},
	]
	routes: [{match: path: exact: "/down", directResponse: status: 297}, {}]
}
services: cart: {
	workload: deployment: "cart"
	expose: [
		{gateway: "public", match: {host: "shop.example", path: prefix: "/cart/"}, rewrite: path: prefix: "/"},
		{gateway: "public", match: {host: "shop.example", path: prefix: "/", headers: "x-cart": present: true}},
		{gateway: "public", match: {host: "shop.example", path: prefix: "/", headers: "x-cart": exact: "a", method: "PUT"}},
		{gateway: "public", match: {host: "shop.example", path: regex: "/cart/[0-9]+/front"}},
		{gateway: "public", match: {host: "shop.example", path: prefix: "/listed/", listeners: ["secure"]}},
	]
}
services: search: {
	workload: deployment: "search"
	expose: [
		{gateway: "public", match: {host: "shop.example", path: prefix: "/cart/search"}},
		{gateway: "public", match: {host: "shop.example", path: exact: "/cart/search"}, rewrite: path: prefix: "/exact"},
		{gateway: "public", match: {host: "shop.example", path: prefix: "/", method: "PUT"}},
		{gateway: "public", match: {host: "shop.example", path: prefix: "/", query: q: present: true}},
		{gateway: "public", match: {host: "a.shop.example", path: prefix: "/a/"}},
	]
}
`,
	"teams/pay/pay.cue": `package m

services: pay: {
	namespace: "pay"
	workload: deployment: "pay"
	ports: {http: {port: 8080, protocol: "http"}, admin: {port: 8081, protocol: "http"}}
	allow: [{from: gateways: ["public", "internal"]}]
	expose: [
		{gateway: "public", match: {host: "shop.example", path: prefix: "/pay/"}, port: "http"},
		{gateway: "public", match: {host: "shop.example", path: exact: "/pay"}, port: "admin"},
		{gateway: "public", match: host: "*.pay.example", port: "http"},
		{gateway: "internal", match: {host: "shop.example", path: prefix: "/pay/"}, port: "http"},
	]
}
`,
}

// exposedCase is a request, how it is answered, and which service it reaches at which path; a service has the name of
// its port behind it where that is not http.
type exposedCase struct {
	gateway, method, host, path string
	headers                     []string
	status                      int
	service, arrives            string
}

var exposedCases = []exposedCase{
	{"public", "GET", "shop.example", "/", nil, 200, "front", "/"},
	{"public", "GET", "SHOP.example", "/any?x=1", nil, 200, "front", "/any?x=1"},
	{"public", "GET", "shop.example.", "/", nil, 200, "front", "/"},
	{"public", "GET", "shop.example:8080", "/", nil, 200, "front", "/"},
	{"public", "GET", "shop.example", "/down", nil, 297, "", ""},
	{"public", "GET", "shop.example", "/healthz", nil, 299, "", ""},
	{"public", "GET", "shop.example", "/%68ealthz", nil, 299, "", ""},
	{"public", "GET", "b.shop.example", "/healthz", nil, 200, "front", "/healthz"},
	{"public", "GET", "a.shop.example", "/a/", nil, 200, "search", "/a/"},
	{"public", "GET", "a.shop.example", "/b", nil, 200, "front", "/b"},
	{"public", "GET", "elsewhere.example", "/pay/", nil, 298, "", ""},
	{"public", "GET", "pay.example", "/", nil, 298, "", ""},
	{"public", "GET", "x.pay.example", "/healthz", nil, 200, "pay", "/healthz"},
	{"public", "GET", "shop.example", "/cart/7", nil, 200, "cart", "/7"},
	{"public", "GET", "shop.example", "/cart", nil, 200, "front", "/cart"},
	{"public", "GET", "shop.example", "/cart/../pay/a", nil, 200, "pay", "/pay/a"},
	{"public", "GET", "shop.example", "/pay/../cart/7", nil, 200, "cart", "/7"},
	{"public", "GET", "shop.example", "/pay/%2e%2e/x", nil, 200, "front", "/x"},
	{"public", "GET", "shop.example", "//pay/a", nil, 200, "pay", "/pay/a"},
	{"public", "GET", "shop.example", "/pay%2fa", nil, 400, "", ""},
	{"public", "GET", "shop.example", "/PAY/a", nil, 200, "front", "/PAY/a"},
	{"public", "GET", "shop.example", "/pay", nil, 200, "pay admin", "/pay"},
	{"public", "GET", "shop.example", "/payment", nil, 200, "front", "/payment"},
	{"public", "GET", "shop.example", "/cart/12/front", nil, 200, "cart", "/cart/12/front"},
	{"public", "GET", "shop.example", "/cart/x/front", nil, 200, "cart", "/x/front"},
	{"public", "GET", "shop.example", "/cart/search", nil, 200, "search", "/exact"},
	{"public", "GET", "shop.example", "/cart/searches", nil, 200, "search", "/cart/searches"},
	{"public", "GET", "shop.example", "/x", []string{"x-cart", "b"}, 200, "cart", "/x"},
	{"public", "PUT", "shop.example", "/x", []string{"x-cart", "b"}, 200, "search", "/x"},
	{"public", "PUT", "shop.example", "/x", []string{"x-cart", "a"}, 200, "cart", "/x"},
	{"public", "GET", "shop.example", "/x?q=1", []string{"x-cart", "b"}, 200, "cart", "/x?q=1"},
	{"public", "GET", "shop.example", "/x?q=1", nil, 200, "search", "/x?q=1"},
	{"public", "GET", "shop.example", "/pay/x?q=1", []string{"x-cart", "a"}, 200, "pay", "/pay/x?q=1"},
	{"internal", "GET", "shop.example", "/any", nil, 200, "front", "/any"},
	{"internal", "GET", "shop.example", "/pay/a", nil, 200, "pay", "/pay/a"},
	{"internal", "GET", "shop.example", "/cart/7", nil, 200, "front", "/cart/7"},
	{"internal", "GET", "x.pay.example", "/", nil, 404, "", ""},
}

// Teams have routes at a gateway that lets them, in the order of the Gateway API whatever the order of their files:
// exact hosts before wildcards, exact paths before expressions before prefixes, the longest first, then methods, then
// headers and queries. The gateway's own routes come before those that take no less, and after those that take no more.
// However a client spells its path and host, no other team's service gets the request, over each version of HTTP, and
// try says so too.
//
// Field: expose
// Field: expose.gateway
// Field: expose.port
// Field: allowedRoutes
func TestExposedRoutes(t *testing.T) {
	m := inline(t, exposedMesh)
	mesh := start(t, m)
	for _, c := range exposedCases {
		listeners := map[string]string{"HTTP/1.1": "plain", "HTTP/2": "secure", "HTTP/3": "secure"}
		if c.gateway == "internal" {
			listeners = map[string]string{"HTTP/1.1": "plain"}
		}
		for protocol, listener := range listeners {
			a := overProtocol(t, protocol, mesh.Gateway(c.gateway).Listeners[listener], "127.0.0.61", c.method, c.host, c.path,
				c.headers)
			service, arrives := "", ""
			if a.report != nil {
				service, arrives = reached(a.report.Service, a.report.Port), a.report.Path
			}
			if a.status != c.status || service != c.service || arrives != c.arrives {
				t.Errorf("%s %s %s%s by %s with %q: %d of %q at %q, want %d of %q at %q", c.gateway, c.method, c.host, c.path,
					protocol, c.headers, a.status, service, arrives, c.status, c.service, c.arrives)
			}
		}
		host, _, _ := strings.Cut(c.host, ":")
		r := try.Request{
			From: try.Sender{Kind: ir.KindGateway, Name: c.gateway}, Method: c.method, Scheme: "http", Host: host, Port: 8080,
			Path: c.path,
		}
		for i := 0; i < len(c.headers); i += 2 {
			r.Headers = append(r.Headers, ir.Header{Name: c.headers[i], Value: c.headers[i+1]})
		}
		trial, err := try.Try(m, r)
		if err != nil || len(trial.Undecided) > 0 {
			t.Fatalf("%v: %v, %v", r, err, trial)
		}
		status, service, arrives := http.StatusOK, "", ""
		if trial.Answer != nil {
			status = trial.Answer.Status
		} else {
			to := trial.Reaches[0]
			service, arrives = reached(to.Service, to.Port), to.Path
		}
		if status != c.status || service != c.service || arrives != c.arrives {
			t.Errorf("%s %s %s%s with %q: try says %d of %q at %q, want %d of %q at %q", c.gateway, c.method, c.host, c.path,
				c.headers, status, service, arrives, c.status, c.service, c.arrives)
		}
	}
}

// reached is a service, with its port where that is not http.
func reached(service, port string) string {
	if port == "http" {
		return service
	}
	return service + " " + port
}
