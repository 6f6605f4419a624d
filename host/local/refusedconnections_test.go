package local

import (
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/ir"
)

const guarded = `package guarded

mesh: {name: "guarded", trustDomain: "guarded.example"}

services: client: {workload: deployment: "client", uses: strict: {}}
services: strict: {
	workload: deployment: "strict"
	ports: {http: {port: 8081, protocol: "http"}, sql: {port: 8082, protocol: "tcp"}}
	allow: [{from: services: ["client"]}]
}
services: near: {
	workload: deployment: "near"
	mtls: "permissive"
	ports: sql: {port: 8083, protocol: "tcp"}
	allow: [{from: {plaintext: true, ipRanges: ["127.0.0.2"]}, ports: ["sql"]}]
	ports: nobody: {port: 8084, protocol: "tcp"}
	silence: MC1704: "it is a test"
}
`

// A connection that the callee's proxy ends before any rule is asked is a failure of that port, which names its cause:
// no TLS at all, no certificate or one that the port does not take, another fault of the handshake, and an address that
// may not come without one. It has no caller. Other meshes' users see a reset alone,
// and the cause at the level of debugging or as a number of BoringSSL (istio/istio#26922, #33208).
func TestRefusedConnectionsAreCounted(t *testing.T) {
	t.Parallel() // it waits more than it works
	mesh := start(t, inline(t, map[string]string{"mesh.cue": guarded}))
	stranger := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}
	other := asMember(t, mesh, "service/near")
	old := asMember(t, mesh, "service/client")
	old.MaxVersion = tls.VersionTLS12
	old.MinVersion = tls.VersionTLS12
	want := series{}
	for _, port := range []string{"http", "sql"} {
		at := inbound(mesh, "strict", port)
		number := map[string]string{"http": "8081", "sql": "8082"}[port]
		for cause, ends := range map[string][]func(string) error{
			ir.RefusedPlaintext:   {bytesTo("GET / HTTP/1.1\r\nHost: strict\r\n\r\n"), bytesTo("\x00\x00\x00\x08\x04\xd2\x16\x2f12345678")},
			ir.RefusedCertificate: {handshake(stranger)},
			ir.RefusedHandshake:   {handshake(old)},
		} {
			for _, end := range ends {
				if err := end(at); err != nil {
					t.Fatal(err)
				}
				want[number+" "+cause]++
			}
		}
	}
	if err := handshake(other)(inbound(mesh, "strict", "sql")); err != nil {
		t.Fatal(err)
	}
	want["8082 "+ir.RefusedCertificate]++
	wantCounted(t, mesh, "strict", want)
	clear(want)
	for port, number := range map[string]string{"sql": "8083", "nobody": "8084"} {
		for _, end := range []func(string) error{bytesTo("from an address that may not"), handshake(old)} {
			if err := end(inbound(mesh, "near", port)); err != nil {
				t.Fatal(err)
			}
			want[number+" "+ir.DeniedBelowHTTP]++
		}
	}
	wantCounted(t, mesh, "near", want)
}

// wantCounted waits until the proxy of a service has counted so many failures of connections, by port and cause.
func wantCounted(t *testing.T, mesh *Mesh, service string, want series) {
	t.Helper()
	eventuallyRight(t, func() string {
		got := series{}
		for name, n := range scraped(t, mesh, "service/"+service+"/"+onlyInstance, "envoy_meshc_tcp_server_failures{") {
			l := labels(name)
			if l["caller"] != "" {
				t.Errorf("%s has a caller", name)
			}
			got[l["server_port"]+" "+l["error_type"]] += n
		}
		if !maps.Equal(got, want) {
			return fmt.Sprintf("%s counted\n%s\nwant\n%s", service, listed(got), listed(want))
		}
		return ""
	})
}

// bytesTo sends bytes without TLS, and waits for the end of the connection.
func bytesTo(content string) func(address string) error {
	return overTCP(func(conn net.Conn) error {
		_, err := io.WriteString(conn, content)
		_, _ = io.Copy(io.Discard, conn) // the connection may be reset
		return err
	})
}

// handshake begins TLS, and waits for the end of the connection.
func handshake(config *tls.Config) func(address string) error {
	return overTCP(func(conn net.Conn) error {
		secured := tls.Client(conn, config)
		if secured.Handshake() == nil {
			_, _ = io.Copy(io.Discard, secured) // the callee's side of it fails
		}
		return nil
	})
}

// overTCP makes a connection and does that with it.
func overTCP(does func(net.Conn) error) func(address string) error {
	return func(address string) error {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return err
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		return does(conn)
	}
}
