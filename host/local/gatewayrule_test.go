package local

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

// A gateway with rules of each sort, listeners of each sort, and a service that lets it in.
const clientRulesMesh = `package m

mesh: {
	name: "m", trustDomain: "m.example", silence: {MC1701: "-", MC1702: "-"}
	jwt: issuers: accounts: {
		issuer: "https://accounts.example", audiences: ["shop"], jwks: inline: #"""
			KEYS
			"""#
		forward: {token: false, claims: sub: "x-user"}
	}
}
services: {
	shop: {workload: deployment: "shop", ports: http: {port: 8080, protocol: "http"}, allow: [{from: gateways: ["edge"]}]}
	bytes: {workload: deployment: "bytes", ports: bytes: {port: 5432, protocol: "tcp"}, allow: [{from: gateways: ["edge"]}]}
}
gateways: edge: {
	listeners: {
		plain: port: 8080
		hop: {port: 8081, clientIPDetection: numTrustedHops: 1}
		hops: {port: 8082, clientIPDetection: numTrustedHops: 2}
		ranged: {port: 8083, clientIPDetection: {numTrustedHops: 1, trustedCIDRs: ["127.0.0.61"]}}
		proxy: {port: 8084, clientIPDetection: proxyProtocol: true}
		secure: {port: 8443, tls: secret: "a", http3: true}
		mutual: {port: 8444, tls: {secret: "a", clientCertificates: {secret: "clients", optional: true}}}
		tcp: {port: 5432, protocol: "tcp", to: service: "bytes"}
		ends: {port: 5433, protocol: "tcp", tls: secret: "a", to: service: "bytes", clientIPDetection: proxyProtocol: true}
		redirects: {port: 8085, redirectTo: "secure"}
	}
	routes: [
		{name: "answers", match: path: exact: "/public/answer", directResponse: {status: 299, body: "told"}},
		{name: "admin", match: path: prefix: "/admin/", to: [{service: "shop"}], cors: {origins: ["https://a.example"], methods: ["GET"]}},
		{name: "shop", match: path: prefix: "/", to: [{service: "shop"}]},
	]
	uses: {shop: {}, bytes: {}}
	allow: [
		{name: "office", from: ipRanges: ["203.0.113.0/24", "2001:db8::/32", "127.0.0.60"], methods: ["GET"]},
		{name: "public", from: anyone: true, paths: ["/public/*", "/exact"]},
		{name: "api", from: anyone: true, hosts: ["api.example", "*.sub.example"]},
		{name: "version", from: anyone: true, headers: "x-version": exact: "2"},
		{name: "partner", from: certificates: ["DNS:client.example", "URI:spiffe://partner.example/*"], listeners: ["mutual"]},
		{name: "token", from: anyone: true, paths: ["/admin/*"], jwt: {issuer: "accounts", claims: role: ["admin"]}},
		{name: "preflight", from: anyone: true, methods: ["OPTIONS"], headers: "access-control-request-method": present: true},
		{name: "db", from: ipRanges: ["203.0.113.0/24", "127.0.0.60"], listeners: ["tcp", "ends"]},
	]
	deny: [
		{name: "blocked", from: ipRanges: ["203.0.113.66"]},
		{name: "secret", from: anyone: true, paths: ["/public/secret/*"]},
		{name: "debug", from: anyone: true, headers: "x-debug": present: true},
		{name: "hidden", from: anyone: true, hosts: ["hidden.sub.example"]},
	]
}
`

// clientRules starts the mesh, whose tokens a key set signs.
func clientRules(t *testing.T) (*Mesh, *ir.Mesh, *keySet) {
	t.Helper()
	keys := newKeySet(t)
	m := inline(t, map[string]string{"mesh.cue": strings.Replace(clientRulesMesh, "KEYS", keys.public(t), 1)})
	return start(t, m), m, keys
}

