//go:build e2e && linux

package redirect_test

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/meshc/meshc/compiler/try"
	"github.com/meshc/meshc/host/redirect"
	"github.com/meshc/meshc/identity/ca"
)

// Between two hosts a redirected TCP connection reaches the address that it was made to, or is closed, over IPv4 and
// IPv6, as meshc try says. A range of addresses opens none of those where no proxy may be led.
//
// Field: external.hosts
func TestRedirectedAddresses(t *testing.T) {
	client, server := newHosts(t)
	dir, err := os.MkdirTemp("", "meshc-redirect-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	m := compile(t, fmt.Sprintf(addresses, dir))
	authority, err := ca.InMemory()
	if err != nil {
		t.Fatal(err)
	}
	rules := redirect.Rules{InboundPort: 15006, OutboundPort: 15001, ProxyUser: proxyUser, AdminPort: 15000}
	behind := rules
	behind.ExcludeInboundPorts = []uint16{5433, 5434, 80} // what is not of the mesh
	server.echo(t, "127.0.0.1:5432", "store")
	server.echo(t, "10.98.0.2:5433", "old")
	for _, address := range []string{"10.98.0.2:5434", "[fd98::2]:5434"} {
		server.echo(t, address, "in a range")
	}
	for h, address := range map[host]string{client: "169.254.7.1/24", server: "169.254.7.2/24"} {
		if out, err := exec.Command("ip", "-n", h.name, "address", "add", address, "dev", "eth0").CombinedOutput(); err != nil {
			t.Fatal(err, string(out))
		}
	}
	server.echo(t, "169.254.7.2:80", "link-local")
	server.echo(t, "10.98.0.2:80", "in a wide range")
	client.do(t, 0, func() { err = redirect.Apply(rules) })
	if err == nil {
		server.do(t, 0, func() { err = redirect.Apply(behind) })
	}
	if err != nil {
		t.Fatal(err)
	}
	client.proxy(t, m, "app", dir, authority)
	server.proxy(t, m, "store", dir, authority)
	for address, want := range map[string]string{
		"10.99.0.2:5432":  "store",
		"[fd99::2]:5432":  "store",
		"10.98.0.2:5433":  "old",
		"10.98.0.2:5432":  "", // an address of the host that is not an instance of store
		"[fd98::2]:5432":  "",
		"192.0.2.7:5432":  "",
		"10.99.0.2:5433":  "",
		"10.98.0.99:5433": "",
		"10.98.0.2:5434":  "in a range",
		"[fd98::2]:5434":  "in a range",
		"10.99.0.2:5434":  "",
		"169.254.7.2:80":  "", // in a range that has it, and 10.98.0.2
		"10.98.0.2:80":    "in a wide range",
	} {
		if got := client.hears(t, 0, address); got != want {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
		request := try.Request{From: try.Sender{Kind: "service", Name: "app"}, Method: "GET"}
		if err := request.ParseURL("tcp://" + address); err != nil {
			t.Fatal(err)
		}
		trial, err := try.Try(m, request)
		if err != nil {
			t.Fatal(err)
		}
		if trial.Allowed() != (want != "") {
			t.Errorf("%s: try says %+v", address, trial)
		}
		for _, r := range trial.Reaches {
			if r.Address != address {
				t.Errorf("%s: try says it reaches %s", address, r.Address)
			}
		}
	}
}

const addresses = `package two

mesh: {
	name: "two"
	trustDomain: "two.example"
	delivery: "static"
	certificates: issuer: kind: "file"
}
services: app: {
	workload: endpoints: [{address: "10.99.0.1"}]
	uses: {store: {}, old: {}, range: {}, wide: {}}
	proxy: certificateDirectory: "%[1]s/app"
}
services: store: {
	workload: endpoints: [{address: "10.99.0.2"}, {address: "fd99::2"}]
	ports: db: {port: 5432, protocol: "tcp"}
	allow: [{from: services: ["app"]}]
	proxy: certificateDirectory: "%[1]s/store"
}
external: {
	old: {hosts: ["10.98.0.2"], ports: db: {port: 5433, protocol: "tcp"}}
	range: {hosts: ["10.98.0.0/24", "fd98::/64"], ports: db: {port: 5434, protocol: "tcp"}}
	wide: {hosts: ["0.0.0.0/0"], ports: any: {port: 80, protocol: "tcp"}}
}
`
