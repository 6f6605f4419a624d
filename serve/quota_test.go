package serve_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"golang.org/x/net/http2"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/serve"
)

// lines are what a server logs.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// logged has a server log to lines.
func logged(l *lines) func(*serve.Config) {
	return func(c *serve.Config) { c.Log = slog.New(slog.NewJSONHandler(l, nil)) }
}

// limited is the mesh with those limits.
func limited(t *testing.T, l ir.ServerLimits) *ir.Mesh {
	t.Helper()
	m := compileSpec(t, spec).Clone()
	m.Server.Limits = l
	return m
}

// TestInstancesAreBounded: an identity has as many instances as it may, no other is kept out by that, and one that
// leaves makes room.
func TestInstancesAreBounded(t *testing.T) {
	r := start(t)
	if err := r.SetMesh(limited(t, ir.ServerLimits{Instances: 3})); err != nil {
		t.Fatal(err)
	}
	conn := r.dial(t, "cart", time.Hour)
	var last context.CancelFunc
	for n := range 3 {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		if _, err := subscribe(t, ctx, conn, fmt.Sprintf("service/cart/%d", n)).Recv(); err != nil {
			t.Fatal(err)
		}
		last = cancel
	}
	if _, err := subscribe(t, testContext(t), conn, "service/cart/more").
		Recv(); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a fourth instance gets %v", err)
	}
	if _, err := subscribe(t, testContext(t), r.dial(t, "frontend", time.Hour), "service/frontend/a").Recv(); err != nil {
		t.Errorf("another identity gets %v", err)
	}
	last()
	eventually(t, "there is room again", func() bool {
		_, err := subscribe(t, testContext(t), r.dial(t, "cart", time.Hour), "service/cart/more").Recv()
		return err == nil
	})
}

// TestConnectionsAreBounded: so it is with connections, whatever is asked for on them.
func TestConnectionsAreBounded(t *testing.T) {
	r := start(t)
	if err := r.SetMesh(limited(t, ir.ServerLimits{Connections: 2})); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		rawClient(t, r, "cart").expect(t, http2.FrameSettings)
	}
	if _, err := rawClient(t, r, "cart").framer.ReadFrame(); err == nil {
		t.Error("a third connection is served")
	}
	rawClient(t, r, "frontend").expect(t, http2.FrameSettings)
	if _, body := fetch(t, r, "/metrics"); !strings.Contains(body, "meshc_connections_limited_total 1") {
		t.Error("the metrics do not count the connection that was refused")
	}
}

// raw speaks HTTP/2 frame by frame.
type raw struct {
	net.Conn
	framer *http2.Framer
}

func rawClient(t *testing.T, r *running, account string) *raw {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(r.authority.Bundle())
	c, err := r.authority.Certificate(spiffeid.RequireFromString("spiffe://shop.example/ns/default/sa/"+account),
		time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", r.Addr(), &tls.Config{
		RootCAs: pool, ServerName: "127.0.0.1",
		NextProtos: []string{"h2"}, Certificates: []tls.Certificate{*c}, MinVersion: tls.VersionTLS13,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	out := &raw{conn, http2.NewFramer(conn, conn)}
	out.framer.AllowIllegalWrites = true
	_, _ = io.WriteString(conn, http2.ClientPreface) // what comes back counts
	_ = out.framer.WriteSettings()
	return out
}

// expect reads until a frame of that type comes.
func (c *raw) expect(t *testing.T, kind http2.FrameType) {
	t.Helper()
	for {
		f, err := c.framer.ReadFrame()
		if err != nil {
			t.Fatalf("no %s comes: %v", kind, err)
		}
		if f.Header().Type == kind {
			return
		}
	}
}

// headers of a stream of discovery, in HPACK without a table.
var headers = func() []byte {
	var out bytes.Buffer
	for _, h := range [][2]string{
		{":method", "POST"},
		{":scheme", "https"},
		{":path", "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"},
		{":authority", "mesh"},
		{"content-type", "application/grpc"},
		{"te", "trailers"},
	} {
		out.WriteByte(0)
		for _, text := range h {
			out.WriteByte(byte(len(text)))
			out.WriteString(text)
		}
	}
	return out.Bytes()
}()

// TestFloodsOfFramesAreCutOff sends frames that carry nothing, until the connection ends; another proxy is served on.
func TestFloodsOfFramesAreCutOff(t *testing.T) {
	r := start(t)
	m := compileSpec(t, spec)
	if err := r.SetMesh(m); err != nil {
		t.Fatal(err)
	}
	told := good(t, r)
	floods := map[string]func(c *raw, n uint32) error{
		"rapid reset": func(c *raw, n uint32) error {
			if err := c.framer.WriteHeaders(http2.HeadersFrameParam{
				StreamID: 2*n + 1, BlockFragment: headers,
				EndHeaders: true,
			}); err != nil {
				return err
			}
			return c.framer.WriteRSTStream(2*n+1, http2.ErrCodeCancel)
		},
		"empty CONTINUATION": func(c *raw, n uint32) error {
			if n == 0 {
				return c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: headers})
			}
			return c.framer.WriteContinuation(1, false, nil)
		},
		"empty DATA": func(c *raw, n uint32) error {
			if n == 0 {
				return c.framer.WriteHeaders(http2.HeadersFrameParam{
					StreamID: 1, BlockFragment: headers,
					EndHeaders: true,
				})
			}
			return c.framer.WriteData(1, false, nil)
		},
		"SETTINGS": func(c *raw, _ uint32) error { return c.framer.WriteSettings() },
		"PING":     func(c *raw, n uint32) error { return c.framer.WritePing(n > 0, [8]byte{byte(n)}) },
		"PRIORITY": func(c *raw, n uint32) error {
			return c.framer.WritePriority(1, http2.PriorityParam{StreamDep: 3, Weight: byte(n)})
		},
		"unknown type": func(c *raw, _ uint32) error { return c.framer.WriteRawFrame(0xbe, 0, 0, nil) },
	}
	change := 0
	for name, flood := range floods {
		c := rawClient(t, r, "cart")
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_, _ = io.Copy(io.Discard, c.Conn) // until the server ends it
		}()
		const most = 500_000
		n := uint32(0)
		for ; n < most && flood(c, n) == nil; n++ {
		}
		if n == most {
			t.Errorf("%s: %d frames are taken", name, most)
		}
		c.Close()
		<-ended
		if err := r.SetMesh(changed(t, m, change)); err != nil {
			t.Fatal(err)
		}
		if _, open := <-told; !open {
			t.Fatalf("%s: the good proxy was cut off", name)
		}
		change++
	}
}

