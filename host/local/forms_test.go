package local

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

const formsMesh = `package m

mesh: {name: "m", trustDomain: "m.example"}
services: a: {workload: deployment: "a", uses: {open: {}, strict: {}, drops: {}, store: {}}}
services: open: {
	workload: deployment: "open"
	ports: http: {port: 8080, protocol: "http"}
	allow: [{from: {services: ["a"], gateways: ["edge"]}}]
	proxy: requests: {encodedSlashes: "keep", underscores: "allow", http10: true}
}
services: strict: {
	workload: deployment: "strict"
	ports: http: {port: 8081, protocol: "http"}
	allow: [{from: {services: ["a"], gateways: ["edge"]}}]
}
services: drops: {
	workload: deployment: "drops"
	ports: http: {port: 8082, protocol: "http"}
	allow: [{from: {services: ["a"]}}]
	proxy: requests: underscores: "drop"
}
external: store: {hosts: ["store.example"], ports: http: {port: 9000, protocol: "http"}}
gateways: edge: {
	listeners: http: port: 8080
	routes: [{match: host: "strict.example", to: [{service: "strict"}]}, {to: [{service: "open"}]}]
	uses: {open: {}, strict: {}}
	proxy: requests: {encodedSlashes: "keep", underscores: "allow", http10: true}
}
`

// A service, and a gateway, say which forms of requests they take; each proxy on the way takes them, and of a service
// that says nothing its own proxy refuses them or drops the header, whatever those before took. Requests to externals
// have any form. Try says the same.
// Users' reports: envoyproxy/gateway#5851, #2384, #8351 and #3047, SigNoz/charts#53.
//
// Field: proxy.requests.encodedSlashes
// Field: proxy.requests.underscores
// Field: proxy.requests.http10
func TestFormsOfRequests(t *testing.T) {
	m := inline(t, map[string]string{"mesh.cue": formsMesh})
	mesh := start(t, m)
	for _, name := range []string{"open", "strict", "drops"} {
		record(t, mesh.Backend(name, "a"), "http")
	}
	record(t, mesh.External("store"), "http")
	edge := strings.TrimPrefix(mesh.Gateway("edge").URL, "http://")
	sidecar, gateway := try.Sender{Kind: ir.KindService, Name: "a"}, try.Sender{Kind: ir.KindGateway, Name: "edge"}
	for _, c := range []struct {
		from              try.Sender
		host              string
		port              uint16
		slash, underscore int
		dropped           bool
		http10            int
	}{
		{sidecar, "open", 8080, 200, 200, false, 200},
		{sidecar, "strict", 8081, 400, 400, false, 426},
		{sidecar, "drops", 8082, 400, 200, true, 426},
		{sidecar, "store.example", 9000, 200, 200, false, 200},
		{gateway, "shop.example", 8080, 200, 200, false, 200},
		{gateway, "strict.example", 8080, 400, 200, true, 200},
	} {
		dial := func() (net.Conn, error) {
			if c.from == gateway {
				return net.Dial("tcp", edge)
			}
			return mesh.As("a").Dial(t.Context(), fmt.Sprintf("%s:%d", c.host, c.port))
		}
		for _, form := range []struct {
			request, arrives string
			status           int
			tried            try.Request
		}{
			{
				"GET /group%2Fproject HTTP/1.1\r\nHost: " + c.host + "\r\n\r\n", "GET /group%2Fproject ", c.slash,
				try.Request{Path: "/group%2Fproject"},
			},
			{
				"GET /k HTTP/1.1\r\nHost: " + c.host + "\r\nx_id: 1\r\n\r\n", "x_id: 1", c.underscore,
				try.Request{Path: "/k", Headers: []ir.Header{{Name: "x_id", Value: "1"}}},
			},
			{"GET /k HTTP/1.0\r\nHost: " + c.host + "\r\n\r\n", "GET /k HTTP/1.1", c.http10, try.Request{}},
		} {
			answer, body, _, _ := exchanged(t, dial, form.request)
			arrived := strings.Contains(body, form.arrives)
			if answer.StatusCode != form.status ||
				form.status == http.StatusOK && arrived == (c.dropped && strings.HasPrefix(form.arrives, "x_")) {
				t.Errorf("%s, %s, %q: %d, want %d\n%s", c.from, c.host, form.request, answer.StatusCode, form.status,
					body)
			}
			if r := form.tried; r.Path != "" {
				r.From, r.Method, r.Scheme, r.Host, r.Port = c.from, "GET", "http", c.host, c.port
				trial, err := try.Try(m, r)
				if err != nil {
					t.Fatal(err)
				}
				if trial.Allowed() != (form.status == http.StatusOK) {
					t.Errorf("%s, %s, %q: try says %s", c.from, c.host, form.request, trial.Outcome())
				}
			}
		}
	}
}

