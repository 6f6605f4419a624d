//go:build e2e && linux

package redirect_test

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/meshc/meshc/host/redirect"
	"github.com/meshc/meshc/identity/ca"
)

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
	client, server := newHosts(t)
	for family, at := range map[string]struct{ client, server, excluded, loopback, workload string }{
		"IPv4": {"10.99.0.1", "10.99.0.2", "10.98.0.2", "127.0.0.1", `endpoints: [{address: "10.99.0.2"}]`},
		"IPv6": {"fd99::1", "fd99::2", "fd98::2", "::1", `endpoints: [{address: "fd99::2"}]`},
		"DNS":  {"10.99.0.1", "10.99.0.2", "10.98.0.2", "127.0.0.1", `dns: "web.internal"`},
	} {
		t.Run(family, func(t *testing.T) {
			to := func(address string, port int) string { return net.JoinHostPort(address, fmt.Sprint(port)) }
			dir, err := os.MkdirTemp("", "meshc-redirect-")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(dir) })
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			m := compile(t, fmt.Sprintf(spec, at.client, at.workload, dir))
			authority, err := ca.InMemory()
			if err != nil {
				t.Fatal(err)
			}
			rules := redirect.Rules{
				InboundPort: 15006, OutboundPort: 15001, ProxyUser: proxyUser, AdminPort: 15000,
				LocalPorts: []uint16{53, 8080},
			}
			rulesOf := map[host]redirect.Rules{client: rules, server: rules}
			c, s := rulesOf[client], rulesOf[server]
			c.ExcludeOutboundPorts = []uint16{2222}
			c.ExcludeOutboundRanges = []netip.Prefix{
				netip.MustParsePrefix("10.98.0.0/24"),
				netip.MustParsePrefix("fd98::/64"),
			}
			s.ExcludeInboundPorts = []uint16{2222, 7777}
			server.web(t, "127.0.0.1:8080")
			for _, port := range []int{2222, 7777, 9999} {
				server.echo(t, to(map[string]string{"IPv4": "0.0.0.0", "DNS": "0.0.0.0", "IPv6": "::"}[family], port),
					fmt.Sprint("plain ", port))
			}
			client.echo(t, to(at.loopback, 9000), "on loopback")
			client.echo(t, to(at.client, 9001), "on its own address")
			apply := func() {
				t.Helper()
				client.do(t, 0, func() { err = redirect.Apply(c) })
				if err == nil {
					server.do(t, 0, func() { err = redirect.Apply(s) })
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			apply()
			client.proxy(t, m, "client", dir, authority)
			server.proxy(t, m, "web", dir, authority)
			for _, when := range []string{"applied once", "applied twice"} {
				for _, host := range []string{
					"web", "web.default", "web.default.svc", "web.default.svc.cluster.local",
					"web:8080", "web.default.svc:8080", "WEB.default.svc.",
				} {
					if status, body := client.get(t, 0, to(at.server, 8080), host); status != http.StatusOK ||
						!strings.Contains(body, "URI=spiffe://two.example/ns/default/sa/client") {
						t.Errorf("%s: %s through both proxies: %d %q", when, host, status, body)
					}
				}
				for _, host := range []string{"other", "web.other.svc", "web.default.svc.other.domain"} {
					if status, body := client.get(t, 0, to(at.server, 8080), host); status != http.StatusBadGateway ||
						!strings.Contains(body, "add it to uses of client") {
						t.Errorf("%s: %s, which the client does not use: %d %q", when, host, status, body)
					}
				}
				for address, want := range map[string]string{
					to(at.loopback, 9000):  "on loopback",
					to(at.client, 9001):    "on its own address",
					to(at.server, 2222):    "plain 2222", // excluded at both ends
					to(at.excluded, 7777):  "plain 7777", // the range here, the port there
					to(at.server, 7777):    "",           // only there
					to(at.server, 9999):    "",
					to(at.excluded, 9999):  "",
					to(at.loopback, 15001): "",
				} {
					if got := client.hears(t, 0, address); got != want {
						t.Errorf("%s: %s says %q, want %q", when, address, got, want)
					}
				}
				// The proxy's own connections are left alone, and the other side's proxy
				// takes no plaintext.
				if got := client.hears(t, proxyUser, to(at.server, 7777)); got != "plain 7777" {
					t.Errorf("%s: as the proxy's user: %q", when, got)
				}
				if status, body := client.get(t, proxyUser, to(at.server, 8080), "web"); status != 0 {
					t.Errorf("%s: plaintext past the client's proxy: %d %q", when, status, body)
				}
				if got := client.hears(t, proxyUser, to(at.server, 9999)); got != "" {
					t.Errorf("%s: a port that the mesh does not know: %q", when, got)
				}
				apply()
			}
			for range 2 { // the second time there is nothing to remove
				for _, h := range []host{client, server} {
					h.do(t, 0, func() { err = redirect.Remove() })
					if err != nil {
						t.Fatal(err)
					}
				}
			}
			if got := client.hears(t, 0, to(at.server, 9999)); got != "plain 9999" {
				t.Errorf("removed: %q", got)
			}
		})
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

// hold gives the server an address that is of no network of the two, and leads the client to it.
func hold(t *testing.T, client, server host, address string) {
	t.Helper()
	add := []string{"-n", server.name, "address", "add", address, "dev", "eth0"}
	if strings.Contains(address, ":") {
		add = append(add, "nodad")
	}
	for _, args := range [][]string{add, {"-n", client.name, "route", "add", address, "dev", "eth0"}} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
		}
	}
}