// TestRefusalsAreBounded: what a proxy says when it refuses is kept and logged in part, and so are its lines.
func TestRefusalsAreBounded(t *testing.T) {
	var log lines
	r := start(t, logged(&log))
	if err := r.SetMesh(limited(t, ir.ServerLimits{RefusalBytes: 300, LogLines: 1})); err != nil {
		t.Fatal(err)
	}
	stream := subscribe(t, testContext(t), r.dial(t, "frontend", time.Hour), "service/frontend/a")
	answer, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	const refusals = 100
	for range refusals {
		refusal := &rpcstatus.Status{Code: 3, Message: "\x1b[31m" + strings.Repeat("no ", 10_000)}
		if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{
			TypeUrl: answer.TypeUrl, ResponseNonce: answer.Nonce,
			ErrorDetail: refusal,
		}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the refusals are counted", func() bool {
		_, body := fetch(t, r, "/metrics")
		return strings.Contains(body, fmt.Sprintf(`meshc_nacks_total{type="CDS"} %d`, refusals))
	})
	for _, p := range r.Status().Proxies {
		for _, kind := range p.Types {
			for _, refusal := range kind.Refusals {
				if len(refusal.Reason) > 350 || strings.Contains(refusal.Reason, "\x1b") ||
					!strings.Contains(refusal.Reason, "more bytes)") {
					t.Errorf("kept: %q", refusal.Reason)
				}
			}
		}
	}
	if n := strings.Count(log.String(), "the proxy refused a resource"); n == 0 || n > 30 {
		t.Errorf("%d lines were written about %d refusals", n, refusals)
	}
	if len(log.String()) > 30_000 {
		t.Errorf("the log has %d bytes", len(log.String()))
	}
	eventually(t, "the log says that lines were left out",
		func() bool { return strings.Contains(log.String(), `"lines":`) })
}

// TestWhatProxiesSayIsBounded: a node that says too much of itself, or a stream that asks for too many names, is cut
// off.
func TestWhatProxiesSayIsBounded(t *testing.T) {
	r := start(t)
	if err := r.SetMesh(compileSpec(t, spec)); err != nil {
		t.Fatal(err)
	}
	conn := r.dial(t, "cart", time.Hour)
	for _, id := range []string{
		"service/cart/" + strings.Repeat("a", 1000), "service/cart/\x1b[2J",
		"service/cart/a\nb", "service/cart/\u202e",
	} {
		if _, err := subscribe(t, testContext(t), conn, id).Recv(); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%.20q gets %v", id, err)
		}
	}
	big := node("service/cart/a")
	big.UserAgentName = strings.Repeat("x", 1<<20)
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	_ = stream.Send(&discoveryv3.DeltaDiscoveryRequest{Node: big, TypeUrl: clusterType}) // what comes back counts
	if _, err := stream.Recv(); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a node of 1 MiB gets %v", err)
	}
	forging := node("service/cart/b")
	forging.UserAgentName = "envoy\nservice/frontend/a\tcurrent"
	if stream, err = discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(
		testContext(t)); err != nil {
		t.Fatal(err)
	}
	_ = stream.Send(&discoveryv3.DeltaDiscoveryRequest{Node: forging, TypeUrl: clusterType}) // as above
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	for _, p := range r.Status().Proxies {
		if strings.ContainsAny(p.Version, "\n\t") {
			t.Errorf("what %s says of itself begins a line or a column of the status: %q", p.Node, p.Version)
		}
	}
	greedy := subscribe(t, testContext(t), conn, "service/cart/a")
	for n := range 40 {
		names := make([]string, 1000)
		for k := range names {
			names[k] = fmt.Sprintf("%d-%d-%s", n, k, strings.Repeat("n", 50))
		}
		_ = greedy.Send(&discoveryv3.DeltaDiscoveryRequest{
			TypeUrl:                endpointType,
			ResourceNamesSubscribe: names,
		}) // as above
	}
	for err = nil; err == nil; {
		_, err = greedy.Recv()
	}
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("who asks for too many names gets %v", err)
	}
}
