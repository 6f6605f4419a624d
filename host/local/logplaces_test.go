package local

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	commonv1 "go.opentelemetry.io/proto/otlp/common/v1"
	logsv1 "go.opentelemetry.io/proto/otlp/logs/v1"
	metricsv1 "go.opentelemetry.io/proto/otlp/metrics/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
)

// collector takes logs and spans by OTLP: the messages of the services of OpenTelemetry are those of its data, by wire.
type collector struct {
	mu      sync.Mutex
	records []map[string]string // attributes, of the resource too
	spans   []span
	points  []point
}

// span is one, with its attributes and those of the resource.
type span struct {
	trace, id, parent, name string
	kind                    tracev1.Span_SpanKind
	has                     map[string]string
}

// collects takes OTLP where somebody listens, until the test ends.
type collects func(*testing.T, net.Listener) *collector

// collect takes OTLP there until the test ends.
func collect(t *testing.T, l net.Listener) *collector {
	t.Helper()
	c := &collector{}
	s := c.server()
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	return c
}

// server has the collector take what comes.
func (c *collector) server() *grpc.Server {
	return grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		var logs logsv1.LogsData
		var traces tracev1.TracesData
		var metrics metricsv1.MetricsData
		sent := proto.Message(&logs)
		switch method, _ := grpc.MethodFromServerStream(stream); {
		case strings.Contains(method, "TraceService"):
			sent = &traces
		case strings.Contains(method, "MetricsService"):
			sent = &metrics
		}
		if err := stream.RecvMsg(sent); err != nil {
			return err
		}
		c.take(&logs)
		c.takeSpans(&traces)
		c.takeMetrics(&metrics)
		return stream.SendMsg(&emptypb.Empty{})
	}))
}

func (c *collector) take(sent *logsv1.LogsData) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, of := range sent.GetResourceLogs() {
		for _, scope := range of.GetScopeLogs() {
			for _, r := range scope.GetLogRecords() {
				c.records = append(c.records, attributesOf(of.GetResource().GetAttributes(), r.GetAttributes()))
			}
		}
	}
}

func (c *collector) takeSpans(sent *tracev1.TracesData) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, of := range sent.GetResourceSpans() {
		for _, scope := range of.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				c.spans = append(c.spans, span{
					string(s.GetTraceId()), string(s.GetSpanId()), string(s.GetParentSpanId()),
					s.GetName(), s.GetKind(),
					attributesOf(of.GetResource().GetAttributes(), s.GetAttributes()),
				})
			}
		}
	}
}

func attributesOf(lists ...[]*commonv1.KeyValue) map[string]string {
	out := map[string]string{}
	for _, list := range lists {
		for _, a := range list {
			out[a.GetKey()] = a.GetValue().GetStringValue()
		}
	}
	return out
}

// having are the records that have all of those attributes.
func (c *collector) having(want map[string]string) (found []map[string]string) {
	c.mu.Lock()
	defer c.mu.Unlock()
next:
	for _, r := range c.records {
		for name, value := range want {
			if r[name] != value {
				continue next
			}
		}
		found = append(found, r)
	}
	return found
}

// placesMesh logs to a collector; a host logs to a file, in text and with queries; a gateway logs shares.
const placesMesh = `package shop

mesh: {
	name: "shop", trustDomain: "shop.example"
	silence: {MC1701: "-", MC1704: "-", MC1736: "-"}
	telemetry: {
		collector: COLLECTOR
		accessLog: {format: "otlp", when: "all"}
	}
}
services: [string]: namespace: "shop"
services: {
	client: {
		workload: endpoints: [{address: "10.0.0.1"}]
		uses: server: {}
		telemetry: accessLog: {format: "text", query: true, file: "FILE"}
	}
	server: {
		workload: deployment: "server"
		ports: http: {port: 8080, protocol: "http"}
		allow: [{from: {services: ["client"], gateways: ["edge"]}}]
	}
}
gateways: edge: {
	namespace: "shop"
	listeners: http: port: 80
	routes: [
		{name: "few", match: path: prefix: "/few", to: [{service: "server"}], telemetry: accessLog: {when: "sampled", percent: 10}},
		{to: [{service: "server"}]},
	]
	uses: server: {}
	telemetry: accessLog: {format: "json", when: "sampled", percent: 50}
}
`

