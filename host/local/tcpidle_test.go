package local

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/ir"
)

const idleTCP = `package m

mesh: {name: "m", trustDomain: "m.example"}
services: {
	client: {workload: deployment: "client", uses: {brief: {}, kept: connections: idleTimeout: "400ms"}}
	brief: connections: idleTimeout: "400ms"
	kept: {}
	[N=!="client"]: {
		workload: deployment: N
		ports: main: {port: *8081 | int, protocol: "tcp"}
		allow: [{from: {services: ["client"], gateways: ["edge"]}}]
	}
	kept: ports: main: port: 8082
}
gateways: edge: {
	listeners: {
		brief: {port: 9000, protocol: "tcp", to: {service: "brief", port: "main"}}
		kept: {port: 9001, protocol: "tcp", to: {service: "kept", port: "main"}}
	}
	uses: {brief: {}, kept: connections: idleTimeout: "400ms"}
}
`

// A TCP connection on which nothing moves is ended by the proxy of whoever made it, as the nearest to the caller says:
// a service's, a gateway's. Users' reports: istio/istio#24387 and envoyproxy/envoy#2324.
//
// Field: connections.idleTimeout
func TestIdleTCPConnectionsEnd(t *testing.T) {
	t.Parallel() // it waits more than it works
	for _, delivery := range []ir.Delivery{ir.DeliveryXDS, ir.DeliveryStatic} {
		m := inline(t, map[string]string{"mesh.cue": idleTCP}).Clone()
		m.Delivery = delivery
		mesh := start(t, m)
		edge := func(listener string) func() (net.Conn, error) {
			_, address, _ := strings.Cut(mesh.Gateway("edge").Listeners[listener], "://")
			return func() (net.Conn, error) { return net.Dial("tcp", address) }
		}
		for name, dial := range map[string]func() (net.Conn, error){
			"the service says so": func() (net.Conn, error) {
				return mesh.As("client").Dial(t.Context(), "brief:8081")
			},
			"the caller says so": func() (net.Conn, error) {
				return mesh.As("client").Dial(t.Context(), "kept:8082")
			},
			"the service says so, by a gateway": edge("brief"),
			"the gateway says so":               edge("kept"),
		} {
			conn, err := dial()
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
				t.Fatal(err)
			}
			read := bufio.NewReader(conn)
			if _, err := io.WriteString(conn, "hello\n"); err != nil {
				t.Fatal(err)
			}
			if line, err := read.ReadString('\n'); line == "" {
				t.Errorf("%s: no answer: %v", name, err)
			}
			if _, err := io.Copy(io.Discard, read); err != nil {
				t.Errorf("%v, %s: the connection did not end: %v", delivery, name, err)
			}
		}
	}
}
