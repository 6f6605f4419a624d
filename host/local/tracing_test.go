package local

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
)

// tracedMesh has a chain of three services behind a gateway, and all traces recorded but those of one route.
const tracedMesh = `package shop

mesh: {
	name: "shop", trustDomain: "shop.example", silence: {MC1701: "-", MC1704: "-", MC1736: "-"}
	telemetry: {collector: service: "otel", tracing: sampling: 100}
}
services: [string]: namespace: "shop"
services: {
	[N="front" | "middle" | "back"]: {workload: deployment: N, ports: http: {port: 8080, protocol: "http"}}
	front: {uses: middle: {}, allow: [{from: gateways: ["edge"]}]}
	middle: {
		uses: back: {}
		routes: [{name: "orders", match: path: prefix: "/orders"}]
		allow: [{name: "the front", from: services: ["front"]}]
	}
	back: allow: [{from: services: ["middle"]}]
	otel: {workload: deployment: "otel", ports: grpc: {port: 4317, protocol: "grpc"}, allow: [{from: namespaces: ["shop"]}]}
}
gateways: edge: {
	namespace: "shop"
	listeners: http: port: 80
	routes: [
		{name: "few", match: path: prefix: "/few", to: [{service: "front"}], telemetry: tracing: sampling: 5},
		{name: "all", to: [{service: "front"}]},
	]
	uses: front: {}
}
`

// A request through a gateway and three services, whose applications hand the headers of the trace on, is one trace
// with a span for each proxy, each the child of the one before, that names route, rule and place in the spec, and
// neither the query nor a header. Of a route few traces are recorded, whatever headers from outside ask for, and each
// from its beginning. Users' reports: istio/istio#6989 (each hop decided anew), istio/istio#12019 (traces in part).
//
// Field: mesh.telemetry.tracing.sampling
func TestOneTraceThroughTheMesh(t *testing.T) {
	t.Parallel() // it waits more than it works
	oneTrace(t, collect)
}

func oneTrace(t *testing.T, by collects) {
	m := start(t, inline(t, map[string]string{"mesh.cue": tracedMesh}))
	m.Backend("otel", "a").Close()
	c := by(t, listenAs(t, m, "otel", "a"))
	for from, next := range map[string]string{"front": "middle", "middle": "back", "back": ""} {
		client := m.As(from).Client()
		play(t, m, from, "a", func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/few") || next == "" {
				return
			}
			a, err := trySend(r.Context(), client, http.MethodGet, "http://"+next+":8080/orders/1?token=very-secret",
				"traceparent", r.Header.Get("traceparent"), "tracestate", r.Header.Get("tracestate"))
			if err != nil || a.status != http.StatusOK {
				w.WriteHeader(http.StatusBadGateway)
			}
		})
	}
	const outside = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	ask := func(path string) {
		a := send(t, http.DefaultClient, http.MethodGet, m.Gateway("edge").URL+path+"?token=very-secret", "host",
			"shop.example", "traceparent", outside, "authorization", "Bearer very-secret")
		if a.status != http.StatusOK {
			t.Fatalf("%s: %d", path, a.status)
		}
	}
	ask("/orders/1")
	isOneTrace(t, c)
	if all := fmt.Sprint(c.all()); strings.Contains(all, "very-secret") {
		t.Errorf("a span has a secret: %s", all)
	}
	sampled(t, c, ask)
}

// all are the spans that came.
func (c *collector) all() []span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.spans
}

// isOneTrace wants the spans of the first request.
func isOneTrace(t *testing.T, c *collector) {
	t.Helper()
	eventually(t, "seven spans", func() bool { return len(c.all()) >= 7 })
	chain := []struct {
		service string
		kind    tracev1.Span_SpanKind
		want    map[string]string
	}{
		{"edge", tracev1.Span_SPAN_KIND_SERVER, map[string]string{"http.route": "all", "source": line(t, tracedMesh, `"all"`)}},
		{"edge", tracev1.Span_SPAN_KIND_CLIENT, nil},
		{"front", tracev1.Span_SPAN_KIND_SERVER, map[string]string{"caller": "spiffe://shop.example/ns/shop/sa/edge"}},
		{"front", tracev1.Span_SPAN_KIND_CLIENT, map[string]string{
			"http.route": "orders", "source": line(t, tracedMesh, `"orders"`), "callee": "middle.shop", "url.path": "/orders/1",
		}},
		{"middle", tracev1.Span_SPAN_KIND_SERVER, map[string]string{"rule": "the front " + line(t, tracedMesh, `"the front"`)}},
		{"middle", tracev1.Span_SPAN_KIND_CLIENT, map[string]string{"http.route": "(rest)"}},
		{"back", tracev1.Span_SPAN_KIND_SERVER, map[string]string{"caller": "spiffe://shop.example/ns/shop/sa/middle"}},
	}
	parent, trace := "", ""
	for i, want := range chain {
		var found *span
		for _, s := range c.all() {
			if s.parent == parent && (trace == "" || s.trace == trace) {
				found = &s
			}
		}
		if found == nil {
			t.Fatalf("no span of %s is the child of the one before; there are %+v", want.service, c.all())
		}
		parent, trace = found.id, found.trace
		has := map[string]any{}
		for name, value := range found.has {
			has[name] = value
		}
		wanted := map[string]any{"service.name": want.service, "service.namespace": "shop"}
		for name, value := range want.want {
			wanted[name] = value
		}
		if !all(has, wanted) || found.kind != want.kind {
			t.Errorf("span %d is %+v, and is to have %v and kind %v", i, *found, wanted, want.kind)
		}
	}
	if trace == "\x0a\xf7\x65\x19\x16\xcd\x43\xdd\x84\x48\xeb\x21\x1c\x80\x31\x9c" {
		t.Error("the trace is that of somebody outside")
	}
}

// sampled wants about as many traces as the route few says, and whole ones.
func sampled(t *testing.T, c *collector, ask func(path string)) {
	t.Helper()
	before := len(c.all())
	const sent, percent, points = 1200, 5, 3
	for range sent {
		ask("/few")
	}
	ask("/orders/2") // whose spans come after those before it
	eventually(t, "the last trace", func() bool {
		for _, s := range c.all()[before:] {
			if s.has["service.name"] == "back" {
				return true
			}
		}
		return false
	})
	begun, others := 0, 0
	for _, s := range c.all()[before:] {
		switch {
		case s.has["http.route"] == "few" && s.parent == "":
			begun++
		case s.parent == "" && s.has["service.name"] != "edge":
			others++
		}
	}
	if begun < sent*(percent-points)/100 || begun > sent*(percent+points)/100 || others > 0 {
		t.Errorf("of %d requests %d were traced, and %d traces began behind the gateway", sent, begun, others)
	}
}
