package local

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/ir"
)

// causesMesh logs what fails.
const causesMesh = `package shop

mesh: {
	name: "shop", trustDomain: "shop.example"
	silence: {MC1307: "-", MC1701: "-", MC1704: "-"}
	telemetry: accessLog: {}
}
services: [string]: namespace: "shop"
services: [=~"gone|calls|late"]: outliers: consecutive5xx: 1000000
services: {
	client: {workload: deployment: "client", uses: {gone: {}, calls: {}, late: {}}}
	gone: {
		workload: deployment: "gone"
		ports: http: {port: 8081, protocol: "http"}
		allow: [{from: services: ["client"]}]
		health: {http: path: "/healthz", interval: "100ms", timeout: "1s", unhealthyAfter: 1, healthyAfter: 1}
		loadBalancer: panicThreshold: 0
		routes: [{name: "to nobody", match: path: prefix: "/"}]
	}
	calls: {
		workload: deployment: "calls"
		ports: grpc: {port: 8082, protocol: "grpc"}
		allow: [{from: services: ["client"]}]
		routes: [{name: "to calls", match: path: prefix: "/"}]
	}
	late: {
		workload: deployment: "late"
		ports: http: {port: 8083, protocol: "http"}
		allow: [{from: services: ["client"]}]
		routes: [{name: "to late", match: path: prefix: "/"}]
	}
}
`

// Causes that are neither an answer of an application nor a rule are named by log and metric, with the route's place in
// the spec: no healthy instance, a status of gRPC behind a good one of HTTP, and a certificate whose time is over.
func TestCausesNameTheLine(t *testing.T) {
	shop := inline(t, map[string]string{"mesh.cue": causesMesh}).Clone()
	shop.Certificates.Lifetime, shop.Certificates.RenewBefore = ir.Duration(4*time.Second), ir.Duration(3*time.Second)
	m := start(t, shop)
	client := m.As("client").Client()
	const caller = "service/client/a"
	check := func(route string, want, metric map[string]any) {
		t.Helper()
		want["caller"], want["http.route"] = logClient, route
		want["source"] = line(t, causesMesh, `"`+route+`"`)
		logged(t, m, caller, want)
		eventually(t, "the metric of "+route, func() bool {
			for name := range scraped(t, m, caller, "envoy_meshc_http_client_failures{") {
				has := map[string]any{}
				for label, value := range labels(name) {
					has[label] = value
				}
				if all(has, metric) {
					return true
				}
			}
			return false
		})
	}
	m.Backend("gone", "a").Close()
	eventually(t, "no healthy instance", func() bool {
		a := send(t, client, http.MethodGet, "http://gone:8081/")
		return a.status == http.StatusServiceUnavailable && strings.Contains(a.body, "no healthy upstream")
	})
	check("to nobody", map[string]any{
		"error.type": "NoHealthyUpstream", "callee": "gone.shop", "http.response.status_code": 503,
	}, map[string]any{"callee": "gone.shop", "error_type": "NoHealthyUpstream", "http_response_status_code": "503"})
	play(t, m, "calls", "a", statusInTrailers("14"))
	if a := send(t, client, http.MethodPost, "http://calls:8082/shop.Calls/One", "content-type", "application/grpc",
		"te", "trailers"); a.status != http.StatusOK {
		t.Error(a.status, a.body)
	}
	check("to calls", map[string]any{
		"rpc.grpc.status_code": 14, "callee": "calls.shop", "http.response.status_code": 200,
	}, map[string]any{"callee": "calls.shop", "rpc_grpc_status_code": "14", "http_response_status_code": "200"})
	m.certificates.stop()
	eventually(t, "the end of the certificates", func() bool {
		return send(t, client, http.MethodGet, "http://late:8083/").status == http.StatusServiceUnavailable
	})
	check("to late", map[string]any{"error.type": "UpstreamConnectionFailure", "callee": "late.shop"}, map[string]any{
		"callee": "late.shop", "error_type": "UpstreamConnectionFailure", "http_response_status_code": "503",
	})
	expired := func(l map[string]any) bool {
		reason, _ := l["failure"].(string)
		return l["http.route"] == "to late" && strings.Contains(reason, "CERTIFICATE")
	}
	if lines := logLines(t, m, caller); !slices.ContainsFunc(lines, expired) {
		t.Errorf("no line tells that it was the certificate: %v", lines)
	}
}
