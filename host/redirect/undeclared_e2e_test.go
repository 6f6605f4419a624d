//go:build e2e && linux

package redirect_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
	"github.com/meshc/meshc/host/redirect"
	"github.com/meshc/meshc/identity/ca"
)

// Calls that are not declared pass where the spec says so: below HTTP, by TLS and by HTTP, on port numbers that nobody
// declares and on those of declared calls, which go as they are declared. What passes reaches the address that it was
// made to, without an identity, as meshc try says; cloud metadata and the proxy itself are reached by nothing.
//
// Others were hurt: calls to a port that some HTTP service has were answered with 404 (istio/istio#12952, #13388), and
// what passed to the proxy's own host came back to the proxy without end (istio/istio#14443).
//
// Field: proxy.undeclaredCalls
func TestUndeclaredCallsPass(t *testing.T) {
	client, server := newHosts(t)
	u := undeclared{client: client, server: server}
	u.applications(t)
	for _, passes := range []bool{true, false} {
		t.Run(map[bool]string{true: "pass", false: "refuse"}[passes], func(t *testing.T) { u.calls(t, passes) })
	}
}

// undeclared are the two hosts.
type undeclared struct{ client, server host }

// applications are started on the server: declared ones at 10.99.0.2 and fd99::2, others at 10.98.0.2 and fd98::2.
func (u *undeclared) applications(t *testing.T) {
	t.Helper()
	const metadata = "169.254.169.254"
	for _, args := range [][]string{
		{"-n", u.server.name, "address", "add", metadata + "/32", "dev", "eth0"},
		{"-n", u.client.name, "route", "add", metadata + "/32", "dev", "eth0"},
	} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v: %s", args, err, out)
		}
	}
	u.server.echo(t, "127.0.0.1:5432", "store")
	for _, address := range []string{
		"10.99.0.2:5433", "10.98.0.2:5433", "10.98.0.2:9999", "[fd98::2]:9999", "[fd98::2]:8081", "[fd98::2]:8443",
		metadata + ":9999", metadata + ":8081",
	} {
		u.server.echo(t, address, "at "+address)
	}
	u.server.web(t, "10.99.0.2:8081")
	u.server.web(t, "10.98.0.2:8081")
}

