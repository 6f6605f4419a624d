//go:build e2e && linux

package redirect_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/host/redirect"
	"github.com/meshc/meshc/identity/ca"
)

// The instances of one service call each other, and each itself, at their own addresses: a Redis replicates to another
// one, they change roles, and requests to the service reach both instances from either. The applications listen on
// loopback alone, so every connection comes by a proxy. By HTTP, who names an address gets that instance. A pod of
// Istio could not reach its own address, by plaintext or by TLS, while others could (istio/istio#7563, #12551, #30990).
//
// Field: uses
func TestPeersOfOneService(t *testing.T) {
	one, two := newHosts(t)
	dir, err := os.MkdirTemp("", "meshc-peers-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	m := compile(t, fmt.Sprintf(peers, dir))
	authority, err := ca.InMemory()
	if err != nil {
		t.Fatal(err)
	}
	rules := redirect.Rules{
		InboundPort: 15006, OutboundPort: 15001, ProxyUser: proxyUser, AdminPort: 15000,
		LocalPorts: []uint16{53, 6379, 8081},
		OwnPorts:   []redirect.OwnPort{{Number: 6379, Target: 6379}, {Number: 8080, Target: 8081}},
	}
	for _, h := range []host{one, two} {
		h.redis(t)
		h.names(t, "127.0.0.1:8081")
		h.do(t, 0, func() { err = redirect.Apply(rules) })
		if err != nil {
			t.Fatal(err)
		}
		h.proxy(t, m, "store", dir, authority)
	}

	at := map[host]string{one: "10.99.0.1", two: "10.99.0.2"}
	for _, role := range []struct{ primary, replica host }{{one, two}, {two, one}} {
		if got := role.primary.ask(t, 0, "127.0.0.1:6379", "REPLICAOF NO ONE"); got != "+OK" {
			t.Fatalf("the primary says %q", got)
		}
		if got := role.replica.ask(t, 0, "127.0.0.1:6379", "REPLICAOF "+at[role.primary]+" 6379"); got != "+OK" {
			t.Fatalf("the replica says %q", got)
		}
		key := "written-at-" + at[role.primary]
		if got := role.primary.ask(t, 0, "127.0.0.1:6379", "SET "+key+" x"); got != "+OK" {
			t.Fatalf("the primary says %q", got)
		}
		waitFor(t, "the replica has what was written", func() bool {
			return role.replica.ask(t, 0, "127.0.0.1:6379", "EXISTS "+key) == ":1"
		})
	}

	for _, address := range []string{"10.99.0.1:6379", "[fd99::1]:6379", "10.99.0.2:6379", "[fd99::2]:6379"} {
		for _, h := range []host{one, two} {
			if got := h.ask(t, 0, address, "PING"); got != "+PONG" {
				t.Errorf("%s asks %s: %q", h.name, address, got)
			}
		}
		if got := one.ask(t, proxyUser, address, "PING"); got == "+PONG" {
			t.Errorf("%s answers who comes without an identity", address)
		}
	}
	for _, h := range []host{one, two} { // the proxy chooses, its own instance too
		seen := map[string]bool{}
		waitFor(t, "both instances answer", func() bool {
			status, body := h.get(t, 0, at[h]+":8080", "store")
			if status != http.StatusOK {
				t.Fatalf("%s asks for the service: %d %q", h.name, status, body)
			}
			seen[body] = true
			return seen[one.name] && seen[two.name]
		})
	}
	one.byAddress(t, two)
	// What is not of the service stays as it is without a mesh.
	one.echo(t, "10.99.0.1:9001", "on its own address")
	if got := one.hears(t, 0, "10.99.0.1:9001"); got != "on its own address" {
		t.Errorf("another port of the own address: %q", got)
	}
}

// byAddress asks the instances on both hosts by HTTP, from either, by their addresses.
func (one host) byAddress(t *testing.T, two host) {
	t.Helper()
	for address, want := range map[string]host{
		"10.99.0.1:8080": one, "[fd99::1]:8080": one, "10.99.0.2:8080": two, "[fd99::2]:8080": two,
	} {
		for _, h := range []host{one, two} {
			if status, body := h.get(t, 0, address, address); status != http.StatusOK || body != want.name {
				t.Errorf("%s asks %s by HTTP: %d %q", h.name, address, status, body)
			}
			if status, body := h.get(t, 0, "10.99.0.1:8080", "store-0.store"); status != http.StatusBadGateway {
				t.Errorf("%s asks for a name that no pod has: %d %q", h.name, status, body)
			}
		}
	}
}

// Rules may be many: the kernel's answers to all of them are read.
func TestManyRules(t *testing.T) {
	one, _ := newHosts(t)
	rules := redirect.Rules{InboundPort: 15006, OutboundPort: 15001, ProxyUser: proxyUser, AdminPort: 15000}
	for port := range uint16(3000) {
		rules.ExcludeOutboundPorts = append(rules.ExcludeOutboundPorts, 20000+port)
	}
	for range 2 { // the second time with rules to replace
		var err error
		one.do(t, 0, func() { err = redirect.Apply(rules) })
		if err != nil {
			t.Fatal(err)
		}
	}
}

const peers = `package two

mesh: {
	name: "two"
	trustDomain: "two.example"
	delivery: "static"
	certificates: issuer: kind: "file"
}
services: store: {
	workload: endpoints: [for a in ["10.99.0.1", "10.99.0.2", "fd99::1", "fd99::2"] {address: a, ports: http: 8081}]
	ports: {
		redis: {port: 6379, protocol: "tcp"}
		http: {port: 8080, target: 8081, protocol: "http"}
	}
	uses: store: {}
	allow: [{from: services: ["store"]}]
	proxy: certificateDirectory: "%[1]s/store"
}
`

// redis runs a Redis on the host, on loopback alone.
func (h host) redis(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	command := exec.Command("ip", "netns", "exec", h.name, "redis-server", "--port", "6379", "--bind", "127.0.0.1",
		"--dir", dir, "--save", "", "--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		if t.Failed() {
			said, _ := os.ReadFile(log.Name())
			t.Logf("the Redis on %s said: %s", h.name, said)
		}
	})
	waitFor(t, "Redis listens", func() bool { return h.ask(t, 0, "127.0.0.1:6379", "PING") == "+PONG" })
}

// ask is the first line of Redis' answer to a command; empty when there is none.
func (h host) ask(t *testing.T, user int, address, command string) (line string) {
	t.Helper()
	h.do(t, user, func() {
		conn, err := net.DialTimeout("tcp", address, 5*time.Second)
		if err != nil {
			return
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
		if _, err := fmt.Fprintf(conn, "%s\r\n", command); err != nil {
			return
		}
		line, _ = bufio.NewReader(conn).ReadString('\n')
		line = strings.TrimSpace(line)
	})
	return line
}

// names is an application that tells by HTTP on which host it is.
func (h host) names(t *testing.T, address string) {
	t.Helper()
	h.do(t, 0, func() {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			return
		}
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, h.name)
		})}
		t.Cleanup(func() { s.Close() })
		go func() { _ = s.Serve(l) }()
	})
}

// waitFor waits until a condition holds.
func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 60s: %s", what)
		}
	}
}
