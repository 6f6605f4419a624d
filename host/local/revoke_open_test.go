package local

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/meshc/meshc/identity/ca"
)

// What is open when a proxy drains would last for ten minutes.
const revokableOpen = `package revokable

mesh: {name: "revokable", trustDomain: "revokable.example", proxy: drainTime: "10m"}

services: [name=string]: workload: deployment: name
services: {client: uses: {target: {}, outside: {}}, other: uses: {target: {}, outside: {}}}
services: target: {
	ports: {
		http: {port: 8080, protocol: "http"}
		chat: {port: 8090, protocol: "http", upgrades: ["websocket"]}
		rpc: {port: 5050, protocol: "grpc"}
		bytes: {port: 9000, protocol: "tcp"}
	}
	allow: [{from: services: ["client", "other"]}]
}
external: outside: {
	hosts: ["outside.example"]
	via: "exit"
	ports: {http: {port: 8081, protocol: "http"}, rpc: {port: 5051, protocol: "grpc"}, bytes: {port: 9001, protocol: "tcp"}}
}
gateways: exit: {egress: {}, uses: outside: {}}
`

// What is open with a certificate that is revoked ends, whatever it is, at sidecars and at egress gateways, also where
// the caller sends nothing but the signs of life that HTTP/2 demands. What others have open stays, and no listener
// changes. (envoyproxy/envoy#14504, hashicorp/consul#6454: what an Envoy let in once stays until its peer leaves.
// istio/ztunnel#1660: ending everybody's connections was refused there.)
func TestRevokedEndsWhatIsOpen(t *testing.T) {
	t.Parallel() // it waits more than it works
	mesh, authority := startRevokable(t, revokableOpen)
	identity := func(of string) ca.Revocation {
		return ca.Revocation{Identity: mesh.Placed().Service(of).Identity}
	}
	stolen := ofChain(t, authority, identity("client").Identity)
	kept := ofChain(t, authority, identity("client").Identity)
	foreign := ofChain(t, authority, identity("other").Identity)
	proof, _ := ca.ProofOf(stolen.Leaf)

	ofStolen, ofKept := openAt(t, mesh, "the stolen key's", stolen), openAt(t, mesh, "the kept key's", kept)
	ofClient := openThrough(t, mesh, "client")
	ofOthers := append(openAt(t, mesh, "another identity's", foreign), openThrough(t, mesh, "other")...)
	changed := func() (n uint64) {
		for _, proxy := range []string{"service/target/a", "gateway/exit/a"} {
			n += counted(t, mesh, proxy, `^listener_manager\.listener_(modified|in_place_updated)$`)
		}
		return n
	}
	before := changed()
	one := identity("client")
	one.Chain = proof.Chain
	revoke(t, mesh, authority, one)
	end(t, ofStolen)
	stay(t, slices.Concat(ofKept, ofClient, ofOthers))
	revoke(t, mesh, authority, identity("client"))
	end(t, append(ofKept, ofClient...))
	stay(t, ofOthers)
	if n := changed() - before; n != 0 {
		t.Errorf("%d listeners changed", n)
	}
	again := openAt(t, mesh, "another identity's new", foreign)
	stay(t, again)
}

// held is something that is open. Its counter is what came over it so far; ended is closed when it has ended.
type held struct {
	name  string
	came  chan struct{}
	ended chan struct{}
}

// holding calls a function that waits for the next thing to come, until it fails.
func holding(t *testing.T, name string, next func() error) *held {
	t.Helper()
	h := &held{name: name, came: make(chan struct{}), ended: make(chan struct{})}
	if err := next(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	go func() {
		defer close(h.ended)
		for next() == nil {
			select {
			case h.came <- struct{}{}:
			default:
			}
		}
	}()
	t.Cleanup(func() { <-h.ended })
	return h
}

func end(t *testing.T, all []*held) {
	t.Helper()
	begun, late := time.Now(), time.After(30*time.Second)
	for _, h := range all {
		select {
		case <-h.ended:
			t.Logf("%s has ended after %s", h.name, time.Since(begun).Round(time.Millisecond))
		case <-late:
			t.Fatalf("%s is open after %s", h.name, time.Since(begun))
		}
	}
}

// stay wants something more to come over each.
func stay(t *testing.T, all []*held) {
	t.Helper()
	late := time.After(30 * time.Second)
	for _, h := range all {
		select {
		case <-h.came:
		case <-h.ended:
			t.Errorf("%s has ended", h.name)
		case <-late:
			t.Fatalf("nothing comes over %s", h.name)
		}
	}
}

// openAt opens connections with a certificate, past any proxy of a caller.
func openAt(t *testing.T, mesh *Mesh, whose string, c *tls.Certificate) []*held {
	t.Helper()
	egress := mesh.Placed().Gateway("exit").Egress
	exit := join(egress.Host, egress.Port)
	dial := func(address, sni string, protocols ...string) func(context.Context, string, string) (net.Conn, error) {
		config := &tls.Config{
			InsecureSkipVerify: true, Certificates: []tls.Certificate{*c}, ServerName: sni,
			NextProtos: protocols,
		}
		return func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", address)
		}
	}
	by := func(dial func(context.Context, string, string) (net.Conn, error), http2 bool) *http.Client {
		transport := &http.Transport{DialTLSContext: dial, Protocols: new(http.Protocols)}
		transport.Protocols.SetHTTP1(!http2)
		transport.Protocols.SetHTTP2(http2)
		t.Cleanup(transport.CloseIdleConnections)
		return &http.Client{Transport: transport}
	}
	target := func(port string) string { return inbound(mesh, "target", port) }
	name := func(what string) string { return whose + " " + what }
	return []*held{
		echoes(t, name("TCP connection"), dial(target("bytes"), "")),
		echoes(t, name("TCP connection by the gateway"), dial(exit, "bytes.outside.egress")),
		requests(t, name("connection for requests by HTTP/1.1"), by(dial(target("http"), "", "http/1.1"), false),
			"https://target/"),
		chats(t, name("WebSocket by HTTP/1.1"), by(dial(target("chat"), "", "http/1.1"), false), "https://target/"),
		events(t, name("events by HTTP/2"), by(dial(target("http"), "", "h2"), true), "https://target/"),
		events(t, name("events by the gateway"), by(dial(exit, "http.outside.egress", "h2"), true),
			"https://outside.example/"),
	}
}