// The rules of a gateway hold for requests of HTTP/1.1, 2 and 3 alike, however paths, hosts and headers are spelled,
// and try says so too. Hosts are compared as routes compare them: with a port users were not let in (istio/istio#44080,
// #39810), and with another case a rule of deny was passed (GHSA-7774-7vr3-cc8j). Browsers ask without a token before
// they send one, which needs a rule (istio/istio#45716).
//
// Field: allow.hosts
// Field: deny
func TestGatewayRules(t *testing.T) {
	mesh, m, keys := clientRules(t)
	admin, guest := keys.token(t, buyer().set("role", "admin")), keys.token(t, buyer().set("role", "guest"))
	other := newKeySet(t).token(t, buyer().set("role", "admin"))
	for _, c := range clientCases(admin, guest, other) {
		for protocol, listener := range map[string]string{"HTTP/1.1": "plain", "HTTP/2": "secure", "HTTP/3": "secure"} {
			got := c.from + " " + c.method + " " + c.host + c.path
			a := overProtocol(t, protocol, mesh.Gateway("edge").Listeners[listener], c.from, c.method, c.host, c.path, c.headers)
			if a.status != c.status {
				t.Errorf("%s by %s with %q: %d, want %d: %s", got, protocol, c.headers, a.status, c.status, a.body)
			}
			if a.report != nil && a.report.Headers["x-user"] == "root" {
				t.Errorf("%s by %s: the application was told of a user by the client", got, protocol)
			}
		}
		if len(c.headers) > 0 && c.headers[0] == "authorization" { // try does not read tokens
			continue
		}
		host, _, _ := strings.Cut(c.host, ":")
		r := try.Request{
			From: try.Sender{Kind: ir.KindGateway, Name: "edge"}, Method: c.method, Scheme: "http", Host: host, Port: 8080,
			Path: c.path, IP: netip.MustParseAddr(c.from),
		}
		for i := range c.headers {
			if i%2 == 0 {
				c.headers[i] = strings.ToLower(c.headers[i])
			}
		}
		if got := triedStatus(t, m, r, c.headers); got != c.status {
			t.Errorf("%s %s %s%s with %q: try says %d, want %d", c.from, c.method, c.host, c.path, c.headers, got, c.status)
		}
	}
}

// clientCase is a request from an address, and how it is answered.
type clientCase struct {
	from, method, host, path string
	headers                  []string
	status                   int
}

// clientCases are requests in many spellings, and with tokens: of two roles, and of another issuer.
func clientCases(admin, guest, other string) []clientCase {
	return []clientCase{
		{theProxy, "GET", "x.example", "/", nil, 200},
		{someProxy, "GET", "x.example", "/", nil, 403},
		{theProxy, "POST", "x.example", "/", nil, 403},
		{someProxy, "GET", "x.example", "/", []string{"x-forwarded-for", aClient}, 403},
		{someProxy, "GET", "x.example", "/", []string{"x-real-ip", aClient, "forwarded", "for=" + aClient}, 403},
		{theProxy, "GET", "x.example", "/", []string{"x-forwarded-for", another}, 200},
		{someProxy, "POST", "x.example", "/public/a", nil, 200},
		{someProxy, "GET", "x.example", "/public/answer", nil, 299},
		{someProxy, "GET", "x.example", "/public", nil, 403},
		{someProxy, "GET", "x.example", "/exact", nil, 200},
		{someProxy, "GET", "x.example", "/exact?a=/b", nil, 200},
		{someProxy, "GET", "x.example", "/exact/", nil, 403},
		{someProxy, "GET", "x.example", "/Public/a", nil, 403},
		{someProxy, "GET", "x.example", "/public/../admin", nil, 403},
		{someProxy, "GET", "x.example", "/public/%2e%2e/admin", nil, 403},
		{someProxy, "GET", "x.example", "/public%2fa", nil, 400},
		{someProxy, "GET", "x.example", "/public/a%2f..%2f..%2fadmin", nil, 400},
		{someProxy, "GET", "x.example", "/public/..;/admin", nil, 403},
		{someProxy, "GET", "x.example", "/public/%2e%2e;/admin", nil, 400},
		{someProxy, "GET", "x.example", "//public//a", nil, 200},
		{someProxy, "GET", "x.example", "/x/../public/a", nil, 200},
		{someProxy, "GET", "x.example", "/public/secret/a", nil, 403},
		{someProxy, "GET", "x.example", "/public//secret/a", nil, 403},
		{someProxy, "GET", "x.example", "/public/%73ecret/a", nil, 403},
		{someProxy, "GET", "x.example", "/public/x/../secret/a", nil, 403},
		{someProxy, "GET", "x.example", "/admin?/public/a", nil, 403},
		{someProxy, "GET", "api.example", "/", nil, 200},
		{someProxy, "GET", "API.Example", "/", nil, 200},
		{someProxy, "GET", "api.example:8080", "/", nil, 200},
		{someProxy, "GET", "api.example.", "/", nil, 200},
		{someProxy, "GET", "a.b.sub.example", "/", nil, 200},
		{someProxy, "GET", "sub.example", "/", nil, 403},
		{someProxy, "GET", "api.example.evil", "/", nil, 403},
		{someProxy, "GET", "xapi.example", "/", nil, 403},
		{someProxy, "GET", "hidden.sub.example", "/", nil, 403},
		{someProxy, "GET", "HIDDEN.sub.example:80", "/", nil, 403},
		{someProxy, "GET", "hidden.sub.example.", "/", nil, 403},
		{someProxy, "GET", "x.example", "/", []string{"x-version", "2"}, 200},
		{someProxy, "GET", "x.example", "/", []string{"X-Version", "2"}, 200},
		{someProxy, "GET", "x.example", "/", []string{"x-version", "22"}, 403},
		{theProxy, "GET", "x.example", "/", []string{"x-debug", ""}, 403},
		{theProxy, "GET", "x.example", "/", []string{"X-DEBUG", "1"}, 403},
		{someProxy, "GET", "x.example", "/admin/a", bearer(admin), 200},
		{someProxy, "GET", "x.example", "/admin/a", bearer(guest), 403},
		{someProxy, "GET", "x.example", "/admin/a", bearer(other), 401},
		{someProxy, "GET", "x.example", "/public/a", bearer(other), 401},
		{someProxy, "GET", "x.example", "/admin/a", nil, 403},
		{someProxy, "GET", "x.example", "/admin/a", []string{"authorization", "bearer " + admin}, 403},
		{someProxy, "GET", "x.example", "/", bearer(admin), 403},
		{someProxy, "OPTIONS", "x.example", "/admin/a", []string{"origin", "https://a.example", "access-control-request-method", "GET"}, 200},
		{someProxy, "OPTIONS", "x.example", "/admin/a", nil, 403},
	}
}

