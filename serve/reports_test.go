package serve_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	metricsservice "github.com/envoyproxy/go-control-plane/envoy/service/metrics/v3"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/serve"
	"github.com/meshc/meshc/serve/telemetry"
)

const frontendID = "spiffe://shop.example/ns/default/sa/frontend"

// told is a report of requests from frontend to cart, that was made at that time.
func told(at time.Time, requests float64, more ...string) *metricsservice.StreamMetricsMessage {
	labels := append([]string{
		"caller", frontendID, "callee", "cart.default", "server.port", "8081",
		"http.response.status_class", "2xx",
	}, more...)
	m := &dto.Metric{Counter: &dto.Counter{Value: &requests}, TimestampMs: proto.Int64(at.UnixMilli())}
	for i := 0; i < len(labels); i += 2 {
		m.Label = append(m.Label, &dto.LabelPair{Name: &labels[i], Value: &labels[i+1]})
	}
	return &metricsservice.StreamMetricsMessage{EnvoyMetrics: []*dto.MetricFamily{
		{Name: proto.String("meshc.http.client.requests"), Metric: []*dto.Metric{m}},
	}}
}

func report(id string, m *metricsservice.StreamMetricsMessage) *metricsservice.StreamMetricsMessage {
	m.Identifier = &metricsservice.StreamMetricsMessage_Identifier{Node: node(id)}
	return m
}

func reporting(t *testing.T, c *grpc.ClientConn) metricsservice.MetricsService_StreamMetricsClient {
	t.Helper()
	s, err := metricsservice.NewMetricsServiceClient(c).StreamMetrics(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// counted are the requests from frontend to cart that the server knows of.
func counted(r *running) uint64 {
	for _, e := range r.Edges(15 * time.Minute).Edges {
		if e.Caller == "service frontend" && e.Callee == "service cart" && e.Client != nil {
			return e.Client.Requests
		}
	}
	return 0
}

// A proxy reports for itself, goes on after its stream broke, and with another server when its own is gone; whatever
// comes twice counts once.
func TestProxiesReport(t *testing.T) {
	first, second := start(t), start(t)
	for _, r := range []*running{first, second} {
		if err := r.SetMesh(compileSpec(t, spec)); err != nil {
			t.Fatal(err)
		}
	}
	at := time.Now()
	conn := first.dial(t, "frontend", time.Hour)
	send := func(s metricsservice.MetricsService_StreamMetricsClient, m *metricsservice.StreamMetricsMessage) {
		t.Helper()
		if err := s.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	s := reporting(t, conn)
	send(s, report("service/frontend/a", told(at, 10)))
	send(s, told(at, 10))
	send(s, told(at.Add(5*time.Second), 0))
	if err := s.CloseSend(); err != nil {
		t.Fatal(err)
	}
	s = reporting(t, conn)
	send(s, report("service/frontend/a", told(at.Add(10*time.Second), 5)))
	eventually(t, "15 requests are counted", func() bool { return counted(first) == 15 })
	if _, text := fetch(t, first, "/metrics"); !strings.Contains(text, "meshc_reports_total 4") {
		t.Error("/metrics does not have the 4 reports")
	}
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	if err := s.RecvMsg(&metricsservice.StreamMetricsResponse{}); status.Code(err) != codes.Unavailable {
		t.Errorf("the stream ends with %v", err)
	}
	s = reporting(t, second.dial(t, "frontend", time.Hour))
	send(s, report("service/frontend/a", told(at.Add(15*time.Second), 7)))
	eventually(t, "7 requests are counted by the other server", func() bool { return counted(second) == 7 })
}

// Whoever reports for another member, says not who it is, or too much, is refused, and nothing of it is kept.
func TestReportsThatAreRefused(t *testing.T) {
	r := start(t)
	if err := r.SetMesh(compileSpec(t, spec)); err != nil {
		t.Fatal(err)
	}
	conn := r.dial(t, "frontend", time.Hour)
	refused := func(what string, want codes.Code, messages ...*metricsservice.StreamMetricsMessage) {
		t.Helper()
		s := reporting(t, conn)
		for _, m := range messages {
			if err := s.Send(m); err != nil {
				break // the answer says why
			}
		}
		if err := s.RecvMsg(&metricsservice.StreamMetricsResponse{}); status.Code(err) != want {
			t.Errorf("%s: %v", what, err)
		}
	}
	at := time.Now()
	refused("another member", codes.PermissionDenied, report("service/cart/a", told(at, 1)))
	refused("no member", codes.NotFound, report("service/nobody/a", told(at, 1)))
	refused("no node", codes.InvalidArgument, told(at, 1))
	refused("no name", codes.InvalidArgument, report("frontend", told(at, 1)))
	refused("a long label", codes.InvalidArgument,
		report("service/frontend/a", told(at, 1, "source", strings.Repeat("x", 1000))))
	var flood []*metricsservice.StreamMetricsMessage
	for range 5 {
		m := report("service/frontend/a", told(at, 0))
		m.EnvoyMetrics[0].Help = proto.String(strings.Repeat("x", 3<<20))
		flood = append(flood, m)
	}
	refused("8 MiB at once", codes.ResourceExhausted, flood...)
	if n := counted(r); n != 0 {
		t.Errorf("%d requests are counted", n)
	}
	if code, body := fetch(t, r, "/edges?window=1h"); code != http.StatusBadRequest {
		t.Errorf("a window of an hour: %d %s", code, body)
	}
}

// Edges that the mesh declares are there without traffic, with the lines of either end; a caller that cart denies is
// there too.
func TestDeclaredAndDeniedEdges(t *testing.T) {
	r := start(t)
	if err := r.SetMesh(compileSpec(t, spec)); err != nil {
		t.Fatal(err)
	}
	s := reporting(t, r.dial(t, "cart", time.Hour))
	m := report("service/cart/a", told(time.Now(), 4, "caller", "spiffe://shop.example/ns/default/sa/stranger", "rule", "",
		"http.response.status_code", "403"))
	m.EnvoyMetrics[0].Name = proto.String("meshc.http.server.failures")
	if err := s.Send(m); err != nil {
		t.Fatal(err)
	}
	var got serve.EdgeReport
	eventually(t, "there are two edges", func() bool {
		_, body := fetch(t, r, "/edges?window=15m")
		got = serve.EdgeReport{}
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
		return len(got.Edges) == 2
	})
	// What the port refused before any rule is asked is of the same edge.
	refused := report("service/cart/a", told(time.Now(), 3, "caller", "spiffe://shop.example/ns/default/sa/stranger",
		"error.type", ir.RefusedPlaintext))
	refused.EnvoyMetrics[0].Name = proto.String("meshc.tcp.server.failures")
	if err := s.Send(refused); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the edge has what was refused", func() bool {
		_, body := fetch(t, r, "/edges?window=15m")
		got = serve.EdgeReport{}
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
		return len(got.Edges) == 2 && got.Edges[1].Server.Denied == 7
	})
	idle, denied := got.Edges[0], got.Edges[1]
	if !idle.Declared || idle.Stats() != nil || idle.Uses.Line != 8 ||
		len(idle.Allow) != 1 || idle.Allow[0].Source.Line != 13 {
		t.Errorf("the idle edge is %+v", idle)
	}
	if denied.Declared || denied.Caller != "spiffe://shop.example/ns/default/sa/stranger" || denied.Server.Kind != telemetry.ServerHTTP ||
		denied.CalleeSource.Line != 10 || len(denied.Allow) != 0 {
		t.Errorf("the denied edge is %+v", denied)
	}
}
