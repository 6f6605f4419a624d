package local

import (
	"io"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/meshc/meshc/host/app"
)

const halfClosedMesh = `package m

mesh: {name: "m", trustDomain: "m.example"}
services: a: {workload: deployment: "a", uses: {b: {}, plain: {}, "by-gateway": {}}}
services: b: {workload: deployment: "b", ports: tcp: {port: 8080, protocol: "tcp"}, allow: [{from: {services: ["a"], gateways: ["g"]}}]}
external: {
	plain: {hosts: ["p1.example"], ports: tcp: {port: 9000, protocol: "tcp"}}
	"by-gateway": {hosts: ["p2.example"], ports: tcp: {port: 9001, protocol: "tcp"}, via: "exit"}
}
gateways: g: {listeners: tcp: {port: 8080, protocol: "tcp", to: {service: "b"}}, uses: b: {}}
gateways: exit: {egress: {}, uses: "by-gateway": {}}
`

// A client of TCP that has sent everything closes its half of the connection, and gets an answer to all of it; and one
// whose server closes its half first may go on. Both ends learn of the end on each way.
//
// Users' reports: envoyproxy/envoy#2067, fabiolb/fabio#336 (the answer is lost).
func TestHalfClosedConnections(t *testing.T) {
	mesh := start(t, inline(t, map[string]string{"mesh.cue": halfClosedMesh}))
	count := func(instead *app.App, port string) {
		address := instead.Address(port)
		instead.Close()
		l, err := listening(address)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				data, _ := io.ReadAll(conn) // until the client has no more to say
				_, _ = io.WriteString(conn, strings.ToUpper(string(data)))
				conn.Close()
			}
		}()
		t.Cleanup(func() { l.Close(); <-ended })
	}
	count(mesh.Backend("b", "a"), "tcp")
	count(mesh.External("plain"), "tcp")
	count(mesh.External("by-gateway"), "tcp")
	edge, err := url.Parse(mesh.Gateway("g").Listeners["tcp"])
	if err != nil {
		t.Fatal(err)
	}
	for name, dial := range map[string]func() (net.Conn, error){
		"sidecar to sidecar": func() (net.Conn, error) { return mesh.As("a").Dial(t.Context(), "b:8080") },
		"gateway to sidecar": func() (net.Conn, error) { return net.Dial("tcp", edge.Host) },
		"sidecar to external": func() (net.Conn, error) {
			return mesh.As("a").Dial(t.Context(), "p1.example:9000")
		},
		"egress gateway to external": func() (net.Conn, error) {
			return mesh.As("a").Dial(t.Context(), "p2.example:9001")
		},
	} {
		conn, err := dial()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		said := strings.Repeat("all that there is ", 20_000)
		if _, err := io.WriteString(conn, said); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		answer, err := io.ReadAll(conn)
		conn.Close()
		if err != nil || string(answer) != strings.ToUpper(said) {
			t.Errorf("%s: %d bytes of %d come back: %v", name, len(answer), len(said), err)
		}
	}
}
