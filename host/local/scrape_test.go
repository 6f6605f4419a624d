package local

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/ir"
)

// scraperMesh is metricsMesh, with somebody who reads metrics.
func scraperMesh(scraper string) string {
	return strings.Replace(metricsMesh, `silence: {`, `telemetry: metrics: {`+scraper+`}, silence: {`, 1) +
		"services: prometheus: {namespace: \"monitoring\", workload: deployment: \"prometheus\"}\n"
}

// metricsAt is where the metrics of a member's proxy are read.
func metricsAt(m *Mesh, kind ir.MemberKind, name string) string {
	if kind == ir.KindGateway {
		g := m.Placed().Gateway(name)
		return net.JoinHostPort(g.Address, fmt.Sprint(g.Proxy.MetricsPort))
	}
	s := m.Placed().Service(name)
	return net.JoinHostPort(s.Workload.Endpoints[0].Address, fmt.Sprint(s.Proxy.MetricsPort))
}

// scrape sends bytes on a connection of its own, and is what comes until it is closed.
func scrape(t *testing.T, at, request string) (status int, header http.Header, body string) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", at)
	if err != nil {
		return 0, nil, err.Error()
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(3 * time.Second)); err != nil {
		return 0, nil, err.Error()
	}
	if _, err := io.WriteString(conn, request); err != nil {
		return 0, nil, err.Error()
	}
	method, _, _ := strings.Cut(request, " ")
	answer, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		return 0, nil, err.Error()
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		text = append(text, err.Error()...)
	}
	return answer.StatusCode, answer.Header, string(text)
}

// The proxies of services and gateways have their metrics on a port, and nothing else of their administration, which
// can end a proxy, tell its whole configuration and change its log levels.
//
// Field: mesh.telemetry.metrics.port
// Field: mesh.telemetry.metrics.scraper.ipRanges
// Field: proxy.metricsPort
func TestMetricsPortIsNoAdministration(t *testing.T) {
	t.Parallel() // it waits more than it works
	m := start(t, inline(t, map[string]string{"mesh.cue": scraperMesh(`scraper: ipRanges: ["127.0.0.0/8"]`)}))
	for _, at := range []string{metricsAt(m, ir.KindService, "server"), metricsAt(m, ir.KindGateway, "edge")} {
		readMetrics(t, "at first", at)
		var all sync.WaitGroup
		for _, line := range []string{
			"GET /stats/prometheus", "GET /stats", "GET /config_dump", "GET /clusters", "GET /certs", "GET /", "GET *",
			"GET /quitquitquit", "POST /quitquitquit", "POST /metrics", "PUT /metrics", "HEAD /metrics",
			"OPTIONS /metrics", "OPTIONS *", "TRACE /metrics", "CONNECT 127.0.0.1:15000", "CONNECT /metrics",
			"GET /metrics?filter=.*", "GET /metrics?format=json", "GET /metrics?", "GET /metrics?text_readouts",
			"GET /metrics/", "GET /metrics/stats", "GET /METRICS", "GET /metrics%20", "GET /metrics;x=1",
			"GET /metrics%3Ffilter=x", "GET /metrics%23", "GET /metrics%2f..%2fquitquitquit",
			"GET /metrics/../config_dump", "GET /metrics/%2e%2e/config_dump", "GET /metrics/..;/config_dump",
			"GET /metrics\\..\\config_dump", "GET /%2e%2e/config_dump", "GET http://127.0.0.1:15000/config_dump",
			"GET http://x/metrics?usedonly", "get /metrics", "QUITQUITQUIT /quitquitquit",
		} {
			all.Go(func() { notMetrics(t, at, line+" HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n") })
		}
		for _, headers := range []string{
			"x-envoy-original-path: /quitquitquit\r\nx-http-method-override: POST\r\nx-original-url: /config_dump",
			"upgrade: websocket\r\nconnection: upgrade",
			"upgrade: h2c\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA",
		} {
			all.Go(func() { notMetrics(t, at, "GET /config_dump HTTP/1.1\r\nhost: x\r\n"+headers+"\r\n\r\n") })
		}
		for _, body := range []string{
			"content-length: 100000\r\n\r\n" + strings.Repeat("x", 100000),
			"transfer-encoding: chunked\r\n\r\nfff\r\n" + strings.Repeat("x", 0xfff) + "\r\n0\r\n\r\n",
		} {
			all.Go(func() { notMetrics(t, at, "GET /metrics HTTP/1.1\r\nhost: x\r\n"+body) })
		}
		all.Wait()
		readMetrics(t, "afterwards", at)
	}
}

