package serve_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/identity/ca"
	"github.com/meshc/meshc/serve"
)

const scraperIdentity = "spiffe://shop.example/ns/monitoring/sa/prometheus"

// scrapedBy is the mesh of [spec], whose metrics somebody reads.
func scrapedBy(t *testing.T, scraper string) *ir.Mesh {
	t.Helper()
	return compileSpec(t, spec+"\nmesh: telemetry: metrics: scraper: "+scraper+"\n")
}

func startScraped(t *testing.T) *running {
	t.Helper()
	return start(t, func(c *serve.Config) { c.MetricsListen = "127.0.0.1:0" })
}

// ask sends a request to the address of the scraper, over TLS where there is a configuration of it, and is the status
// and the body; 0 where the connection ends without an answer.
func (r *running) ask(t *testing.T, config *tls.Config, line string) (int, string) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", r.MetricsAddr(), 30*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if config != nil {
		conn = tls.Client(conn, config)
	}
	if _, err := io.WriteString(conn, line+" HTTP/1.1\r\nhost: x\r\n\r\n"); err != nil {
		return 0, err.Error()
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

// shows is the client's side of TLS with a certificate of that identity; with none where nobody signs it.
func shows(t *testing.T, signer *ca.Authority, identity string) *tls.Config {
	t.Helper()
	config := &tls.Config{InsecureSkipVerify: true}
	if signer != nil {
		c, err := signer.Certificate(spiffeid.RequireFromString(identity), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		config.Certificates = []tls.Certificate{*c}
	}
	return config
}

// The scraper reads the metrics of the server by its identity, and nothing else of what the server tells; nobody else
// reads anything. Linkerd's components were not read under default deny, as no rule let the scraper in
// (linkerd2 10691), and rules that were for their ports opened the rest of the port too.
func TestServerMetricsAreForTheScraper(t *testing.T) {
	r := startScraped(t)
	stranger, err := ca.InMemory()
	if err != nil {
		t.Fatal(err)
	}
	scraper := shows(t, r.authority, scraperIdentity)
	const metrics = "GET /metrics"
	refused := func(what string, config *tls.Config) {
		t.Helper()
		if code, body := r.ask(t, config, metrics); code != 0 {
			t.Errorf("%s: %d %.100s", what, code, body)
		}
	}
	refused("before a mesh is loaded", scraper)
	if err := r.SetMesh(compileSpec(t, spec)); err != nil {
		t.Fatal(err)
	}
	refused("while nobody reads metrics", scraper)
	refused("while nobody reads metrics, in plain text", nil)

	if err := r.SetMesh(scrapedBy(t, `identity: "`+scraperIdentity+`"`)); err != nil {
		t.Fatal(err)
	}
	if code, body := r.ask(t, scraper, metrics); code != 200 || !strings.Contains(body, "meshc_connected_proxies 0") {
		t.Errorf("the scraper reads %d %.200s", code, body)
	}
	for _, line := range []string{
		"GET /", "GET /status", "GET /edges", "GET /mesh", "GET /healthz", "GET /readyz", "GET /page/scene",
		"POST /metrics", "DELETE /metrics", "GET /metrics/", "GET /metrics/../status", "GET //status",
	} {
		if code, body := r.ask(t, scraper, line); code < 300 || strings.Contains(body, "meshc_") {
			t.Errorf("%s: %d %.100s", line, code, body)
		}
	}
	refused("a member of the mesh", shows(t, r.authority, "spiffe://shop.example/ns/default/sa/frontend"))
	refused("the server itself", shows(t, r.authority, "spiffe://shop.example/ns/shop-system/sa/meshc"))
	refused("who has the name from another authority", shows(t, stranger, scraperIdentity))
	refused("who shows no certificate", shows(t, nil, ""))
	if code, body := r.ask(t, nil, metrics); code != 0 && code != 400 || strings.Contains(body, "meshc_") {
		t.Errorf("who speaks no TLS: %d %.100s", code, body)
	}
	all := ca.Revocation{Identity: spiffeid.RequireFromString(scraperIdentity)}
	if _, err := r.authority.Revoke(all, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := r.AuthorityChanged(); err != nil {
		t.Fatal(err)
	}
	refused("whose certificate was revoked", scraper)
}

// Addresses are those of the mesh of the moment, in plain text where the scraper has no identity.
func TestServerMetricsByAddress(t *testing.T) {
	r := startScraped(t)
	for _, c := range []struct {
		ranges string
		status int
	}{{`["127.0.0.0/8"]`, 200}, {`["192.0.2.0/24", "::1"]`, 0}, {`["192.0.2.7", "127.0.0.1"]`, 200}} {
		if err := r.SetMesh(scrapedBy(t, "ipRanges: "+c.ranges)); err != nil {
			t.Fatal(err)
		}
		if code, body := r.ask(t, nil, "GET /metrics"); code != c.status {
			t.Errorf("%s: %d %.100s", c.ranges, code, body)
		}
	}
	if code, body := r.ask(t, nil, "GET /status"); code != 404 {
		t.Errorf("/status: %d %.100s", code, body)
	}
}

// The scraper of another trust domain is known by the roots of that domain, and by no others.
func TestServerMetricsOfAnotherDomain(t *testing.T) {
	other, err := ca.InMemory()
	if err != nil {
		t.Fatal(err)
	}
	const identity = "spiffe://watch.example/ns/monitoring/sa/prometheus"
	m := compileSpec(t, fmt.Sprintf("%s\nmesh: {telemetry: metrics: scraper: identity: %q, trustDomains: \"watch.example\": bundle: %q}\n",
		spec, identity, other.Bundle()))
	r := startScraped(t)
	if err := r.SetMesh(m); err != nil {
		t.Fatal(err)
	}
	if code, body := r.ask(t, shows(t, other, identity), "GET /metrics"); code != 200 {
		t.Errorf("the scraper reads %d %.100s", code, body)
	}
	if code, body := r.ask(t, shows(t, r.authority, identity), "GET /metrics"); code != 0 {
		t.Errorf("signed by the mesh's own authority: %d %.100s", code, body)
	}
}

// Connections that end are forgotten: more of them than may be open at once, of whoever they are, keep the scraper from
// nothing.
func TestServerMetricsConnectionsEnd(t *testing.T) {
	r := startScraped(t)
	if err := r.SetMesh(scrapedBy(t, `ipRanges: ["127.0.0.0/8"]`)); err != nil {
		t.Fatal(err)
	}
	for range 40 {
		conn, err := net.DialTimeout("tcp", r.MetricsAddr(), 30*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	for n := range 40 {
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			if code, body := r.ask(t, nil, "GET /metrics"); code == 200 {
				break
			} else if time.Now().After(deadline) {
				t.Fatalf("request %d: the scraper does not get in any more: %d %s", n, code, body)
			}
		}
	}
}

// docs/metrics.md lists the metrics of the server.
func TestServerMetricsAreListed(t *testing.T) {
	r := startScraped(t)
	if err := r.SetMesh(scrapedBy(t, `ipRanges: ["127.0.0.0/8"]`)); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	_, body := r.ask(t, nil, "GET /metrics")
	names := regexp.MustCompile(`(?m)^# TYPE (meshc_\S+)`).FindAllStringSubmatch(body, -1)
	if len(names) < 10 {
		t.Errorf("there are few: %v", names)
	}
	for _, name := range names {
		if !strings.Contains(string(page), "`"+name[1]+"`") {
			t.Errorf("docs/metrics.md has no %s", name[1])
		}
	}
}
