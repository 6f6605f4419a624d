//go:build e2e && linux

package redirect_test

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/meshc/meshc/host/redirect"
	"github.com/meshc/meshc/identity/ca"
)

// network is what the two hosts have of one family of addresses.
type network struct {
	client, server, excluded, loopback string
	// unspecified is where somebody listens on all addresses, and workload how the client's proxy finds the server.
	unspecified, workload string
}

// hostPort joins an address and a port.
func hostPort(address string, port int) string { return net.JoinHostPort(address, fmt.Sprint(port)) }

// redirected are the two hosts, and the rules that are set on them.
type redirected struct {
	client, server           host
	clientRules, serverRules redirect.Rules
	network                  network
}

// Between two hosts, all TCP goes through their proxies, but for what is excluded, on
// loopback or of the proxy itself, over IPv4 and IPv6; rules are set again and
// removed without harm.
//
// Field: proxy.interception
// Field: proxy.excludeInboundPorts
// Field: proxy.excludeOutboundPorts
// Field: proxy.excludeOutboundRanges
// Field: workload.dns
func TestRedirect(t *testing.T) {
	rules := redirect.Rules{
		InboundPort: 15006, OutboundPort: 15001, ProxyUser: proxyUser, AdminPort: 15000,
		LocalPorts: []uint16{53, 8080},
	}
	r := redirected{clientRules: rules, serverRules: rules}
	r.client, r.server = newHosts(t)
	r.clientRules.ExcludeOutboundPorts = []uint16{2222}
	r.clientRules.ExcludeOutboundRanges = []netip.Prefix{
		netip.MustParsePrefix("10.98.0.0/24"),
		netip.MustParsePrefix("fd98::/64"),
	}
	r.serverRules.ExcludeInboundPorts = []uint16{2222, 7777}
	for name, n := range map[string]network{
		"IPv4": {
			"10.99.0.1", "10.99.0.2", "10.98.0.2", "127.0.0.1", "0.0.0.0", `endpoints: [{address: "10.99.0.2"}]`,
		},
		"IPv6": {"fd99::1", "fd99::2", "fd98::2", "::1", "::", `endpoints: [{address: "fd99::2"}]`},
		"DNS":  {"10.99.0.1", "10.99.0.2", "10.98.0.2", "127.0.0.1", "0.0.0.0", `dns: "web.internal"`},
	} {
		t.Run(name, func(t *testing.T) {
			r.network = n
			r.run(t)
			for _, when := range []string{"applied once", "applied twice"} {
				r.callsByName(t, when)
				r.hearsWhatIsExcluded(t, when)
				r.leavesProxyAlone(t, when)
				r.apply(t)
			}
			r.remove(t)
		})
	}
}

