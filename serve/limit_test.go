package serve_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/meshc/meshc/compiler/ir"
)

const (
	clusterType  = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	listenerType = "type.googleapis.com/envoy.config.listener.v3.Listener"
	routeType    = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
	secretType   = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
	endpointType = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
)

// dial is a connection of its own with a certificate that lives so long.
func (r *running) dial(t *testing.T, account string, life time.Duration, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(r.authority.Bundle())
	c, err := r.authority.Certificate(spiffeid.RequireFromString("spiffe://shop.example/ns/default/sa/"+account), life)
	if err != nil {
		t.Fatal(err)
	}
	options = append(options, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
		RootCAs: pool, ServerName: "127.0.0.1", NextProtos: []string{"h2"}, Certificates: []tls.Certificate{*c},
	})))
	conn, err := grpc.NewClient(r.Addr(), options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

type deltaStream = discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient

func subscribe(t *testing.T, ctx context.Context, conn *grpc.ClientConn, id string) deltaStream {
	t.Helper()
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{Node: node(id), TypeUrl: clusterType}); err != nil {
		t.Fatal(err)
	}
	return stream
}

// good is a proxy that answers what it is sent; it tells of each answer.
func good(t *testing.T, r *running) (told <-chan string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	stream := subscribe(t, ctx, r.dial(t, "frontend", time.Hour), "service/frontend/a")
	out := make(chan string, 1000)
	go func() {
		defer close(out)
		for {
			answer, err := stream.Recv()
			if err != nil {
				return
			}
			if stream.Send(&discoveryv3.DeltaDiscoveryRequest{
				TypeUrl:       answer.TypeUrl,
				ResponseNonce: answer.Nonce,
			}) != nil {
				return
			}
			out <- answer.SystemVersionInfo
		}
	}()
	<-out
	return out
}

// changed is the mesh in another state, which frontend is pushed.
func changed(t *testing.T, m *ir.Mesh, n int) *ir.Mesh {
	t.Helper()
	c := m.Clone()
	c.Defaults.Connections.Max = &ir.Setting[uint32]{Value: uint32(1000 + n)}
	return c
}

// TestFloodsAndSlowReaders: a thousand streams that want nothing, a proxy that reads
// nothing and one that talks without end do not keep others from their pushes.
func TestFloodsAndSlowReaders(t *testing.T) {
	r := start(t)
	m := compileSpec(t, spec)
	if err := r.SetMesh(m); err != nil {
		t.Fatal(err)
	}
	told := good(t, r)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	opened := 0
	for range 70 {
		conn := r.dial(t, "cart", time.Hour)
		for range 15 {
			subscribe(t, ctx, conn, "service/cart/a")
			opened++
		}
	}
	if opened < 1000 {
		t.Fatalf("%d streams", opened)
	}
	slow := r.dial(t, "frontend", time.Hour, grpc.WithInitialWindowSize(65535), grpc.WithInitialConnWindowSize(65535))
	subscribe(t, ctx, slow, "service/frontend/slow") // and reads nothing

	talker := subscribe(t, ctx, r.dial(t, "cart", time.Hour), "service/cart/b")
	var flood sync.WaitGroup
	flood.Go(func() {
		for range 100_000 {
			if talker.Send(&discoveryv3.DeltaDiscoveryRequest{
				TypeUrl: clusterType, ResponseNonce: "0",
				ResourceNamesSubscribe: []string{"x"},
			}) != nil {
				return
			}
		}
		t.Error("the flood was not cut off")
	})
	for n := range 20 {
		if err := r.SetMesh(changed(t, m, n)); err != nil {
			t.Fatal(err)
		}
		select {
		case _, open := <-told:
			if !open {
				t.Fatal("the good proxy was cut off")
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("push %d has not come within 5 s", n)
		}
	}
	flood.Wait()
	for {
		_, err := talker.Recv()
		if err == nil {
			continue
		}
		if status.Code(err) != codes.ResourceExhausted {
			t.Errorf("the flood ends with %v", err)
		}
		break
	}
	if _, body := fetch(t, r, "/metrics"); !strings.Contains(body, "meshc_streams_limited_total 1") {
		t.Error("the metrics do not say that one was cut off")
	}
}

// TestConnectionEndsWithItsCertificate: who cannot renew is told nothing more, and who
// can comes back on a connection of its own.
func TestConnectionEndsWithItsCertificate(t *testing.T) {
	r := start(t)
	if err := r.SetMesh(compileSpec(t, spec)); err != nil {
		t.Fatal(err)
	}
	conn := r.dial(t, "frontend", 2*time.Second)
	stream := subscribe(t, testContext(t), conn, "service/frontend/a")
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	if answer, err := stream.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("the stream goes on: %v, %v", answer, err)
	}
	again, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(testContext(t))
	if err == nil {
		_ = again.Send(&discoveryv3.DeltaDiscoveryRequest{
			Node:    node("service/frontend/a"),
			TypeUrl: clusterType,
		}) // what comes back counts
		_, err = again.Recv()
	}
	if err == nil {
		t.Error("another stream begins with a certificate that has ended")
	}
}

