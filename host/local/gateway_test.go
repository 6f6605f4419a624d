package local

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/quic-go/quic-go/http3"
)

// edge is a client of the gateway's listener that trusts its certificates and
// names that host in the handshake.
func edge(t *testing.T, listener, sni string, with func(*tls.Config)) (c *http.Client, address string) {
	t.Helper()
	mesh := trafficMesh(t)
	_, address, _ = strings.Cut(mesh.Gateway("edge").Listeners[listener], "://")
	config := &tls.Config{RootCAs: mesh.applications.stubs.roots, ServerName: sni}
	if with != nil {
		with(config)
	}
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}, address
}

// Listeners on one port are told apart by the name in the handshake, and each
// serves its own hosts with its own certificate.
//
// Field: listeners.tls
// Field: listeners.hosts
func TestGatewayTLS(t *testing.T) {
	for _, c := range []struct {
		sni, host string
		status    int
	}{
		{"shop.example", "shop.example", http.StatusNoContent},
		{"a.partner.example", "a.partner.example", http.StatusOK},
		{"shop.example", "a.partner.example", http.StatusMisdirectedRequest}, // another listener's host
		{"a.partner.example", "shop.example", http.StatusMisdirectedRequest},
		{"shop.example", "nobodys.example", http.StatusNotFound},
		{"other.example", "shop.example", 0}, // a name that no listener has
		{"partner.example", "shop.example", 0},
	} {
		client, address := edge(t, "https", c.sni, nil)
		a, err := trySend(t.Context(), client, http.MethodGet, "https://"+address+"/health", "host", c.host)
		if a.status != c.status || (err == nil) != (c.status != 0) {
			t.Errorf("SNI %s, host %s: %d, %v", c.sni, c.host, a.status, err)
		}
	}
	for version, good := range map[uint16]bool{
		tls.VersionTLS11: false, tls.VersionTLS12: false,
		tls.VersionTLS13: true,
	} {
		client, address := edge(t, "https", "shop.example",
			func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, version })
		if _, err := trySend(t.Context(), client, http.MethodGet, "https://"+address+"/health", "host",
			"shop.example"); (err == nil) != good {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
	}
	client, address := edge(t, "https-partner", "a.partner.example",
		func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 })
	if a := send(t, client, http.MethodGet, "https://"+address+"/health", "host",
		"a.partner.example"); a.body != "partner" {
		t.Errorf("TLS 1.2 where it is let in: %d %s", a.status, a.body)
	}
}

// A client without a certificate of the named roots is not let in, unless that is
// optional.
//
// Field: listeners.tls.clientCertificates
func TestGatewayClientCertificates(t *testing.T) {
	mesh := trafficMesh(t)
	known, err := mesh.applications.stubs.issue([]string{"client.example"})
	if err != nil {
		t.Fatal(err)
	}
	others, err := newStubAuthority(filepath.Join(t.TempDir(), "other.crt"))
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := others.issue([]string{"client.example"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		listener    string
		certificate *tls.Certificate
		good        bool
	}{
		{"mutual", known, true},
		{"mutual", foreign, false},
		{"mutual", nil, false},
		{"mutual-optional", known, true},
		{"mutual-optional", foreign, false},
		{"mutual-optional", nil, true},
	} {
		client, address := edge(t, c.listener, "shop.example", func(config *tls.Config) {
			config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				// even one that the server does not ask for
				if c.certificate == nil {
					return &tls.Certificate{}, nil
				}
				return c.certificate, nil
			}
		})
		if _, err := trySend(t.Context(), client, http.MethodGet,
			"https://"+address+"/health"); (err == nil) != c.good {
			t.Errorf("%s, known %t, foreign %t: %v", c.listener, c.certificate == known, c.certificate == foreign, err)
		}
	}
}

// A route takes requests of the listeners that it names, and of no others.
//
// Field: routes.match.listeners
func TestGatewayRouteListeners(t *testing.T) {
	for listener, want := range map[string]string{
		"http": "http or mutual", "https": "https", "https-partner": "",
		"mutual-optional": "",
	} {
		sni, scheme := "shop.example", "https"
		switch listener {
		case "http":
			scheme = "http"
		case "https-partner":
			sni = "a.partner.example"
		}
		client, address := edge(t, listener, sni, nil)
		a := send(t, client, http.MethodGet, scheme+"://"+address+"/at", "host", sni)
		if want == "" && a.status != http.StatusNotFound || want != "" && string(a.body) != want {
			t.Errorf("%s answers %d %q, want %q", listener, a.status, a.body, want)
		}
	}
}

// A listener sends clients to another one, path, query and method kept.
//
// Field: listeners.redirectTo
func TestGatewayRedirectTo(t *testing.T) {
	client, address := edge(t, "plain", "", nil)
	_, https, _ := strings.Cut(trafficMesh(t).Gateway("edge").Listeners["https"], "://")
	_, port, err := net.SplitHostPort(https)
	if err != nil {
		t.Fatal(err)
	}
	got := exchange(t, client, "POST", "http://"+address+"/a/b?c=d", "body")
	if want := "https://127."; got.status != http.StatusPermanentRedirect ||
		!strings.HasPrefix(got.header.Get("location"), want) ||
		!strings.HasSuffix(got.header.Get("location"), ":"+port+"/a/b?c=d") {
		t.Errorf("%d %s, want %s…:%s", got.status, got.header.Get("location"), want, port)
	}
}

