package local

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"
)

// Calls to externals leave the mesh by a gateway, which tells nobody outside who
// calls; and nobody but the callers gets out by it.
//
// Field: external.via
// Field: egress
func TestEgressGateway(t *testing.T) {
	mesh := trafficMesh(t)
	out := func() uint64 {
		return counted(t, mesh, "gateway/exit/a", `^cluster\.external\|outside(-tcp)?\|[a-z]+\.upstream_cx_total$`)
	}
	before := out()
	a := send(t, client(t), http.MethodGet, "http://outside.example:443/a?b=c")
	if a.report == nil || a.report.Service != "outside" || a.report.Path != "/a?b=c" ||
		a.report.Host != "outside.example:443" || a.report.Peer != "" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	conn, err := mesh.As("client").Dial(t.Context(), "tcp.example:9000")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(conn, "hello\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || line == "" {
		t.Errorf("%q, %v", line, err)
	}
	if n := out() - before; n < 2 {
		t.Errorf("the gateway opened %d connections to the externals", n)
	}

	// Members that do not use the external, plaintext, and names that are none.
	g := mesh.Placed().Gateway("exit")
	address := join(g.Egress.Host, g.Egress.Port)
	for name, c := range map[string]struct {
		member, sni string
		good        bool
	}{
		"the caller":     {"service/client", "https.outside.egress", true},
		"another member": {"service/cors", "https.outside.egress", false},
		"another name":   {"service/client", "https.other.egress", false},
		"without a name": {"service/client", "", false},
	} {
		dir := filepath.Join(mesh.Directory(), filepath.FromSlash(c.member), "certificates")
		certificate, err := tls.LoadX509KeyPair(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
		if err != nil {
			t.Fatal(err)
		}
		conn, err := tls.Dial("tcp", address, &tls.Config{
			Certificates: []tls.Certificate{certificate},
			ServerName:   c.sni, InsecureSkipVerify: true, NextProtos: []string{"h2"},
		})
		if err == nil {
			_ = conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
			_, err = conn.Read(make([]byte, 1)) // a refused certificate is told after the handshake
			if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
				err = nil
			}
			conn.Close()
		}
		if (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
	plain, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	_ = plain.SetDeadline(time.Now().Add(5 * time.Second))
	_, _ = io.WriteString(plain, "GET / HTTP/1.1\r\nhost: outside.example\r\n\r\n")
	if n, err := plain.Read(make([]byte, 1)); n > 0 {
		t.Errorf("plaintext was answered: %v", err)
	}
}