// openThrough opens connections of a service through its proxy.
func openThrough(t *testing.T, mesh *Mesh, service string) (out []*held) {
	t.Helper()
	caller := mesh.As(service)
	for i, host := range []string{"target", "outside.example"} {
		at := func(port int) string { return fmt.Sprint(host, ":", port+i) }
		name := func(what string) string { return service + "'s " + what + " to " + host }
		out = append(out,
			echoes(t, name("TCP connection"), func(ctx context.Context, _, _ string) (net.Conn, error) {
				return caller.Dial(ctx, at(9000))
			}),
			events(t, name("events"), caller.Client(), "http://"+at(8080)+"/"),
			watches(t, name("gRPC stream"), mesh, service, at(5050)),
		)
	}
	return append(out, chats(t, service+"'s WebSocket", caller.Client(), "http://target:8090/"))
}

// echoes sends lines on a connection, which come back.
func echoes(t *testing.T, name string, dial func(context.Context, string, string) (net.Conn, error)) *held {
	t.Helper()
	conn, err := dial(t.Context(), "tcp", "")
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	lines := bufio.NewReader(conn)
	h := holding(t, name, func() error {
		time.Sleep(poll)
		if _, err := fmt.Fprintln(conn, "hello"); err != nil {
			return err
		}
		_, err := lines.ReadString('\n')
		return err
	})
	t.Cleanup(func() { conn.Close() })
	return h
}

// requests sends requests on one connection, and ends with it or with the first that is refused.
func requests(t *testing.T, name string, c *http.Client, url string) *held {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	h := holding(t, name, func() error {
		time.Sleep(poll)
		a, err := trySend(ctx, c, http.MethodGet, url)
		if err == nil && a.status != http.StatusOK {
			return fmt.Errorf("status %d", a.status)
		}
		return err
	})
	t.Cleanup(stop)
	return h
}

// events receives an answer without an end, and sends nothing.
func events(t *testing.T, name string, c *http.Client, url string) *held {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"?stream=10m", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := c.Do(r)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	lines := bufio.NewReader(answer.Body)
	h := holding(t, name, func() error {
		line, err := lines.ReadString('\n')
		if err == nil && strings.TrimSpace(line) != "" && !strings.HasPrefix(line, "data: more") {
			return io.ErrUnexpectedEOF
		}
		return err
	})
	t.Cleanup(func() { stop(); answer.Body.Close() })
	return h
}

// chats sends messages on a WebSocket, which come back.
func chats(t *testing.T, name string, c *http.Client, url string) *held {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{HTTPClient: c})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	h := holding(t, name, func() error {
		time.Sleep(poll)
		if err := conn.Write(context.Background(), websocket.MessageText, []byte("hello")); err != nil {
			return err
		}
		_, _, err := conn.Read(context.Background())
		return err
	})
	t.Cleanup(func() { conn.CloseNow() })
	return h
}

// watches has a gRPC stream open on which nothing comes, and asks beside it whether its connection is good.
func watches(t *testing.T, name string, mesh *Mesh, service, authority string) *held {
	t.Helper()
	conn, err := mesh.As(service).GRPC(authority)
	if err != nil {
		t.Fatal(err)
	}
	client := healthgrpc.NewHealthClient(conn)
	ctx, stop := context.WithCancel(context.Background())
	stream, err := client.Watch(ctx, &healthgrpc.HealthCheckRequest{})
	if err == nil {
		_, err = stream.Recv()
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	ended := make(chan error, 1)
	go func() { _, err := stream.Recv(); ended <- err }()
	h := holding(t, name, func() error {
		select {
		case err := <-ended:
			return err
		case <-time.After(poll):
			return nil
		}
	})
	t.Cleanup(func() { stop(); conn.Close() })
	return h
}

// A revocation that drains ends connections on which the holder only receives, too: nothing comes from it that would
// have the proxy look.
func TestRevokedDrains(t *testing.T) {
	mesh, authority := startRevokable(t, revokable)
	id := mesh.Placed().Service("client").Identity
	conn, err := tls.Dial("tcp", inbound(mesh, "target", "bytes"), &tls.Config{
		InsecureSkipVerify: true, Certificates: []tls.Certificate{*ofChain(t, authority, id)},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	lines := bufio.NewReader(conn)
	if _, err := fmt.Fprintln(conn, "hello"); err != nil {
		t.Fatal(err)
	}
	if _, err := lines.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	revoke(t, mesh, authority, ca.Revocation{Identity: id, Drain: true})
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	var timeout net.Error
	if _, err := lines.ReadByte(); err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("a connection on which nothing is sent ends with %v", err)
	}
}
