package local

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

const externalsMesh = `package m

mesh: {name: "m", trustDomain: "m.example"}
services: app: {workload: deployment: "app", uses: {secure: {}, plain: {}, "secure-by-gateway": {}, "plain-by-gateway": {}}}
external: {
	secure: {hosts: ["s1.example", "bucket.s1.example"], ports: https: {port: 443, protocol: "https"}}
	plain: {hosts: ["p1.example", "bucket.p1.example"], ports: http: {port: 80, protocol: "http"}}
	"secure-by-gateway": {hosts: ["s2.example", "bucket.s2.example"], ports: https: {port: 443, protocol: "https"}, via: "exit"}
	"plain-by-gateway": {hosts: ["p2.example", "bucket.p2.example"], ports: http: {port: 80, protocol: "http"}, via: "exit"}
}
gateways: exit: {egress: {}, uses: {"secure-by-gateway": {}, "plain-by-gateway": {}}}
`

// Of an external with several hosts the one that was asked for arrives, in the request and in the handshake; what
// comes by none of them gets the first. Buckets of object stores are hosts of one address.
//
// Field: external.hosts
func TestHostsOfAnExternal(t *testing.T) {
	mesh := start(t, inline(t, map[string]string{"mesh.cue": externalsMesh}))
	client := mesh.As("app").Client()
	for _, c := range []struct{ url, host string }{
		{"http://s1.example:443/key", "s1.example"},
		{"http://bucket.s1.example:443/key", "bucket.s1.example"},
		{"http://p1.example/key", "p1.example"},
		{"http://bucket.p1.example/key", "bucket.p1.example"},
		{"http://s2.example:443/key", "s2.example"},
		{"http://bucket.s2.example:443/key", "bucket.s2.example"},
		{"http://p2.example/key", "p2.example"},
		{"http://bucket.p2.example/key", "bucket.p2.example"},
	} {
		for host, want := range map[string]string{
			c.host: c.host, strings.ToUpper(c.host): strings.ToUpper(c.host),
			c.host + ":8443": c.host + ":8443", "other.example": strings.TrimPrefix(c.host, "bucket."),
		} {
			a := send(t, client, http.MethodGet, c.url, "host", host)
			if a.report == nil {
				t.Errorf("%s, host %s: %d %s", c.url, host, a.status, a.body)
				continue
			}
			if a.report.Host != want ||
				a.report.ServerName != "" &&
					!strings.EqualFold(a.report.ServerName, strings.TrimSuffix(want, ":8443")) ||
				(a.report.ServerName == "") == strings.Contains(c.url, ":443") {
				t.Errorf("%s, host %s: arrives as %q, in the handshake %q; want %q", c.url, host, a.report.Host,
					a.report.ServerName, want)
			}
		}
	}
}

// An external gets the headers that the application sent, and the id of the request: neither where the caller is, nor
// how the user came to it, nor who it is in the mesh. Users' reports: envoyproxy/envoy#21586.
func TestExternalsLearnNothingOfCallers(t *testing.T) {
	mesh := start(t, inline(t, map[string]string{"mesh.cue": externalsMesh}))
	client := mesh.As("app").Client()
	for _, url := range []string{
		"http://s1.example:443/", "http://p1.example/", "http://s2.example:443/",
		"http://p2.example/",
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			a := send(t, client, method, url, "x-mine", "1")
			if a.report == nil {
				t.Fatalf("%s %s: %d %s", method, url, a.status, a.body)
			}
			if got := slices.Sorted(maps.Keys(a.report.Headers)); !slices.Equal(got,
				[]string{"x-mine", "x-request-id"}) {
				t.Errorf("%s %s: the external gets %v", method, url, got)
			}
		}
	}
}
