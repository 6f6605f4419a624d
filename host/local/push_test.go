package local

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	metricsv1 "go.opentelemetry.io/proto/otlp/metrics/v1"

	"github.com/meshc/meshc/compiler/ir"
)

// point is the value of a series, with its attributes and those of the resource; of a histogram it is the count.
type point struct {
	name  string
	value float64
	has   map[string]string
}

func (c *collector) takeMetrics(sent *metricsv1.MetricsData) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, of := range sent.GetResourceMetrics() {
		for _, scope := range of.GetScopeMetrics() {
			for _, m := range scope.GetMetrics() {
				numbers := append(m.GetSum().GetDataPoints(), m.GetGauge().GetDataPoints()...)
				for _, p := range numbers {
					has := attributesOf(of.GetResource().GetAttributes(), p.GetAttributes())
					c.points = append(c.points, point{m.GetName(), p.GetAsDouble() + float64(p.GetAsInt()), has})
				}
				for _, p := range m.GetHistogram().GetDataPoints() {
					has := attributesOf(of.GetResource().GetAttributes(), p.GetAttributes())
					c.points = append(c.points, point{m.GetName(), float64(p.GetCount()), has})
				}
			}
		}
	}
}

// latest is the last value of a series whose attributes begin so; 0 for none.
func (c *collector) latest(name string, has map[string]string) float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	value := 0.0
	for _, p := range c.points {
		same := p.name == name
		for k, v := range has {
			same = same && strings.HasPrefix(p.has[k], v)
		}
		if same {
			value = p.value
		}
	}
	return value
}

// pushedMesh sends metrics to a collector in the mesh.
const pushedMesh = `package shop

mesh: {
	name: "shop", trustDomain: "shop.example", silence: {MC1701: "-", MC1704: "-", MC1736: "-"}
	telemetry: {collector: service: "otel", metrics: push: {}}
}
services: [string]: namespace: "shop"
services: {
	client: {workload: deployment: "client", uses: server: {}}
	server: {
		workload: deployment: "server"
		ports: http: {port: 8080, protocol: "http"}
		allow: [{name: "the client", from: services: ["client"]}, {from: gateways: ["edge"]}]
	}
	otel: {workload: deployment: "otel", ports: grpc: {port: 4317, protocol: "grpc"}, allow: [{from: namespaces: ["shop"]}]}
}
gateways: edge: {namespace: "shop", listeners: http: port: 80, uses: server: {}, routes: [{to: [{service: "server"}]}]}
`

// Each proxy sends what it counts of the mesh, and nothing of Envoy's own, to the collector, with its name as that of
// the resource; the collector's own proxy does not. By xDS and with files alone.
func TestMetricsArePushed(t *testing.T) {
	t.Parallel() // it waits more than it works
	for _, delivery := range []ir.Delivery{ir.DeliveryXDS, ir.DeliveryStatic} {
		t.Run(string(delivery), func(t *testing.T) { metricsArePushed(t, delivery, collect) })
	}
}

func metricsArePushed(t *testing.T, delivery ir.Delivery, by collects) {
	shop := inline(t, map[string]string{"mesh.cue": pushedMesh})
	shop.Delivery = delivery
	m := start(t, shop)
	m.Backend("otel", "a").Close()
	c := by(t, listenAs(t, m, "otel", "a"))
	const sent = 7
	for range sent {
		get(t, m.As("client").Client(), "http://server:8080/items/1?token=very-secret")
	}
	for name, has := range map[string]map[string]string{
		"meshc.http.client.requests": {
			"service.name": "client", "service.namespace": "shop", "callee": "server.shop",
			"http.response.status_class": "2xx", "caller": "spiffe://shop.example/ns/shop/sa/client",
		},
		"meshc.http.server.requests": {
			"service.name": "server", "rule": "the client " + line(t, pushedMesh, `{name: "the client"`),
		},
		"meshc.http.server.request.duration": {"service.name": "server"},
	} {
		eventually(t, name, func() bool { return c.latest(name, has) == sent })
	}
	get(t, http.DefaultClient, m.Gateway("edge").URL+"/items/2", "host", "shop.example")
	eventually(t, "the gateway's", func() bool {
		return c.latest("meshc.http.client.requests", map[string]string{"service.name": "edge"}) == 1
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.points {
		if !strings.HasPrefix(p.name, "meshc.") || p.has["service.name"] == "otel" {
			t.Fatalf("this is sent too: %+v", p)
		}
		for k, v := range p.has {
			if strings.Contains(k+v, "secret") {
				t.Fatalf("this has a secret: %+v", p)
			}
		}
	}
}

// The socket by which a proxy sends its metrics to the collector is for the proxy itself: neither another process of
// the host nor another member gets reports to the collector by it, whose headers it would have.
func TestPushIsForTheProxyItself(t *testing.T) {
	m := start(t, inline(t, map[string]string{"mesh.cue": pushedMesh}))
	s := m.Placed().Service("client")
	at := "@meshc-push-" + join(s.Workload.Endpoints[0].Address, s.Proxy.AdminPort)
	at = strings.Replace(at, ":", "-", 1)
	client := func(member string) *http.Client {
		config := asMember(t, m, "service/"+member)
		return &http.Client{Transport: &http.Transport{
			TLSClientConfig: config, ForceAttemptHTTP2: true, DisableKeepAlives: true,
			DialContext: func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", at) },
		}}
	}
	const report = "https://push/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
	eventually(t, "the socket", func() bool {
		a, err := trySend(t.Context(), client("client"), http.MethodGet, report)
		return err == nil && a.status == http.StatusNotFound
	})
	for _, other := range []string{"server", "otel"} {
		if a, err := trySend(t.Context(), client(other), http.MethodPost, report); err == nil {
			t.Errorf("%s is answered %d", other, a.status)
		}
	}
	conn, err := net.Dial("unix", at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	plain := &http.Client{Transport: &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil },
	}}
	if a, err := trySend(t.Context(), plain, http.MethodPost, strings.Replace(report, "https", "http", 1)); err == nil {
		t.Errorf("without TLS: %d", a.status)
	}
}
