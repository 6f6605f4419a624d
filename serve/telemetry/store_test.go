package telemetry

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	metricsservice "github.com/envoyproxy/go-control-plane/envoy/service/metrics/v3"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
)

const (
	frontend = "spiffe://shop.example/ns/shop/sa/frontend"
	interval = 5 * time.Second
)

var noon = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// metric is one of a report: its name without "meshc.", and its labels as key, value, key, value.
type metric struct {
	name      string
	labels    []string
	count     uint64
	durations []float64 // sorted
}

// reportOf is a report that a proxy made at that time.
func reportOf(t testing.TB, at time.Time, metrics ...metric) []byte {
	t.Helper()
	m := &metricsservice.StreamMetricsMessage{}
	for _, one := range metrics {
		d := &dto.Metric{TimestampMs: proto.Int64(at.UnixMilli())}
		for i := 0; i < len(one.labels); i += 2 {
			d.Label = append(d.Label, &dto.LabelPair{Name: &one.labels[i], Value: &one.labels[i+1]})
		}
		if one.durations == nil {
			d.Counter = &dto.Counter{Value: proto.Float64(float64(one.count))}
		} else {
			d.Summary = &dto.Summary{SampleCount: proto.Uint64(uint64(len(one.durations)))}
			for _, q := range []float64{0, .25, .5, .75, .9, .95, .99, .995, .999, 1} {
				is := math.NaN()
				if n := len(one.durations); n > 0 {
					is = one.durations[min(n-1, int(q*float64(n)))]
				}
				d.Summary.Quantile = append(d.Summary.Quantile, &dto.Quantile{Quantile: proto.Float64(q), Value: &is})
			}
		}
		m.EnvoyMetrics = append(m.EnvoyMetrics, &dto.MetricFamily{
			Name: proto.String("meshc." + one.name), Metric: []*dto.Metric{d},
		})
	}
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func edge(more ...string) []string {
	return append([]string{"caller", frontend, "callee", "cart.shop", "server.port", "7070"}, more...)
}

var (
	ofFrontend = &Reporter{Identity: frontend, Callee: "frontend.shop"}
	ofCart     = &Reporter{
		Identity: "spiffe://shop.example/ns/shop/sa/cart", Callee: "cart.shop",
		Denies: func(rule string) bool { return rule == "" || rule == "no secrets cart.cue:9:3" },
	}
)

func report(t testing.TB, p *Proxy, r *Reporter, at time.Time, metrics ...metric) {
	t.Helper()
	if err := p.Report(r, reportOf(t, at, metrics...), at); err != nil {
		t.Fatal(err)
	}
}

// only is the one end of that kind in the last window.
func only(t *testing.T, s *Store, kind Kind, window time.Duration, now time.Time) End {
	t.Helper()
	var found []End
	for _, e := range s.Ends(window, now) {
		if e.Kind == kind {
			found = append(found, e)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d ends of %s: %v", len(found), kind, found)
	}
	return found[0]
}

func assertNear(t *testing.T, what string, got, want, share float64) {
	t.Helper()
	if math.Abs(got-want) > share*want {
		t.Errorf("%s is %v and must be %v within %v", what, got, want, share)
	}
}

// Three instances of a caller send two requests a second each. Their sum is six, at whichever end one looks; a rate
// taken from one instance, or one that counts the time before each report, is not.
func TestRatesOfAllInstances(t *testing.T) {
	s := NewStore(Memory)
	var callers []*Proxy
	for range 3 {
		callers = append(callers, s.Proxy(interval))
	}
	callee := s.Proxy(interval)
	now := noon
	random := rand.New(rand.NewPCG(1, 2))
	late := func() time.Time { return now.Add(time.Duration(random.IntN(300)) * time.Millisecond) }
	for range 20 {
		now = now.Add(interval)
		for _, p := range callers {
			at := late()
			report(t, p, ofFrontend, at,
				metric{name: "http.client.requests", labels: edge("http.response.status_class", "2xx"), count: 10})
		}
		report(t, callee, ofCart, late(),
			metric{name: "http.server.requests", labels: edge("http.response.status_class", "2xx"), count: 30})
	}
	for _, kind := range []Kind{ClientHTTP, ServerHTTP} {
		for _, window := range []time.Duration{10 * time.Second, time.Minute, 75 * time.Second} {
			assertNear(t, fmt.Sprint(kind, window), only(t, s, kind, window, now.Add(time.Second)).PerSecond, 6, 0.01)
		}
		if all := only(t, s, kind, Kept, now.Add(time.Second)); all.Requests != 600 {
			t.Errorf("%s: %d requests of 600", kind, all.Requests)
		}
	}
}

// A counter that did not grow adds nothing, however often it is reported; a message that comes twice counts once; one
// from a proxy that was started again, or that comes on another stream, counts as it is.
func TestNothingCountsTwice(t *testing.T) {
	s := NewStore(Memory)
	p := s.Proxy(interval)
	requests := metric{name: "http.client.requests", labels: edge("http.response.status_class", "2xx")}
	at := func(n int) time.Time { return noon.Add(time.Duration(n) * interval) }
	send := func(n int, count uint64) {
		requests.count = count
		report(t, p, ofFrontend, at(n), requests)
	}
	send(1, 5)
	send(1, 5) // the same message
	for n := 2; n < 10; n++ {
		send(n, 0)
	}
	p = s.Proxy(interval) // it was started again
	send(11, 7)
	if got := only(t, s, ClientHTTP, Kept, at(12)).Requests; got != 12 {
		t.Errorf("%d requests are counted, and 12 were sent", got)
	}
}

// A proxy is not believed about the edges of others.
func TestProxiesReportTheirOwnEdges(t *testing.T) {
	s := NewStore(Memory)
	p := s.Proxy(interval)
	other := []string{"caller", "spiffe://shop.example/ns/shop/sa/checkout", "callee", "cart.shop", "server.port", "1"}
	report(t, p, ofFrontend, noon,
		metric{name: "http.client.requests", labels: other, count: 1},
		metric{name: "tcp.client.connections", labels: other, count: 1},
		metric{name: "http.server.requests", labels: other, count: 1},
		metric{name: "http.server.failures", labels: edge("http.response.status_code", "403", "rule", ""), count: 1})
	gateway := &Reporter{Identity: frontend, External: func(name string) bool { return name == "payments" }}
	report(t, s.Proxy(interval), gateway, noon,
		metric{name: "http.server.requests", labels: other, count: 1},
		metric{name: "http.server.requests", labels: []string{"caller", "x", "callee", "payments"}, count: 1})
	if ends := s.Ends(Kept, noon); len(ends) != 1 || ends[0].Callee != "payments" || s.Omitted() != 5 {
		t.Errorf("%d metrics are omitted; kept are %v", s.Omitted(), ends)
	}
}

// Quantiles of several instances, of which one is slow, are those of all requests, and no mean of quantiles.
func TestQuantilesOfAll(t *testing.T) {
	s := NewStore(Memory)
	random := rand.New(rand.NewPCG(3, 4))
	var all []float64
	var instances []*Proxy
	for range 6 {
		instances = append(instances, s.Proxy(interval))
	}
	for step := range 9 {
		for i, p := range instances {
			scale, d := 10.0, []float64{}
			if i == 0 {
				scale = 300
			}
			for range 400 {
				d = append(d, scale*math.Exp(random.NormFloat64()*0.4))
			}
			slices.Sort(d)
			all = append(all, d...)
			report(t, p, ofFrontend, noon.Add(time.Duration(step)*interval+time.Duration(i)*time.Millisecond),
				metric{name: "http.client.request.duration", labels: edge(), durations: d})
		}
	}
	slices.Sort(all)
	got := only(t, s, ClientHTTP, Kept, noon.Add(time.Minute)).Latency
	if got.Samples != uint64(len(all)) {
		t.Errorf("%d durations of %d", got.Samples, len(all))
	}
	assertNear(t, "p50", got.P50, all[len(all)/2], 0.05)
	assertNear(t, "p95", got.P95, all[len(all)*95/100], 0.05)
	assertNear(t, "p99", got.P99, all[len(all)*99/100], 0.05)
}

// The memory of 1,000 proxies with 20 edges each, is what is told of, and at most 64 MB.
func TestMemory(t *testing.T) {
	before := heap()
	s := NewStore(Memory)
	full(t, s)
	took := heap() - before
	t.Logf("20,000 ends of edges take %.1f MB, and are counted as %.1f MB", float64(took)/1e6, float64(s.Used())/1e6)
	if ends := len(s.series); ends != 20_000 || took > Memory || float64(took) > 1.15*float64(s.Used()) {
		t.Errorf("%d ends take %d bytes, counted as %d", ends, took, s.Used())
	}
	runtime.KeepAlive(s)
	s.Forget(noon.Add(2 * Kept))
	if s.Used() != 0 || len(s.series)+len(s.texts)+len(s.owners) != 0 {
		t.Errorf("%d bytes are counted for nothing", s.Used())
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// full has 1,000 proxies report 20 edges each, of as many identities, with a failure and a route.
func full(t testing.TB, s *Store) {
	for i := range 1000 {
		r := &Reporter{Identity: fmt.Sprintf("spiffe://shop.example/ns/namespace-%d/sa/service-%d", i%10, i)}
		report(t, s.Proxy(interval), r, noon, proxyMetrics(r.Identity)...)
	}
}

func proxyMetrics(identity string) (out []metric) {
	for i := range 20 {
		l := []string{"caller", identity, "callee", fmt.Sprintf("service-%d.namespace", i), "server.port", "8080"}
		out = append(out, metric{name: "http.client.requests", count: 10, labels: append(slices.Clip(l),
			"http.route", "(rest)", "source", "services/cart/service.cue:10:3", "http.response.status_class", "2xx")},
			metric{name: "http.client.failures", count: 1, labels: append(slices.Clip(l),
				"http.response.status_code", "503", "error.type", "UpstreamConnectionFailure")},
			metric{name: "http.client.request.duration", labels: l, durations: []float64{1, 2, 3, 4, 5}})
	}
	return out
}

// Reports of hostile proxies stay within their bounds, and take nothing from others.
func TestHostileReports(t *testing.T) {
	s := NewStore(Memory)
	hostile, p := &Reporter{Identity: frontend}, s.Proxy(interval)
	random := rand.New(rand.NewPCG(5, 6))
	for n := range 40 {
		var all []metric
		for range 500 {
			l := edge("http.route", fmt.Sprint(random.Uint64()), "source", strings.Repeat("x", 500))
			l[3] = fmt.Sprintf("callee-%d", random.IntN(5000))
			failing := append(slices.Clone(l[:6]), "error.type", fmt.Sprint(random.Uint64()))
			all = append(all, metric{name: "http.client.requests", labels: l, count: random.Uint64()},
				metric{name: "http.client.failures", labels: failing, count: 1})
		}
		report(t, p, hostile, noon.Add(time.Duration(n)*interval), all...)
	}
	if s.Used() > MemoryOfOne || s.owners[frontend].series > MostEdges {
		t.Errorf("one identity has %d bytes for %d ends", s.Used(), s.owners[frontend].series)
	}
	report(t, s.Proxy(interval), ofCart, noon, metric{name: "http.server.requests", labels: edge(), count: 3})
	if got := only(t, s, ServerHTTP, Kept, noon); got.Requests != 3 {
		t.Errorf("another has %d requests", got.Requests)
	}
	shown := edge()
	shown[3] = "cart\x1b[2J"
	report(t, s.Proxy(interval), hostile, noon, metric{name: "tcp.client.connections", labels: shown, count: 1})
	for _, e := range s.Ends(Kept, noon) {
		if e.Kind == ClientTCP {
			t.Errorf("a callee %q is kept", e.Callee)
		}
	}
	long := reportOf(t, noon.Add(time.Hour), metric{
		name: "http.client.requests", labels: edge("source", strings.Repeat("x", 513)),
	})
	if err := p.Report(hostile, long, noon.Add(time.Hour)); err == nil {
		t.Error("a label of 513 bytes is taken")
	}
	flood := make([]byte, bytesAtOnce)
	if err := s.Proxy(interval).Report(hostile, append(flood, 0), noon); !errors.Is(err, ErrTooMuch) {
		t.Errorf("8 MiB at once: %v", err)
	}
}

func FuzzReport(f *testing.F) {
	f.Add(reportOf(f, noon, proxyMetrics(frontend)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		s := NewStore(1 << 20)
		_ = s.Proxy(interval).Report(ofFrontend, data, noon) // it may refuse it
		for _, e := range s.Ends(Kept, noon) {
			if e.Caller != frontend || !(e.PerSecond >= 0) || !(e.Latency.P99 >= e.Latency.P50) {
				t.Errorf("%+v", e)
			}
		}
		if s.Used() > 1<<20 {
			t.Errorf("%d bytes", s.Used())
		}
	})
}

// BenchmarkReport is what a report of a proxy with 20 edges costs, with as many of other proxies kept.
func BenchmarkReport(b *testing.B) {
	s := NewStore(Memory)
	full(b, s)
	r := &Reporter{Identity: "spiffe://shop.example/ns/namespace-0/sa/service-0"}
	p := s.Proxy(interval)
	at := noon
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		at = at.Add(interval)
		message := reportOf(b, at, proxyMetrics(r.Identity)...)
		b.SetBytes(int64(len(message)))
		b.StartTimer()
		if err := p.Report(r, message, at); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(s.Used())/1e6, "MB")
}

// BenchmarkEnds is what a look at 20,000 ends of edges costs.
func BenchmarkEnds(b *testing.B) {
	s := NewStore(Memory)
	full(b, s)
	for b.Loop() {
		if len(s.Ends(Kept, noon)) != 20_000 {
			b.Fatal("not all are there")
		}
	}
}