const casesMesh = `package m

mesh: {name: "m", trustDomain: "m.example"}
services: a: {workload: deployment: "a", uses: {keeps: {}, lower: {}}}
services: b: {workload: deployment: "b", uses: store: {}, proxy: requests: headerCase: "preserve"}
services: keeps: {
	workload: deployment: "keeps"
	ports: http: {port: 8080, protocol: "http"}
	allow: [{from: {services: ["a"], gateways: ["edge"]}}]
	proxy: requests: headerCase: "preserve"
}
services: lower: {
	workload: deployment: "lower"
	ports: http: {port: 8081, protocol: "http"}
	allow: [{from: {services: ["a"], gateways: ["edge"]}}]
}
external: store: {hosts: ["store.example"], ports: http: {port: 9000, protocol: "http"}}
gateways: edge: {
	listeners: http: port: 8080
	routes: [{match: host: "lower.example", to: [{service: "lower"}]}, {to: [{service: "keeps"}]}]
	uses: {keeps: {}, lower: {}}
	proxy: requests: headerCase: "preserve"
}
`

// A service that asks for the case of headers gets it, and its answers keep theirs: from a caller's proxy, from a
// gateway, and from an external; others get small letters. Users' reports: envoyproxy/envoy#8463, kumahq/kuma#14047,
// istio/istio#30579.
//
// Field: proxy.requests.headerCase
func TestHeaderCase(t *testing.T) {
	for _, delivery := range []ir.Delivery{ir.DeliveryXDS, ir.DeliveryStatic} {
		m := inline(t, map[string]string{"mesh.cue": casesMesh}).Clone()
		m.Delivery = delivery
		mesh := start(t, m)
		record(t, mesh.Backend("keeps", "a"), "http")
		record(t, mesh.Backend("lower", "a"), "http")
		record(t, mesh.External("store"), "http")
		edge := strings.TrimPrefix(mesh.Gateway("edge").URL, "http://")
		for _, c := range []struct {
			from, host string
			port       uint16
			kept       bool
		}{
			{"a", "keeps", 8080, true},
			{"a", "lower", 8081, false},
			{"b", "store.example", 9000, true},
			{"", "shop.example", 0, true},
			{"", "lower.example", 0, false},
		} {
			dial := func() (net.Conn, error) {
				if c.from == "" {
					return net.Dial("tcp", edge)
				}
				return mesh.As(c.from).Dial(t.Context(), fmt.Sprintf("%s:%d", c.host, c.port))
			}
			answer, body, raw,
				_ := exchanged(t, dial,
				"GET /k HTTP/1.1\r\nHost: "+c.host+"\r\nSOAPAction: x\r\nX-CamelCase: 1\r\n\r\n")
			request := strings.Contains(body, "SOAPAction: x\r\n") && strings.Contains(body, "X-CamelCase: 1\r\n")
			if answer.StatusCode != http.StatusOK || request != c.kept ||
				strings.Contains(raw, "X-Mixed-Case: ") != c.kept {
				t.Errorf("%s, from %q to %s: %d\n%s\n%s", delivery, c.from, c.host, answer.StatusCode, body, raw)
			}
		}
	}
}