// overProtocol sends a request from an address to a listener, by one version of HTTP, with a user of the client's own.
func overProtocol(t *testing.T, protocol, listener, from, method, host, path string, headers []string) answer {
	t.Helper()
	_, address, _ := strings.Cut(listener, "://")
	config := &tls.Config{InsecureSkipVerify: true, ServerName: "x.example"}
	client, scheme := clientAt(t, from), "https"
	switch protocol {
	case "HTTP/1.1":
		scheme = "http"
	case "HTTP/2":
		client.Transport.(*http.Transport).ForceAttemptHTTP2 = true
		client.Transport.(*http.Transport).TLSClientConfig = config
	case "HTTP/3":
		socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(from)})
		if err != nil {
			t.Fatal(err)
		}
		defer socket.Close()
		transport := &quic.Transport{Conn: socket}
		defer transport.Close()
		h3 := &http3.Transport{
			TLSClientConfig: config,
			Dial: func(ctx context.Context, addr string, c *tls.Config, q *quic.Config) (*quic.Conn, error) {
				to, err := net.ResolveUDPAddr("udp4", addr)
				if err != nil {
					return nil, err
				}
				return transport.Dial(ctx, to, c, q)
			},
		}
		defer h3.Close()
		client.Transport = h3
	}
	r, err := http.NewRequestWithContext(t.Context(), method, scheme+"://"+address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	r.Header.Set("x-user", "root")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	response, err := client.Do(r)
	if err != nil {
		t.Fatalf("%s %s%s: %v", protocol, host, path, err)
	}
	defer response.Body.Close()
	if got := fmt.Sprintf("HTTP/%d", response.ProtoMajor); !strings.HasPrefix(protocol, got) {
		t.Fatalf("%s was spoken in the place of %s", got, protocol)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answerOf(response.StatusCode, body)
}

// Addresses in rules of a gateway are those of clients, as its listener learns them: the one before the trusted hops
// and no other of x-forwarded-for (istio/istio#55722, envoyproxy/envoy#33662), that of the PROXY protocol and not of
// the load balancer's connection (envoyproxy/envoy#5267, istio/istio#21916), and nobody's word who is not trusted
// (envoyproxy/gateway#8542).
//
// Field: allow.from.ipRanges
func TestGatewayRulesByAddress(t *testing.T) {
	mesh, m, _ := clientRules(t)
	xff := func(value string) []string { return []string{"x-forwarded-for", value} }
	cases := []behindCase{
		{"hop", someProxy, bare, "", xff(aClient), 200, ""},
		{"hop", someProxy, bare, "", xff("2001:db8::5"), 200, ""},
		{"hop", someProxy, bare, "", xff(another + ", " + aClient), 200, ""},
		{"hop", someProxy, bare, "", xff(aClient + ", " + another), 403, ""},
		{"hop", someProxy, bare, "", xff(another), 403, ""},
		{"hop", someProxy, bare, "", xff("203.0.113.66"), 403, ""},
		{"hop", someProxy, bare, "", xff(aClient + ", 203.0.113.66"), 403, ""},
		{"hop", someProxy, bare, "", nil, 403, ""},
		{"hop", theProxy, bare, "", nil, 200, ""},
		{"hop", someProxy, bare, "", xff("unknown"), 403, ""},
		{"hops", someProxy, bare, "", xff(aClient + ", 10.0.0.1"), 200, ""},
		{"hops", someProxy, bare, "", xff("10.0.0.1, " + aClient), 403, ""},
		{"hops", someProxy, bare, "", xff(aClient), 403, ""},
		{"ranged", someProxy, bare, "", xff(aClient), 200, ""},
		{"ranged", "127.0.0.62", bare, "", xff(aClient), 403, ""},
		{"ranged", theProxy, bare, "", xff(another), 200, ""},
		{"plain", someProxy, bare, "", xff(aClient), 403, ""},
		{"redirects", someProxy, bare, "", nil, 308, ""},
	}
	for _, begins := range version {
		cases = append(cases,
			behindCase{"proxy", someProxy, begins, aClient, nil, 200, ""},
			behindCase{"proxy", someProxy, begins, "2001:db8::5", nil, 200, ""},
			behindCase{"proxy", theProxy, begins, another, xff(aClient), 403, ""},
			behindCase{"proxy", someProxy, begins, "203.0.113.66", nil, 403, ""},
		)
	}
	for _, c := range cases {
		got, err := c.sendTo(t, mesh, "edge")
		if got.status != c.status {
			t.Errorf("%s from %s for %q with %q: %d %s (%v)", c.listener, c.from, c.client, c.headers, got.status, got.body, err)
		}
		r := try.Request{From: try.Sender{Kind: ir.KindGateway, Name: "edge"}, Method: "GET", Scheme: "http", Host: "x.example", Port: m.Gateway("edge").Listener(c.listener).Port, Path: "/"}
		if r.IP = netip.MustParseAddr(c.from); c.client != "" {
			r.IP = netip.MustParseAddr(c.client)
		}
		if want := triedStatus(t, m, r, c.headers); want != c.status {
			t.Errorf("%s from %s for %q with %q: try says %d", c.listener, c.from, c.client, c.headers, want)
		}
	}
}

// Certificates are known by their names of one kind, after the listener has verified them. Who shows none, where that
// is optional, is a client like others.
//
// Field: allow.from.certificates
// Field: allow.listeners
func TestGatewayRulesByCertificate(t *testing.T) {
	mesh, _, _ := clientRules(t)
	listeners, stubs := mesh.Gateway("edge").Listeners, mesh.applications.stubs
	root := &tls.Certificate{PrivateKey: stubs.key, Leaf: stubs.certificate}
	others, err := newStubAuthority(filepath.Join(t.TempDir(), "other.crt"))
	if err != nil {
		t.Fatal(err)
	}
	dns := func(names ...string) func(*x509.Certificate) { return func(c *x509.Certificate) { c.DNSNames = names } }
	uri := func(name string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.ExtraExtensions = []pkix.Extension{names(t, uriName, name)} }
	}
	const partner = "spiffe://partner.example/web"
	for _, c := range []struct {
		shows  func(*x509.Certificate)
		path   string
		status int
	}{
		{dns("client.example"), "/", 200},
		{dns("other.example", "client.example"), "/", 200},
		{dns("other.example"), "/", 403},
		{dns("a.client.example"), "/", 403},
		{uri(partner), "/", 200},
		{uri("spiffe://partner.example.evil/web"), "/", 403},
		{uri("client.example"), "/", 403},
		{dns(partner), "/", 403},
		{func(c *x509.Certificate) { c.Subject.CommonName = "client.example" }, "/", 403},
		{func(c *x509.Certificate) { c.Subject.CommonName = partner }, "/", 403},
		{dns("other.example"), "/public/a", 200},
		{nil, "/public/a", 200},
		{nil, "/", 403},
	} {
		client := clientAt(t, someProxy)
		config := &tls.Config{InsecureSkipVerify: true, ServerName: "x.example"}
		shown := ""
		if c.shows != nil {
			certificate := signed(t, root, c.shows)
			config.Certificates = []tls.Certificate{*certificate}
			leaf, err := x509.ParseCertificate(certificate.Certificate[0])
			if err != nil {
				t.Fatal(err)
			}
			shown = fmt.Sprint(leaf.Subject, leaf.DNSNames, leaf.URIs)
		}
		client.Transport.(*http.Transport).TLSClientConfig = config
		a := send(t, client, "GET", listeners["mutual"]+c.path, "host", "x.example", "x-forwarded-client-cert", "DNS=client.example")
		if a.status != c.status {
			t.Errorf("%s, %s: %d, want %d", shown, c.path, a.status, c.status)
		}
	}
	foreign, err := others.issue([]string{"client.example"})
	if err != nil {
		t.Fatal(err)
	}
	client := clientAt(t, someProxy)
	client.Transport.(*http.Transport).TLSClientConfig = showing(foreign, "x.example")
	if a, err := trySend(t.Context(), client, "GET", listeners["mutual"]+"/", "host", "x.example"); err == nil {
		t.Errorf("a certificate of another authority: %d", a.status)
	}
}
