package serve_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metricsservice "github.com/envoyproxy/go-control-plane/envoy/service/metrics/v3"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
)

const adopting = `package shop

mesh: {name: "shop", trustDomain: "shop.example"}
services: frontend: {
	workload: deployment: "frontend"
	uses: {stock: ports: ["http"], paid: {}}
	proxy: undeclaredCalls: "pass"
	silence: MC1757: "adoption"
}
services: cart: {workload: deployment: "cart", ports: http: {port: 80, target: 8080, protocol: "http"}}
services: store: {
	workload: endpoints: [{address: "10.0.0.7"}]
	ports: db: {port: 5432, protocol: "tcp"}
}
services: stock: {
	workload: deployment: "stock"
	ports: {http: {port: 8080, protocol: "http"}, db: {port: 5432, protocol: "tcp"}}
	allow: [{from: services: ["frontend"]}]
}
external: paid: {hosts: ["pay.example"], ports: https: {port: 443, protocol: "tls"}}
external: free: {hosts: ["free.example"], ports: https: {port: 443, protocol: "tls"}}
`

// What passes undeclared is told by the address and the name that were asked for, with the service or the external of
// the mesh that it is for. What is declared meanwhile is not told, nor what a proxy tells of others, or of no address.
func TestUndeclaredCallsAreTold(t *testing.T) {
	r := start(t)
	if err := r.SetMesh(compileSpec(t, adopting)); err != nil {
		t.Fatal(err)
	}
	r.SetServices("default", map[string][]string{"cart": {"10.96.0.1"}, "stock": {"10.96.0.2"}, "other": {"10.96.0.3"}})
	s := reporting(t, r.dial(t, "frontend", time.Hour))
	message := &metricsservice.StreamMetricsMessage{}
	now := time.Now().UnixMilli()
	tell := func(kind, caller, name, address string, n float64) {
		labels := []string{"caller", caller, "server.name", name, "server.address", address}
		m := &dto.Metric{Counter: &dto.Counter{Value: &n}, TimestampMs: &now}
		for i := 0; i < len(labels); i += 2 {
			m.Label = append(m.Label, &dto.LabelPair{Name: &labels[i], Value: &labels[i+1]})
		}
		message.EnvoyMetrics = append(message.EnvoyMetrics, &dto.MetricFamily{
			Name: proto.String("meshc.undeclared." + kind), Metric: []*dto.Metric{m},
		})
	}
	const connections, requests = "tcp.connections", "http.requests"
	tell(connections, frontendID, "", "10.96.0.1:80", 2)
	tell(requests, frontendID, "cart:80", "10.96.0.1:80", 3)
	tell(connections, frontendID, "", "10.0.0.7:5432", 1)
	tell(connections, frontendID, "", "10.96.0.2:5432", 1)   // stock, of which it uses another port
	tell(requests, frontendID, "stock", "10.96.0.2:8080", 9) // declared
	tell(connections, frontendID, "free.example", "192.0.2.1:443", 4)
	tell(connections, frontendID, "pay.example", "192.0.2.2:443", 4) // declared
	tell(connections, frontendID, "", "[2001:db8::1]:25", 1)
	tell(connections, frontendID, "gone.example", "192.0.2.9:25", 0)
	tell(requests, frontendID, "\x1b[31m\u202e\"}", "192.0.2.3:80", 1) // cannot be shown
	tell(connections, "spiffe://shop.example/ns/default/sa/cart", "", "192.0.2.4:1", 1)
	tell(connections, frontendID, "", "nowhere", 1)
	if err := s.Send(report("service/frontend/a", message)); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"[2001:db8::1]:25  false 1", "192.0.2.1:443 external free false 4",
		"10.96.0.1:80 service cart false 2", "10.96.0.1:80 service cart false 3",
		"10.96.0.2:5432 service stock true 1", "10.0.0.7:5432 service store false 1",
	}
	slices.Sort(want)
	var got []string
	eventually(t, "what passed is told", func() bool {
		got = nil
		edges := r.Edges(15 * time.Minute)
		for _, c := range edges.Undeclared {
			if strings.ContainsAny(c.Name, "\x1b\u202e") {
				t.Errorf("a name is told as it is: %q", c.Name)
			}
			at := fmt.Sprintf("%s:%d", c.Address, c.Port)
			if c.Address.Is6() {
				at = fmt.Sprintf("[%s]:%d", c.Address, c.Port)
			}
			got = append(got, fmt.Sprint(at, " ", c.Callee, " ", c.Allowed, " ", c.Connections))
		}
		slices.Sort(got)
		for _, e := range edges.Edges {
			if strings.Contains(e.Callee, "example") && !strings.HasPrefix(e.Callee, "external ") {
				t.Errorf("what passes is an edge: %+v", e)
			}
		}
		t.Log(got)
		return slices.Equal(got, want)
	})
}