func atPort80(addresses []string) []string {
	var out []string
	for _, address := range addresses {
		out = append(out, net.JoinHostPort(address, "80"))
	}
	return out
}

// The proxy's own connections do not get to what trusts its host or its network, over IPv4 and IPv6, whatever a name
// server answers; they do get to the application on loopback, to name servers, and to others. Nobody else is held to
// that.
func TestProxyIsConfined(t *testing.T) {
	client, server := newHosts(t)
	// Of addresses that stand for one of IPv4, those of 169.254.169.254 and 127.0.0.1, and others.
	standing := []string{
		"64:ff9b::a9fe:a9fe", "64:ff9b:1:2::7f00:1", "2002:a9fe:a9fe::1", "2001:0:1::5601:5601",
		"2001:db8::200:5efe:a9fe:a9fe",
	}
	others := []string{
		"64:ff9b::a00:1", "64:ff9b:1:2::a00:1", "2002:a00:1::1", "2001:0:1::f5ff:fffe", "2001:db8::5efe:a00:1",
	}
	for _, address := range slices.Concat([]string{"169.254.169.254", "fd00:ec2::254"}, standing, others) {
		hold(t, client, server, address)
	}
	for _, address := range []string{
		"127.0.0.1:15000", "127.0.0.1:8080", "127.0.0.1:9000", "127.0.0.1:53",
		"127.7.7.7:9000", "[::1]:15000", "[::1]:8080", "[::1]:9000",
	} {
		client.echo(t, address, "loopback")
	}
	standing, others = atPort80(standing), atPort80(others)
	for _, address := range slices.Concat([]string{
		"169.254.169.254:80", "169.254.169.254:53", "[fd00:ec2::254]:80", "10.99.0.2:80", "[fd99::2]:80",
	}, standing, others) {
		server.echo(t, address, "server")
	}
	const everybody = "0.0.0.0:9000" // which leads to loopback
	for name, c := range map[string]struct {
		local   []uint16
		refused []string
		reached []string
	}{
		"ports that are named": {
			[]uint16{53, 8080},
			[]string{
				"127.0.0.1:15000", "127.0.0.1:9000", "127.7.7.7:9000", "[::1]:15000", "[::1]:9000", everybody,
				"[::ffff:127.0.0.1]:9000", "169.254.169.254:80", "[fd00:ec2::254]:80",
			},
			[]string{
				"127.0.0.1:8080", "127.0.0.1:53", "[::1]:8080", "169.254.169.254:53", "10.99.0.2:80",
				"[fd99::2]:80",
			},
		},
		"all but the administration's": {
			nil,
			[]string{"127.0.0.1:15000", "[::1]:15000", "169.254.169.254:80", "[fd00:ec2::254]:80"},
			[]string{
				"127.0.0.1:8080", "127.0.0.1:9000", "127.7.7.7:9000", "[::1]:9000", "169.254.169.254:53",
				"10.99.0.2:80", "[fd99::2]:80",
			},
		},
	} {
		var err error
		client.do(t, 0, func() {
			err = redirect.Apply(redirect.Rules{
				InboundPort: 15006, OutboundPort: 15001, ProxyUser: proxyUser,
				AdminPort: 15000, LocalPorts: c.local,
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, address := range slices.Concat(c.refused, standing) {
			if got := client.hears(t, proxyUser, address); got != "" {
				t.Errorf("%s: the proxy reaches %s: %q", name, address, got)
			}
		}
		for _, address := range slices.Concat(c.reached, others) {
			if got := client.hears(t, proxyUser, address); got == "" {
				t.Errorf("%s: the proxy does not reach %s", name, address)
			}
		}
		for _, address := range []string{"127.0.0.1:15000", "127.0.0.1:9000", "[::1]:9000"} {
			if got := client.hears(t, 0, address); got != "loopback" {
				t.Errorf("%s: somebody else hears %q of %s", name, got, address)
			}
		}
	}
}