// TestNobodyIsGivenAnothersResources has cart, which frontend calls, ask for what is
// frontend's in the ways that the protocol has.
func TestNobodyIsGivenAnothersResources(t *testing.T) {
	r := start(t)
	if err := r.SetMesh(compileSpec(t, spec)); err != nil {
		t.Fatal(err)
	}
	theirs := map[string][]string{
		clusterType:  {"cart.default|http", "*", "frontend"},
		listenerType: {"outbound|8081", "*", "service/frontend/a"},
		routeType:    {"outbound|8081", "inbound|http", "*"},
		endpointType: {"cart.default|http", "*"},
		secretType:   {"identity", "trust", "service/frontend/a", "../frontend", "*"},
		"type.googleapis.com/envoy.service.runtime.v3.Runtime":               {"*"},
		"type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig":      {"*"},
		"type.googleapis.com/envoy.config.route.v3.ScopedRouteConfiguration": {"*"},
		"type.googleapis.com/envoy.admin.v3.ConfigDump":                      {"*"},
		"": {"*"},
	}
	forbidden := []string{"outbound|8081", "cart.default|http", "frontend/a", "PRIVATE KEY"}
	look := func(how, text string) {
		t.Helper()
		for _, f := range forbidden {
			if strings.Contains(text, f) {
				t.Errorf("%s: it is given %s", how, f)
			}
		}
	}
	conn := r.dial(t, "cart", time.Hour)
	for url, names := range theirs {
		for _, claimed := range []string{"service/cart/a", "service/cart/frontend", "service/cart/../frontend/a"} {
			how := fmt.Sprintf("incremental, %s as %s", url, claimed)
			ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
			stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
			if err != nil {
				t.Fatal(err)
			}
			request := &discoveryv3.DeltaDiscoveryRequest{
				Node: node(claimed), TypeUrl: url,
				ResourceNamesSubscribe: names, InitialResourceVersions: map[string]string{names[0]: "1"},
			}
			request.Node.Cluster = "frontend.default"
			request.Node.UserAgentName = "envoy"
			_ = stream.Send(request) // what comes back is looked at
			if answer, err := stream.Recv(); err == nil {
				for _, resource := range answer.Resources {
					look(how, resource.String())
				}
			}
			cancel()
		}
		how := "state of the world, " + url
		ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(r.dial(t, "cart", time.Hour)).
			StreamAggregatedResources(ctx)
		if err != nil {
			t.Fatal(err)
		}
		_ = stream.Send(&discoveryv3.DiscoveryRequest{
			Node: node("service/cart/a"), TypeUrl: url,
			ResourceNames: names,
		}) // as above
		if answer, err := stream.Recv(); err == nil {
			for _, resource := range answer.Resources {
				look(how, string(resource.Value))
			}
		}
		cancel()
	}
}

// TestRuleEnds: from its end on, a rule of allow lets nobody in.
func TestRuleEnds(t *testing.T) {
	r := start(t)
	m := compileSpec(t, spec)
	m.Service("cart").Allow[0].Until = time.Now().Add(2 * time.Second)
	if err := r.SetMesh(m); err != nil {
		t.Fatal(err)
	}
	ruleEnds(t, r, "cart", "service/cart/10.0.0.1:8081", "inbound|http", func(answer string, lets bool) {
		if got := strings.Contains(answer, "sa/frontend"); got != lets {
			t.Errorf("it lets frontend in: %t, want %t", got, lets)
		}
	})
}

// ruleEnds gives a test the routes that a proxy is served while a rule lets callers in, and then those when it is over.
func ruleEnds(t *testing.T, r *running, account, id, routes string, check func(answer string, lets bool)) {
	t.Helper()
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(r.dial(t, account, time.Hour)).
		DeltaAggregatedResources(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{
		Node: node(id), TypeUrl: routeType, ResourceNamesSubscribe: []string{routes},
	}); err != nil {
		t.Fatal(err)
	}
	for _, lets := range []bool{true, false} {
		answer, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		check(answer.String(), lets)
		if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{
			TypeUrl:       answer.TypeUrl,
			ResponseNonce: answer.Nonce,
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRuleOfGatewayEnds: from the end of its only rule of allow on a gateway lets nobody in; it does not open.
func TestRuleOfGatewayEnds(t *testing.T) {
	r := start(t)
	m := compileSpec(t, strings.Replace(spec, `services: ["frontend"]`, `{services: ["frontend"], gateways: ["edge"]}`, 1)+`
gateways: edge: {listeners: http: port: 8080, uses: cart: {}, routes: [{to: [{service: "cart"}]}], allow: [{name: "office", from: anyone: true}]}
`)
	m.Gateway("edge").Allow[0].Until = time.Now().Add(2 * time.Second)
	if err := r.SetMesh(m); err != nil {
		t.Fatal(err)
	}
	ruleEnds(t, r, "edge", "gateway/edge/a", "gateway|http", func(answer string, lets bool) {
		if !strings.Contains(answer, "envoy.filters.http.rbac") || strings.Contains(answer, "office") != lets {
			t.Errorf("want that it lets clients in: %t, by rules: %s", lets, answer)
		}
	})
}
