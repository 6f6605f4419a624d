//go:build e2e && linux

package redirect_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/host/redirect"
	"github.com/meshc/meshc/identity/ca"
)

// exchange dials as a user from an address of the host, sends a request, and is what comes.
func (h host) exchange(t *testing.T, user int, source, to, request string) (text string) {
	t.Helper()
	h.do(t, user, func() {
		dialer := net.Dialer{Timeout: 5 * time.Second}
		if source != "" {
			dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(source)}
		}
		conn, err := dialer.DialContext(t.Context(), "tcp", to)
		if err != nil {
			return
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		if request == "" {
			text, _ = bufio.NewReader(conn).ReadString('\n')
			return
		}
		if _, err := io.WriteString(conn, request); err != nil {
			return
		}
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return
		}
		defer answer.Body.Close()
		body, _ := io.ReadAll(answer.Body)
		text = fmt.Sprint(answer.StatusCode, " ", string(body))
	})
	return strings.TrimSpace(text)
}

// With an address for its metrics, a proxy reaches its administration from there alone, and nothing else on loopback
// that it did not before.
func TestAdministrationFromOneAddress(t *testing.T) {
	client, _ := newHosts(t)
	for _, address := range []string{"127.0.0.1:15000", "127.0.0.1:9000", "[::1]:15000"} {
		client.echo(t, address, "loopback")
	}
	for name, local := range map[string][]uint16{"ports that are named": {8080}, "all but the administration's": nil} {
		var err error
		client.do(t, 0, func() {
			err = redirect.Apply(redirect.Rules{
				InboundPort: 15006, OutboundPort: 15001, ProxyUser: proxyUser, AdminPort: 15000, LocalPorts: local,
				AdminSource: netip.MustParseAddr(ir.MetricsSource),
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := client.exchange(t, proxyUser, ir.MetricsSource, "127.0.0.1:15000", ""); got != "loopback" {
			t.Errorf("%s: the proxy does not reach its administration: %q", name, got)
		}
		for _, c := range []struct{ source, to string }{
			{"", "127.0.0.1:15000"},
			{"127.0.0.1", "127.0.0.1:15000"},
			{"127.0.0.91", "127.0.0.1:15000"},
			{"", "[::1]:15000"},
		} {
			if got := client.exchange(t, proxyUser, c.source, c.to, ""); got != "" {
				t.Errorf("%s: the proxy reaches %s from %q: %q", name, c.to, c.source, got)
			}
		}
		if got := client.exchange(t, proxyUser, ir.MetricsSource, "127.0.0.1:9000", ""); local != nil && got != "" {
			t.Errorf("%s: the proxy reaches another port from %s: %q", name, ir.MetricsSource, got)
		}
	}
}

// Behind redirection the metrics of a proxy are read from another host, by who is in the ranges, and the rules that
// keep the proxy from its own administration hold.
func TestMetricsBehindRedirection(t *testing.T) {
	client, server := newHosts(t)
	dir, err := os.MkdirTemp("", "meshc-metrics-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	authority, err := ca.InMemory()
	if err != nil {
		t.Fatal(err)
	}
	m := compile(t, fmt.Sprintf(spec, "10.99.0.1", `endpoints: [{address: "10.99.0.2"}]`, dir)+
		"\nmesh: telemetry: metrics: scraper: ipRanges: [\"10.99.0.1\"]\n")
	server.do(t, 0, func() {
		err = redirect.Apply(redirect.Rules{
			InboundPort: 15006, OutboundPort: 15001, ProxyUser: proxyUser, AdminPort: 15000,
			LocalPorts: []uint16{53, 8080}, ExcludeInboundPorts: []uint16{ir.DefaultMetricsPort},
			AdminSource: netip.MustParseAddr(ir.MetricsSource),
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	server.proxy(t, m, "web", dir, authority)
	const request = "GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
	at := fmt.Sprint("10.99.0.2:", ir.DefaultMetricsPort)
	if got := client.exchange(t, 0, "", at, request); !strings.HasPrefix(got, "200 ") ||
		!strings.Contains(got, "envoy_server_live{} 1") {
		t.Errorf("the scraper reads %.300q", got)
	}
	if got := client.exchange(t, 0, "10.98.0.1", at, request); got != "" {
		t.Errorf("from an address outside the ranges: %.300q", got)
	}
	if got := client.exchange(t, 0, "", "10.99.0.2:15000", request); got != "" {
		t.Errorf("the administration answers another host: %.300q", got)
	}
}
