package local

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

// A preflight request is answered by the proxy whose route has cors, whatever page asks, and reaches no application;
// try says the same.
//
// Field: routes.cors
func TestPreflightsInTry(t *testing.T) {
	m := inline(t, map[string]string{"mesh.cue": `package m

mesh: {name: "m", trustDomain: "m.example"}
services: shop: {
	workload: deployment: "shop"
	ports: http: {port: 8080, protocol: "http"}
	allow: [{from: gateways: ["edge"]}]
	routes: [
		{match: path: prefix: "/own", to: [{}], cors: origins: ["https://a.example"]},
		{match: path: prefix: "/cors/moved", redirect: path: "/own"},
		{match: path: prefix: "/cors/said", directResponse: status: 204},
	]
}
gateways: edge: {
	listeners: http: port: 8080
	routes: [
		{match: path: prefix: "/cors", to: [{service: "shop"}], cors: origins: ["https://a.example"]},
		{match: path: prefix: "/aborted", to: [{service: "shop"}], cors: origins: ["https://a.example"], fault: abort: status: 418},
		{to: [{service: "shop"}]},
	]
	uses: shop: {}
}
`})
	_, address, _ := strings.Cut(start(t, m).Gateway("edge").URL, "://")
	asks := []string{"origin", "https://a.example", "access-control-request-method", "PUT"}
	for _, path := range []string{"/cors", "/own", "/aborted", "/plain", "/cors/moved", "/cors/said"} {
		for _, method := range []string{http.MethodOptions, http.MethodGet} {
			for _, headers := range [][]string{
				nil, asks, asks[:2], asks[2:],
				{"origin", "https://b.example", "access-control-request-method", "PUT"},
			} {
				r := try.Request{
					From: try.Sender{Kind: ir.KindGateway, Name: "edge"}, Method: method, Scheme: "http",
					Host: "x.example", Port: 8080, Path: path, IP: netip.MustParseAddr("127.0.0.1"),
				}
				for i := 0; i < len(headers); i += 2 {
					r.Headers = append(r.Headers, ir.Header{Name: headers[i], Value: headers[i+1]})
				}
				trial, err := try.Try(m, r)
				if err != nil {
					t.Fatal(err)
				}
				got := send(t, clientAt(t, "127.0.0.1"), method, "http://"+address+path, headers...)
				if status := triedStatus(t, m, r, nil); got.status != status ||
					(got.report != nil) != (len(trial.Reaches) > 0) {
					t.Errorf("%s %s with %q: %d %s, and try says %d", method, path, headers, got.status, got.body,
						status)
				}
			}
		}
	}
}