// readMetrics wants the metrics of the proxy, in text whatever else the reader takes.
func readMetrics(t *testing.T, when, at string) {
	t.Helper()
	status, header, body := scrape(t, at, "GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\naccept: "+
		"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited, */*\r\n\r\n")
	if status != http.StatusOK || !strings.HasPrefix(header.Get("content-type"), "text/plain") ||
		!strings.Contains(body, "envoy_server_live{} 1") {
		t.Fatalf("%s: metrics at %s: %d %v %.200q", when, at, status, header, body)
	}
}

// notMetrics wants a request refused, or not answered at all.
func notMetrics(t *testing.T, at, request string) {
	status, _, body := scrape(t, at, request)
	if status != 0 && status < http.StatusBadRequest || strings.Contains(body, "envoy_") ||
		strings.Contains(body, "@type") {
		t.Errorf("%s: %.100q: %d %.200q", at, request, status, body)
	}
}

// Metrics are read over mutual TLS by who has the identity of the scraper, and by nobody else: neither by another
// member of the mesh, nor without a certificate, nor from another address.
//
// Field: mesh.telemetry.metrics.scraper.identity
func TestMetricsAreForTheScraper(t *testing.T) {
	const identity = `identity: "spiffe://shop.example/ns/monitoring/sa/prometheus"`
	m := start(t, inline(t, map[string]string{"mesh.cue": scraperMesh("scraper: " + identity)}))
	at := metricsAt(m, ir.KindService, "server")
	as := func(service string) (int, string) {
		t.Helper()
		return overTLS(t, at, asMember(t, m, "service/"+service))
	}
	if status, body := as("prometheus"); status != http.StatusOK || !strings.Contains(body, "envoy_server_live{} 1") {
		t.Errorf("the scraper reads %d %.200q", status, body)
	}
	// Those that take and make no calls have no connections to other members, whose age is bounded.
	for _, at := range []string{
		metricsAt(m, ir.KindService, "prometheus"), metricsAt(m, ir.KindService, "client"),
		metricsAt(m, ir.KindGateway, "edge"),
	} {
		if status, body := overTLS(t, at, asMember(t, m, "service/prometheus")); status != http.StatusOK {
			t.Errorf("the scraper reads %d %.200q at %s", status, body, at)
		}
	}
	for _, other := range []string{"client", "server"} {
		if status, body := as(other); status != 0 {
			t.Errorf("%s reads %d %.200q", other, status, body)
		}
	}
	if status, body := overTLS(t, at, &tls.Config{InsecureSkipVerify: true}); status != 0 {
		t.Errorf("without a certificate: %d %.200q", status, body)
	}
	if status, _, body := scrape(t, at, "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n"); status != 0 {
		t.Errorf("without TLS: %d %.200q", status, body)
	}

	m = start(t, inline(t, map[string]string{
		"mesh.cue": scraperMesh(`scraper: {ipRanges: ["192.0.2.7"], ` + identity + `}`),
	}))
	at = metricsAt(m, ir.KindService, "server")
	if status, body := as("prometheus"); status != 0 {
		t.Errorf("the scraper from elsewhere: %d %.200q", status, body)
	}
}

// overTLS asks for metrics over TLS; 0 and the error without an answer.
func overTLS(t *testing.T, at string, config *tls.Config) (status int, body string) {
	t.Helper()
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: config,
	}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+at+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err.Error()
	}
	return answer.StatusCode, string(text)
}
