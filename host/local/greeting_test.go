package local

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// greeter is an application that speaks first, as databases and mail servers do.
type greeter struct {
	net.Listener
	connections atomic.Int64
}

const greeting = "220 what only callers may read\n"

// greet starts one, with TLS of its own where it is given a certificate.
func greet(t *testing.T, address string, own ...*tls.Certificate) *greeter {
	t.Helper()
	l, err := listening(address)
	if err != nil {
		t.Fatal(err)
	}
	if own != nil {
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{*own[0]}})
	}
	g := &greeter{Listener: l}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			g.connections.Add(1)
			_, _ = io.WriteString(conn, greeting) // the proxy may be gone
			conn.Close()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return g
}

// Whoever may not call gets not even a greeting, and does not so much as make the
// application accept a connection.
//
// Field: ports.protocol
func TestGreetingIsForCallersAlone(t *testing.T) {
	mesh := start(t, compile(t, shopDir))
	cart := mesh.Placed().Service("cart").Workload.Endpoints[0]
	mesh.Backend("cart", "a").Close()
	app := greet(t, join(cart.Address, cart.Targets["admin"]))

	conn, err := mesh.As("checkout").Dial(t.Context(), "cart:7071")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if line, err := bufio.NewReader(conn).ReadString('\n'); line != greeting {
		t.Fatalf("checkout was greeted with %q, %v", line, err)
	}
	before := app.connections.Load()

	wantRefused(t, "plaintext", "http://"+inbound(mesh, "cart", "admin"), nil)
	wantRefused(t, "TLS without a certificate", "https://"+inbound(mesh, "cart", "admin"),
		&tls.Config{InsecureSkipVerify: true})
	stranger, err := tls.Dial("tcp", inbound(mesh, "cart", "admin"), asMember(t, mesh, "service/frontend"))
	if err == nil {
		defer stranger.Close()
		if err := stranger.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(stranger).ReadString('\n'); err == nil {
			t.Errorf("frontend was greeted with %q", line)
		}
	}
	if n := app.connections.Load() - before; n != 0 {
		t.Errorf("%d connections of strangers reached the application", n)
	}
}