// calls makes all calls with what is undeclared passing or not.
func (u *undeclared) calls(t *testing.T, passes bool) {
	dir, err := os.MkdirTemp("", "meshc-redirect-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	said := ""
	if passes {
		said = `proxy: undeclaredCalls: "pass", silence: MC1757: "not all calls are declared yet"`
	}
	m := compile(t, fmt.Sprintf(undeclaredMesh, dir, said))
	authority, err := ca.InMemory()
	if err != nil {
		t.Fatal(err)
	}
	rules := redirect.Rules{InboundPort: 15006, OutboundPort: 15001, ProxyUser: proxyUser, AdminPort: 15000}
	behind := rules
	behind.ExcludeInboundPorts = []uint16{5433, 8081, 8443, 9999} // of applications outside the mesh
	u.client.do(t, 0, func() { err = redirect.Apply(rules) })
	if err == nil {
		u.server.do(t, 0, func() { err = redirect.Apply(behind) })
	}
	if err != nil {
		t.Fatal(err)
	}
	u.client.proxy(t, m, "app", dir, authority)
	u.server.proxy(t, m, "store", dir, authority)
	for address, want := range map[string]string{
		"10.99.0.2:5432":       "store", // declared
		"10.99.0.2:5433":       "at 10.99.0.2:5433",
		"10.98.0.2:5433":       "at 10.98.0.2:5433", // the number of a declared call
		"10.98.0.2:9999":       "at 10.98.0.2:9999",
		"[fd98::2]:9999":       "at [fd98::2]:9999",
		"[fd98::2]:8081":       "at [fd98::2]:8081", // bytes, on a number of HTTP
		"[fd98::2]:8443":       "at [fd98::2]:8443", // on a number of TLS
		unknownAddress:         "",
		silentAddress:          "",
		"169.254.169.254:9999": "",
		"169.254.169.254:8081": "",
	} {
		if !passes && want != "store" && want != "at 10.99.0.2:5433" {
			want = ""
		}
		most := 30 * time.Second
		if want == "" {
			most = 2 * time.Second // nothing comes, however long somebody waits
		}
		if got := u.client.hearsWithin(t, 0, address, most); got != want {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
		answers := want != "" || passes && (address == silentAddress || address == unknownAddress)
		if trial := u.tries(t, m, address); trial != nil && trial.Allowed() != answers {
			t.Errorf("%s: try says %+v", address, trial)
		}
	}
	status := map[bool]int{true: http.StatusOK, false: http.StatusBadGateway}[passes]
	for host, want := range map[string]int{"site.internal": http.StatusOK, "other.example:8081": status} {
		if got, _ := u.client.get(t, 0, "10.98.0.2:8081", host); got != want {
			t.Errorf("a request for %s: %d, want %d", host, got, want)
		}
	}
	want := map[bool]int{true: http.StatusForbidden, false: http.StatusBadGateway}[passes]
	if got, _ := u.client.get(t, 0, "169.254.169.254:8081", "metadata.example"); got != want {
		t.Errorf("a request to cloud metadata: %d, want %d", got, want)
	}
	u.notToItself(t)
	if passes {
		u.counted(t)
	}
}

// counted wants what passed to be counted by its address and name, and nothing that was declared.
func (u *undeclared) counted(t *testing.T) {
	t.Helper()
	request := "GET /stats/prometheus?filter=undeclared HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n"
	stats := ""
	u.client.do(t, 0, func() {
		conn, err := net.Dial("tcp", "127.0.0.1:15000")
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, request); err != nil {
			t.Error(err)
		}
		data, _ := io.ReadAll(conn)
		stats = string(data)
	})
	for _, want := range []string{
		`envoy_meshc_undeclared_tcp_connections{caller="spiffe://two.example/ns/default/sa/app",server_name="",server_address="10.98.0.2:9999"} 1`,
		`envoy_meshc_undeclared_tcp_connections{caller="spiffe://two.example/ns/default/sa/app",server_name="",server_address="[fd98::2]:8443"} 1`,
		`envoy_meshc_undeclared_http_requests{caller="spiffe://two.example/ns/default/sa/app",server_name="other.example:8081",server_address="10.98.0.2:8081"} 1`,
	} {
		if !strings.Contains(stats, want+"\n") {
			t.Errorf("%s is not among\n%s", want, stats)
		}
	}
	for _, declared := range []string{"site.internal", "10.99.0.2:543"} {
		if strings.Contains(stats, declared) {
			t.Errorf("%s is counted, which is declared:\n%s", declared, stats)
		}
	}
}

// notToItself connects to the proxy's own port, from its host and from another one, and wants no connection left.
func (u *undeclared) notToItself(t *testing.T) {
	t.Helper()
	for _, from := range []host{u.client, u.server} {
		for _, address := range []string{"10.99.0.1:15001", "[fd99::1]:15001"} {
			if got := from.hears(t, 0, address); got != "" {
				t.Errorf("%s: %q", address, got)
			}
		}
	}
	_, stats := u.client.get(t, 0, "127.0.0.1:15000", "admin")
	if stats == "" {
		t.Error("the proxy answers no more")
	}
	if got := u.client.hears(t, 0, "10.99.0.2:5432"); got != "store" {
		t.Errorf("after connections to the proxy itself: %q", got)
	}
}

// Of these meshc try does not know that they do not answer: nobody listens at the one, and the other is of a service of
// the mesh that wants an identity, by an address that the spec does not have.
const (
	silentAddress  = "10.98.0.2:1"
	unknownAddress = "10.98.0.2:5432"
)

// tries is what meshc try says of a connection of the app; nil where it wants a request instead, or a name.
func (u *undeclared) tries(t *testing.T, m *ir.Mesh, address string) *try.Trial {
	t.Helper()
	request := try.Request{From: try.Sender{Kind: "service", Name: "app"}, Method: "GET"}
	if err := request.ParseURL("tcp://" + address); err != nil {
		t.Fatal(err)
	}
	trial, err := try.Try(m, request)
	if err != nil || request.Port == 8443 {
		return nil
	}
	return trial
}

const undeclaredMesh = `package two

mesh: {
	name: "two"
	trustDomain: "two.example"
	delivery: "static"
	certificates: issuer: kind: "file"
}
services: app: {
	workload: endpoints: [{address: "10.99.0.1"}]
	uses: {store: {}, old: {}, site: {}, secure: {}}
	proxy: certificateDirectory: "%[1]s/app"
	%[2]s
}
services: store: {
	workload: endpoints: [{address: "10.99.0.2"}, {address: "fd99::2"}]
	ports: db: {port: 5432, protocol: "tcp"}
	allow: [{from: services: ["app"]}]
	proxy: certificateDirectory: "%[1]s/store"
}
external: old: {hosts: ["10.99.0.2"], ports: db: {port: 5433, protocol: "tcp"}}
external: site: {hosts: ["site.internal"], ports: http: {port: 8081, protocol: "http"}}
external: secure: {hosts: ["site.internal"], ports: tls: {port: 8443, protocol: "tls"}}
`