// run starts the applications, sets the rules and starts the proxies.
func (r *redirected) run(t *testing.T) {
	t.Helper()
	dir, err := os.MkdirTemp("", "meshc-redirect-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	m := compile(t, fmt.Sprintf(spec, r.network.client, r.network.workload, dir))
	authority, err := ca.InMemory()
	if err != nil {
		t.Fatal(err)
	}
	r.server.web(t, "127.0.0.1:8080")
	for _, port := range []int{2222, 7777, 9999} {
		r.server.echo(t, hostPort(r.network.unspecified, port), fmt.Sprint("plain ", port))
	}
	r.client.echo(t, hostPort(r.network.loopback, 9000), "on loopback")
	r.client.echo(t, hostPort(r.network.client, 9001), "on its own address")
	r.apply(t)
	r.client.proxy(t, m, "client", dir, authority)
	r.server.proxy(t, m, "web", dir, authority)
}

// apply sets the rules of both hosts.
func (r *redirected) apply(t *testing.T) {
	t.Helper()
	var err error
	r.client.do(t, 0, func() { err = redirect.Apply(r.clientRules) })
	if err == nil {
		r.server.do(t, 0, func() { err = redirect.Apply(r.serverRules) })
	}
	if err != nil {
		t.Fatal(err)
	}
}

// callsByName has the client call the server through both proxies by each of its names, and others not.
func (r *redirected) callsByName(t *testing.T, when string) {
	t.Helper()
	for _, host := range []string{
		"web", "web.default", "web.default.svc", "web.default.svc.cluster.local",
		"web:8080", "web.default.svc:8080", "WEB.default.svc.",
		"www.two.example", "WWW.Two.example:8080", "old-web.",
	} {
		if status, body := r.client.get(t, 0, hostPort(r.network.server, 8080), host); status != http.StatusOK ||
			!strings.Contains(body, "URI=spiffe://two.example/ns/default/sa/client") {
			t.Errorf("%s: %s through both proxies: %d %q", when, host, status, body)
		}
	}
	for _, host := range []string{"other", "web.other.svc", "web.default.svc.other.domain", "two.example"} {
		status, body := r.client.get(t, 0, hostPort(r.network.server, 8080), host)
		if status != http.StatusBadGateway ||
			!strings.Contains(body, "add it to uses of client") {
			t.Errorf("%s: %s, which the client does not use: %d %q", when, host, status, body)
		}
	}
}

// hearsWhatIsExcluded has the client reach what is on its own host, or excluded at both ends, and nothing else.
func (r *redirected) hearsWhatIsExcluded(t *testing.T, when string) {
	t.Helper()
	n := r.network
	for address, want := range map[string]string{
		hostPort(n.loopback, 9000):  "on loopback",
		hostPort(n.client, 9001):    "on its own address",
		hostPort(n.server, 2222):    "plain 2222", // excluded at both ends
		hostPort(n.excluded, 7777):  "plain 7777", // the range here, the port there
		hostPort(n.server, 7777):    "",           // only there
		hostPort(n.server, 9999):    "",
		hostPort(n.excluded, 9999):  "",
		hostPort(n.loopback, 15001): "",
	} {
		if got := r.client.hears(t, 0, address); got != want {
			t.Errorf("%s: %s says %q, want %q", when, address, got, want)
		}
	}
}

// leavesProxyAlone wants the proxy's own connections left alone; the other side's proxy takes no plaintext from them.
func (r *redirected) leavesProxyAlone(t *testing.T, when string) {
	t.Helper()
	n := r.network
	if got := r.client.hears(t, proxyUser, hostPort(n.server, 7777)); got != "plain 7777" {
		t.Errorf("%s: as the proxy's user: %q", when, got)
	}
	if status, body := r.client.get(t, proxyUser, hostPort(n.server, 8080), "web"); status != 0 {
		t.Errorf("%s: plaintext past the client's proxy: %d %q", when, status, body)
	}
	if got := r.client.hears(t, proxyUser, hostPort(n.server, 9999)); got != "" {
		t.Errorf("%s: a port that the mesh does not know: %q", when, got)
	}
}

// remove takes the rules away, twice, and nothing is redirected any more.
func (r *redirected) remove(t *testing.T) {
	t.Helper()
	for range 2 { // the second time there is nothing to remove
		for _, h := range []host{r.client, r.server} {
			var err error
			h.do(t, 0, func() { err = redirect.Remove() })
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := r.client.hears(t, 0, hostPort(r.network.server, 9999)); got != "plain 9999" {
		t.Errorf("removed: %q", got)
	}
}

// Only the named ports are redirected, so that SSH stays within reach.
func TestInboundPorts(t *testing.T) {
	client, server := newHosts(t)
	server.echo(t, "0.0.0.0:22", "ssh")
	server.echo(t, "0.0.0.0:8080", "web")
	server.echo(t, "0.0.0.0:15006", "the proxy")
	var err error
	server.do(t, 0, func() {
		err = redirect.Apply(redirect.Rules{
			InboundPort: 15006, OutboundPort: 15001, ProxyUser: proxyUser,
			AdminPort: 15000, InboundPorts: []uint16{8080},
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	for port, want := range map[int]string{22: "ssh", 8080: "the proxy"} {
		if got := client.hears(t, 0, fmt.Sprintf("10.99.0.2:%d", port)); got != want {
			t.Errorf("port %d: %q, want %q", port, got, want)
		}
	}
}
