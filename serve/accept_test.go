package serve_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/serve"
)

// everywhere is a server that listens at each address that it can, with those limits.
func everywhere(t *testing.T, l ir.ServerLimits) *running {
	t.Helper()
	r := start(t, func(c *serve.Config) {
		c.EnrollListen, c.MetricsListen, c.OperatorsListen = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	})
	m := scrapedBy(t, `identity: "`+scraperIdentity+`"`)
	m.Server.Limits = l
	if err := r.SetMesh(m); err != nil {
		t.Fatal(err)
	}
	return r
}

// door is an address where a server listens, and whom it serves there.
type door struct {
	address string
	client  *tls.Config // nil where there is no TLS
	ask     string      // a request, which has an answer
}

// doors are all addresses of a server.
func (r *running) doors(t *testing.T) map[string]door {
	t.Helper()
	proxy := shows(t, r.authority, cart)
	proxy.NextProtos = []string{"h2"}
	return map[string]door{
		"xds":   {r.Addr(), proxy, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"},
		"admin": {r.AdminAddr(), nil, "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"},
		"enrol": {r.EnrollAddr(), shows(t, nil, ""), "GET /v1/trust HTTP/1.1\r\nhost: x\r\n\r\n"},
		"metrics": {
			r.MetricsAddr(), shows(t, r.authority, scraperIdentity),
			"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n",
		},
		"operators": {r.OperatorsAddr(), shows(t, nil, ""), "GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"},
	}
}

// connect is a TCP connection from that address, which is on loopback.
func (d door) connect(t *testing.T, from string) net.Conn {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 30 * time.Second}
	conn, err := dialer.DialContext(testContext(t), "tcp", d.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// answers reports whether a client from that address is answered, on a connection that stays open.
func (d door) answers(t *testing.T, from string) bool {
	t.Helper()
	conn := d.connect(t, from)
	if d.client != nil {
		conn = tls.Client(conn, d.client)
	}
	if _, err := io.WriteString(conn, d.ask); err != nil {
		return false
	}
	_, err := bufio.NewReader(conn).ReadByte()
	return err == nil
}

// ended reports whether the server has closed a connection on which it says nothing.
func ended(t *testing.T, conn net.Conn) bool {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	_, err := conn.Read(make([]byte, 1))
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

// TestAddressesAreBounded: one address that opens thousands of connections, and says nothing on them, keeps so many as
// it may, and meanwhile another address is answered. Nomad's agents could be kept
// busy like this by anybody who could connect (nomad 7022).
func TestAddressesAreBounded(t *testing.T) {
	const most = 20
	r := everywhere(t, ir.ServerLimits{HandshakesPerAddress: most})
	for name, at := range r.doors(t) {
		t.Run(name, func(t *testing.T) {
			var held []net.Conn
			for range 2000 {
				held = append(held, at.connect(t, "127.0.0.2"))
			}
			if !at.answers(t, "127.0.0.1") {
				t.Error("another address is not answered")
			}
			eventually(t, "the server keeps no more than it may", func() bool {
				open := 0
				for _, conn := range held {
					if !ended(t, conn) {
						open++
					}
				}
				return open <= most
			})
			for _, conn := range held {
				conn.Close()
			}
			eventually(t, "there is room again", func() bool { return at.answers(t, "127.0.0.2") })
		})
	}
	if _, body := fetch(t, r, "/metrics"); strings.Contains(body, "meshc_connections_limited_total 0") {
		t.Error("the metrics do not count the connections that were closed")
	}
}

// TestOpenConnectionsAreBounded: so it is with connections on which requests have come, of one address and of all. A
// proxy that has shown its identity is not among them.
func TestOpenConnectionsAreBounded(t *testing.T) {
	r := everywhere(t, ir.ServerLimits{ConnectionsPerAddress: 4, OpenConnections: 6})
	for name, at := range r.doors(t) {
		if name == "metrics" { // a connection is for one request there
			continue
		}
		t.Run(name, func(t *testing.T) {
			for _, c := range []struct {
				from string
				open int // how many connections it can have, one after another
			}{{"127.0.0.2", 4}, {"127.0.0.3", 2}, {"127.0.0.1", 0}} {
				for range c.open {
					if !at.answers(t, c.from) {
						t.Fatalf("%s is not answered", c.from)
					}
				}
				if more := at.answers(t, c.from); more != (name == "xds") {
					t.Errorf("%s has one more connection than it may: %v", c.from, more)
				}
			}
		})
	}
}

// TestSlowClientsAreCutOff: a handshake, a header or a body that comes byte by byte ends, whatever it says.
func TestSlowClientsAreCutOff(t *testing.T) {
	r := everywhere(t, ir.ServerLimits{})
	hello := "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
	for name, at := range r.doors(t) {
		slow := map[string]string{"header": strings.TrimSuffix(at.ask, "\r\n") + "x: "}
		if name == "xds" {
			slow = nil // gRPC has its own, for proxies with an identity
		}
		if name == "enrol" || name == "operators" {
			slow["body"] = "POST /v1/certificates HTTP/1.1\r\nhost: x\r\ncontent-length: 60000\r\n\r\n{\"request\": \""
		}
		for what, text := range slow {
			t.Run(name+" "+what, func(t *testing.T) {
				t.Parallel()
				conn := at.connect(t, "127.0.0.2")
				if at.client != nil {
					conn = tls.Client(conn, at.client)
				}
				at.drip(t, conn, text)
			})
		}
		if at.client == nil {
			continue
		}
		t.Run(name+" handshake", func(t *testing.T) {
			t.Parallel()
			at.drip(t, at.connect(t, "127.0.0.2"), hello)
		})
	}
}

// drip sends a text and then byte after byte, and fails if that does not end.
func (d door) drip(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	_, err := io.WriteString(conn, text)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	go func() {
		_, _ = io.Copy(io.Discard, conn) // an answer that refuses counts as the end, too
		conn.Close()
	}()
	for ; err == nil; _, err = io.WriteString(conn, "x") {
		<-tick.C
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the server still reads after a minute")
	}
}
