package local

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/identity/svid"
)

const aging = `package aging

mesh: {name: "aging", trustDomain: "aging.example"}

services: client: {workload: deployment: "client", uses: {plain: {}, bytes: {}}}
services: plain: {workload: deployment: "plain", ports: main: {port: 8081, protocol: "http"}, allow: [{from: services: ["client"]}, {from: gateways: ["edge"]}]}
services: bytes: {workload: deployment: "bytes", ports: main: {port: 8082, protocol: "tcp"}, allow: [{from: services: ["client"]}]}
gateways: edge: {listeners: main: port: 8080, routes: [{to: [{service: "plain"}]}], uses: plain: {}}
`

// Requests go by connections whose age is at most the time that certificates have left when they are renewed: while
// certificates are renewed none is lost, and once they have ended none arrives, from a caller's proxy and from a
// gateway, and a connection below HTTP ends. Users' reports: istio/istio#7630 and #41924, envoyproxy/envoy#17999.
//
// Field: mesh.certificates
func TestConnectionsEndWithCertificates(t *testing.T) {
	t.Parallel() // it waits more than it works
	for _, delivery := range []ir.Delivery{ir.DeliveryXDS, ir.DeliveryStatic} {
		t.Run(string(delivery), func(t *testing.T) {
			m := inline(t, map[string]string{"mesh.cue": aging}).Clone()
			m.Delivery = delivery
			m.Certificates.Lifetime, m.Certificates.RenewBefore = ir.Duration(5*time.Second), ir.Duration(2*time.Second)
			mesh := start(t, m)
			ways := map[string]func() string{
				"a caller's proxy": streaming(t, mesh.As("client").Client(), "http://plain:8081/"),
				"a gateway":        streaming(t, http.DefaultClient, mesh.Gateway("edge").URL+"/"),
			}
			conn, err := mesh.As("client").Dial(t.Context(), "bytes:8082")
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			all := func(want string, what string) {
				for way, request := range ways {
					if got := request(); got != want {
						t.Fatalf("%s, %s: %s", what, way, got)
					}
				}
			}
			eventually(t, "connections that are replaced", func() bool {
				all("whole", "certificates are renewed")
				return counted(t, mesh, "service/client/a", `plain.*upstream_cx_max_duration_reached`) > 1
			})
			mesh.certificates.stop()
			var end time.Time
			for _, member := range []string{"service/client", "service/plain", "service/bytes", "gateway/edge"} {
				held, err := svid.Read(filepath.Join(mesh.Directory(), member, "certificates"))
				if err != nil {
					t.Fatal(err)
				}
				if held.Leaf().NotAfter.After(end) {
					end = held.Leaf().NotAfter
				}
			}
			end = end.Add(2 * time.Second) // the longest life of a connection that began just before
			eventually(t, "the end of the certificates", func() bool { return time.Now().After(end) })
			all("503", "certificates have ended")
			if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
				t.Errorf("the connection below HTTP is still there: %v", err)
			}
		})
	}
}