// Bytes, TLS that ends at the gateway, and TLS that is passed through by its SNI.
//
// Field: listeners.protocol
// Field: listeners.to
func TestGatewayConnections(t *testing.T) {
	says := func(conn net.Conn) (string, error) {
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		if _, err := io.WriteString(conn, "hello\n"); err != nil {
			return "", err
		}
		return bufio.NewReader(conn).ReadString('\n')
	}
	_, address := edge(t, "tcp", "", nil)
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if line, err := says(conn); err != nil || line == "" {
		t.Errorf("tcp: %q, %v", line, err)
	}
	roots := trafficMesh(t).applications.stubs.roots
	_, address = edge(t, "tcp-tls", "", nil)
	secure, err := tls.Dial("tcp", address, &tls.Config{RootCAs: roots, ServerName: "shop.example"})
	if err != nil {
		t.Fatal(err)
	}
	if line, err := says(secure); err != nil || line == "" {
		t.Errorf("tcp in TLS: %q, %v", line, err)
	}
	client, address := edge(t, "through", "behind", nil) // the certificate is the application's own
	if a := send(t, client, http.MethodGet, "https://"+address+"/"); a.report == nil || a.report.Service != "behind" {
		t.Errorf("passed through: %d %s", a.status, a.body)
	}
	if conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, ServerName: "other"}); err == nil {
		conn.Close()
		t.Error("a name that no listener has was let through")
	}
}

// A client learns by alt-svc that there is HTTP/3, and gets its answer over it.
//
// Field: listeners.http3
func TestGatewayHTTP3(t *testing.T) {
	client, address := edge(t, "https", "shop.example", nil)
	got := exchange(t, client, "GET", "https://"+address+"/health", "", "host", "shop.example")
	if got.status != http.StatusNoContent {
		t.Fatalf("%d", got.status)
	}
	_, port, _ := net.SplitHostPort(address)
	if want := fmt.Sprintf(`h3=":%s"; ma=86400`, port); got.header.Get("alt-svc") != want {
		t.Errorf("alt-svc is %q, want %q", got.header.Get("alt-svc"), want)
	}
	transport := &http3.Transport{TLSClientConfig: &tls.Config{
		RootCAs:    trafficMesh(t).applications.stubs.roots,
		ServerName: "shop.example",
	}}
	defer transport.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address+"/api/rewrite/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "shop.example"
	answer, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if a := answerOf(answer.StatusCode, body); answer.Proto != "HTTP/3.0" || a.report == nil ||
		a.report.Service != "inner" {
		t.Errorf("%s %d %s", answer.Proto, answer.StatusCode, body)
	}
}

// Answers are compressed in the way that the gateway likes best of those that the client takes. A part of one is not:
// users' reports are envoyproxy/envoy#23850, #46199 and #28828.
//
// Field: compression
func TestCompression(t *testing.T) {
	client, address := edge(t, "http", "", nil)
	url := "http://" + address + "/api/rewrite/" + strings.Repeat("long", 100)
	for accept, want := range map[string]string{"gzip": "gzip", "gzip, zstd": "zstd", "br": "", "": ""} {
		got := exchange(t, client, "GET", url, "", "accept-encoding", accept)
		if got.header.Get("content-encoding") != want {
			t.Errorf("accept-encoding %q: %q", accept, got.header.Get("content-encoding"))
		}
		if want == "zstd" {
			plain, err := zstd.NewReader(strings.NewReader(got.body))
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(plain)
			plain.Close()
			if err != nil || !strings.Contains(string(text), `"service": "inner"`) {
				t.Errorf("%q, %v", text, err)
			}
		}
	}
	if got := exchange(t, client, "GET", url+"?status=206", "", "accept-encoding",
		"gzip"); got.status != http.StatusPartialContent || got.header.Get("content-encoding") != "" {
		t.Errorf("a part: %d, %q", got.status, got.header.Get("content-encoding"))
	}
	if got := exchange(t, client, "GET", "http://"+address+"/moved", "", "accept-encoding",
		"gzip"); got.header.Get("content-encoding") != "" {
		t.Error("a short answer is compressed")
	}
}

// A renewed certificate is taken while requests are under way, and no connection
// is closed for it.
//
// Field: listeners.tls.secret
func TestGatewayCertificateIsReplaced(t *testing.T) {
	mesh := trafficMesh(t)
	client, address := edge(t, "https", "shop.example", nil)
	serial := func() string {
		conn, err := tls.Dial("tcp", address, &tls.Config{
			RootCAs:    mesh.applications.stubs.roots,
			ServerName: "shop.example",
		})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	before := serial()
	var stop atomic.Bool
	failures := make(chan error, 1)
	sent := 0
	go func() {
		defer close(failures)
		for !stop.Load() {
			a, err := trySend(t.Context(), client, http.MethodGet, "https://"+address+"/health", "host", "shop.example")
			if err != nil || a.status != http.StatusNoContent {
				failures <- fmt.Errorf("request %d: %d, %v", sent, a.status, err)
				return
			}
			sent++
		}
	}()
	dir := filepath.Join(mesh.Placed().Gateway("edge").Proxy.SecretDirectory, "shop")
	if err := mesh.applications.stubs.writeSecret(dir, []string{"shop.example"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new certificate", func() bool { return serial() != before })
	stop.Store(true)
	for err := range failures {
		t.Error(err)
	}
	if n := counted(t, mesh, "gateway/edge/a", `^http\.gateway\|https\.downstream_cx_total$`); sent == 0 || n == 0 {
		t.Errorf("%d requests over %d connections", sent, n)
	}
}