// Lines are where the spec says, in every form, of about the shares that are written, and no secret is in them but in
// the one log that is to have queries. Requests go on when the collector is gone. Users' reports:
// envoyproxy/envoy#7583, openservicemesh/osm#5241 (queries in logs), envoyproxy/envoy#10764 (a collector that does not
// take them).
//
// Field: mesh.telemetry.accessLog
// Field: mesh.telemetry.collector
// Field: routes.telemetry.accessLog.percent
func TestLogsGoWhereTheSpecSays(t *testing.T) {
	t.Parallel() // it waits more than it works
	logsGo(t, collect)
}

func logsGo(t *testing.T, by collects) {
	for _, c := range []struct{ name, collector, declares string }{
		{"service", `service: "otel"`, `services: otel: {workload: deployment: "otel", ports: grpc: {port: 4317, protocol: "grpc"}, allow: [{from: namespaces: ["shop"]}]}`},
		{"external", `{external: "otel", port: "grpc"}`, `external: otel: {hosts: ["otel.example"], ports: {grpc: {port: 4317, protocol: "grpc"}, more: {port: 4318, protocol: "grpc"}}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "access.log")
			text := strings.NewReplacer("COLLECTOR", c.collector, "FILE", file).Replace(placesMesh) + c.declares
			m := start(t, inline(t, map[string]string{"mesh.cue": text}))
			var l net.Listener
			if c.name == "service" {
				m.Backend("otel", "a").Close()
				l = listenAs(t, m, "otel", "a")
			} else {
				m.External("otel").Close()
				e := m.Placed().External("otel")
				var err error
				if l, err = listening(join(e.Endpoints[0].Address, e.Endpoints[0].Ports["grpc"])); err != nil {
					t.Fatal(err)
				}
			}
			goesWhere(t, m, by(t, l), file)
			l.Close()
			get(t, m.As("client").Client(), "http://server:8080/after")
		})
	}
}

func goesWhere(t *testing.T, m *Mesh, c *collector, file string) {
	const secret = "very-secret"
	headers := []string{
		"authorization", "Bearer " + secret, "cookie", "a=" + secret, "x-api-key", secret, "referer", "http://a/?" + secret,
	}
	get(t, m.As("client").Client(), "http://server:8080/items?token="+secret, headers...)
	eventually(t, "the record of the callee", func() bool {
		return len(c.having(map[string]string{
			"service.name": "server", "service.namespace": "shop", "kind": "http.server", "url.path": "/items",
			"caller": "spiffe://shop.example/ns/shop/sa/client", "http.response.status_code": "200",
		})) == 1
	})
	read := func(name string) string {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	eventually(t, "the line of text", func() bool {
		return strings.Contains(read(file), "kind=http.client") && strings.Contains(read(file), "url.path=/items?token="+secret+"\n")
	})
	if n := strings.Count(read(file), secret); n != 1 {
		t.Errorf("the text has %d secrets, and is to have the query alone: %s", n, read(file))
	}
	c.mu.Lock()
	if all := fmt.Sprint(c.records); strings.Contains(all, secret) {
		t.Errorf("the collector has a secret: %s", all)
	}
	c.mu.Unlock()

	const sent = 200
	for range sent {
		for _, path := range []string{"/few", "/some"} {
			get(t, http.DefaultClient, m.Gateway("edge").URL+path+"?token="+secret, append(headers, "host", "shop.example")...)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 600*time.Millisecond) // two flushes
	defer cancel()
	<-ctx.Done()
	counts := map[any]int{}
	for _, line := range logLines(t, m, "gateway/edge/a") {
		counts[line["url.path"]]++
	}
	for path, percent := range map[string]int{"/few": 10, "/some": 50} {
		if want := sent * percent / 100; counts[path] < want-35 || counts[path] > want+35 {
			t.Errorf("%s: %d lines, not about %d", path, counts[path], want)
		}
	}
	if strings.Contains(read(filepath.Join(m.Directory(), "gateway", "edge", "a", "envoy.log")), secret) {
		t.Error("the gateway's log has a secret")
	}
}
