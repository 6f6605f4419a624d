package local

import (
	"crypto/tls"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/meshc/meshc/compiler/ir"
)

// provenMesh reports to a collector outside that knows who reports by a header, whose value is in a secret.
const provenMesh = `package shop

mesh: {
	name: "shop", trustDomain: "shop.example", silence: {MC1701: "-", MC1704: "-", MC1736: "-"}
	telemetry: {
		collector: {external: "otel", headers: {authorization: {secret: "otel", key: "token"}, "x-tenant": secret: "otel"}}
		accessLog: {format: "otlp", when: "all"}
		tracing: sampling: 100
	}
}
external: otel: {hosts: ["otel.example"], ports: otlp: {port: 4317, protocol: "https"}}
services: [string]: namespace: "shop"
services: {
	client: {workload: deployment: "client", uses: {server: {}, otel: {}}}
	server: {
		workload: deployment: "server"
		ports: http: {port: 8080, protocol: "http"}
		allow: [{from: services: ["client"]}]
	}
}
`

// Logs and spans reach a collector over TLS that takes none without its token; a new token is taken while the proxy
// runs. What the application itself sends to the same host has no header of the mesh, and the value is in nothing that
// the proxy tells. Users' reports: istio/istio#52873, kgateway-dev/kgateway#8494 (headers are needed, and belong in
// secrets).
//
// Field: mesh.telemetry.collector.headers.secret
// Field: mesh.telemetry.collector.headers.key
func TestReportsHaveHeaders(t *testing.T) {
	shop := inline(t, map[string]string{"mesh.cue": provenMesh})
	for _, delivery := range []ir.Delivery{ir.DeliveryXDS, ir.DeliveryStatic} {
		t.Run(string(delivery), func(t *testing.T) {
			shop := shop.Clone()
			shop.Delivery = delivery
			m := start(t, shop)
			m.External("otel").Close()
			var token atomic.Value
			token.Store("stand-in")
			var others atomic.Int32
			c, at := &collector{}, m.Placed().External("otel").Endpoints[0]
			serve := c.server()
			serveTLS(t, m, join(at.Address, at.Ports["otlp"]), func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.ProtoMajor != 2:
					if len(r.Header.Values("authorization"))+len(r.Header.Values("x-tenant")) == 0 {
						others.Add(1)
					}
				case r.Header.Get("authorization") == token.Load() && r.Header.Get("x-tenant") == "stand-in":
					serve.ServeHTTP(w, r)
				default:
					w.WriteHeader(http.StatusUnauthorized)
				}
			})
			client := m.As("client").Client()
			arrives := func(path string) {
				t.Helper()
				eventually(t, "reports of "+path, func() bool {
					get(t, client, "http://server:8080"+path)
					spans := strings.Contains(strings.Join(c.paths(), " "), path)
					return spans && len(c.having(map[string]string{"service.name": "server", "url.path": path})) > 0
				})
			}
			arrives("/first")
			if a := send(t, client, http.MethodGet, "http://otel.example:4317/mine"); a.status != http.StatusOK ||
				others.Load() != 1 {
				t.Errorf("the application's own request: %d, without headers of the mesh: %d", a.status, others.Load())
			}
			if delivery == ir.DeliveryXDS {
				token.Store("Bearer very-secret")
				for _, s := range m.Placed().Services {
					replaceFile(t, filepath.Join(s.Proxy.SecretDirectory, "otel", "token"), "Bearer very-secret\n")
				}
				arrives("/second")
			}
			for _, path := range []string{"/config_dump?include_eds", "/stats", "/clusters", "/certs"} {
				if text := administration(t, m, "service/client/a", path); strings.Contains(text, "very-secret") {
					t.Errorf("%s has the token", path)
				}
			}
		})
	}
}

// paths are those of the spans that came.
func (c *collector) paths() (out []string) {
	for _, s := range c.all() {
		out = append(out, s.has["url.path"])
	}
	return out
}

// serveTLS answers at an address with a certificate of the stand-in authority, by HTTP/1.1 and HTTP/2.
func serveTLS(t *testing.T, m *Mesh, at string, handle http.HandlerFunc) {
	t.Helper()
	l, err := listening(at)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := m.applications.stubs.issue([]string{"otel.example"})
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: handle, TLSConfig: &tls.Config{Certificates: []tls.Certificate{*certificate}}}
	go func() { _ = s.ServeTLS(l, "", "") }()
	t.Cleanup(func() { _ = s.Close() })
}

// replaceFile puts a file in another's place, as by a rename.
func replaceFile(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name+".new", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
}

// administration is what that of a proxy answers to a GET.
func administration(t *testing.T, m *Mesh, id, path string) string {
	t.Helper()
	m.mu.Lock()
	p := m.proxies[id]
	m.mu.Unlock()
	return send(t, http.DefaultClient, http.MethodGet, "http://"+p.admin+path).body
}
