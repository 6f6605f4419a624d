//go:build e2e && linux

package redirect_test

import (
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/meshc/meshc/host/redirect"
)

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
