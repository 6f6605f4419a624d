package local

import (
	"crypto/tls"
	"net/http"
	"strings"
	"testing"
)

const authorityEgress = `package m

mesh: {name: "m", trustDomain: "m.example"}

services: [name=string]: workload: deployment: name
services: client: uses: outside: {}
services: other: uses: secret: {}
external: outside: {hosts: ["open.shop.example"], ports: http: {port: 80, protocol: "http"}, via: "exit"}
external: secret: {hosts: ["closed.shop.example"], ports: http: {port: 80, protocol: "http"}, via: "exit"}
gateways: exit: {egress: {}, uses: {outside: {}, secret: {}}}
`

// A member that comes to an egress gateway past its own proxy reaches the externals that it uses, by their hosts, and
// no other, whatever it names in the handshake and in the request.
func TestAuthoritiesAtEgress(t *testing.T) {
	mesh := start(t, inline(t, map[string]string{"mesh.cue": authorityEgress}))
	egress := mesh.Placed().Gateway("exit").Egress
	config := func(member, sni string) *tls.Config {
		c := asMember(t, mesh, "service/"+member)
		c.ServerName, c.NextProtos = sni, []string{"h2"}
		return c
	}
	at := join(egress.Host, egress.Port)
	good := hostileRequest{method: "GET", path: "/", host: "open.shop.example"}
	status, report := good.overHTTP2(t, at, config("client", "http.outside.egress"))
	if status != http.StatusOK || report == nil {
		t.Fatalf("what the client uses: %d", status)
	}
	good.host = "closed.shop.example"
	status, report = good.overHTTP2(t, at, config("other", "http.secret.egress"))
	if status != http.StatusOK || report == nil {
		t.Fatalf("what the other uses: %d", status)
	}
	reached := 0
	for _, sni := range []string{
		"http.outside.egress", "HTTP.Outside.EGRESS", "http.outside.egress.", "http.secret.egress",
		"HTTP.secret.egress", "closed.shop.example", "open.shop.example", "", "x",
	} {
		c := config("client", sni)
		opens := func(host string) bool {
			return opensHTTP(at, host, sni, c.NextProtos)(t, &c.Certificates[0])
		}
		if !opens("open.shop.example") {
			if opens("closed.shop.example") {
				t.Errorf("SNI %q leads to what others use", sni)
			}
			continue
		}
		for _, host := range hostileHosts {
			for _, second := range []string{"", "closed.shop.example"} {
				r := hostileRequest{method: "GET", path: "/", host: host, second: second}
				status, report := r.overHTTP2(t, at, c)
				if report == nil {
					continue
				}
				reached++
				name := strings.ToLower(strings.TrimSuffix(withoutPort(report.Host), "."))
				if report.Service != "outside" || name != "open.shop.example" {
					t.Errorf("SNI %q, %s: %d by %s as %q", sni, r, status, report.Service, report.Host)
				}
			}
		}
	}
	if reached == 0 {
		t.Error("nothing reached the external")
	}
	t.Logf("%d requests reached it", reached)
}

func withoutPort(host string) string {
	host, _, _ = strings.Cut(host, ":")
	return host
}
