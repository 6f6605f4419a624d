package serve_test

import (
	"context"
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/meshc/meshc/serve"
)

// pushes is how often proxies were given something else, as the metrics have it.
func pushes(t *testing.T, r *running) string {
	t.Helper()
	_, body := fetch(t, r, "/metrics")
	_, rest, found := strings.Cut(body, "\nmeshc_pushes_total ")
	if !found {
		t.Fatalf("/metrics: %s", body)
	}
	count, _, _ := strings.Cut(rest, "\n")
	return count
}

// TestRefusalStopsTheNextStep changes a proxy's clusters and the listeners that refer to them: the listeners come once
// the clusters are taken, and not when these are refused, however long the proxy is waited for.
func TestRefusalStopsTheNextStep(t *testing.T) {
	for name, refusal := range map[string]*rpcstatus.Status{
		"taken":   nil,
		"refused": {Message: "cluster inbound|http: no"},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t)
			if err := r.SetMesh(compileSpec(t, spec)); err != nil {
				t.Fatal(err)
			}
			stream, err := r.connect(t, r.authority, "frontend").DeltaAggregatedResources(testContext(t))
			if err != nil {
				t.Fatal(err)
			}
			ask := func(request *discoveryv3.DeltaDiscoveryRequest) *discoveryv3.DeltaDiscoveryResponse {
				t.Helper()
				if err := stream.Send(request); err != nil {
					t.Fatal(err)
				}
				answer, err := stream.Recv()
				if err != nil {
					t.Fatal(err)
				}
				if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{
					TypeUrl:       answer.TypeUrl,
					ResponseNonce: answer.Nonce,
				}); err != nil {
					t.Fatal(err)
				}
				return answer
			}
			is := func(state string) func() bool {
				return func() bool {
					for _, p := range r.Status().Proxies {
						if p.Node == "service/frontend/a" {
							return p.State() == state
						}
					}
					return false
				}
			}
			answer := ask(&discoveryv3.DeltaDiscoveryRequest{Node: node("service/frontend/a"), TypeUrl: clusters})
			ask(&discoveryv3.DeltaDiscoveryRequest{
				TypeUrl:                resource.EndpointType,
				ResourceNamesSubscribe: assigned(t, answer),
			})
			eventually(t, "the proxy has everything", is(serve.StateCurrent))
			if err := r.SetMesh(compileSpec(t, strings.Replace(spec, `ports: http: {port: 8080,`,
				`ports: http: {port: 8080, target: 9090, upgrades: ["websocket"],`, 1))); err != nil {
				t.Fatal(err)
			}
			before := pushes(t, r)
			if answer, err = stream.Recv(); err != nil || answer.TypeUrl != clusters {
				t.Fatal(answer, err)
			}
			if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{
				TypeUrl: clusters, ResponseNonce: answer.Nonce,
				ErrorDetail: refusal,
			}); err != nil {
				t.Fatal(err)
			}
			if refusal == nil {
				eventually(t, "the listeners are pushed", func() bool { return pushes(t, r) != before })
				return
			}
			eventually(t, "the refusal is known", is(serve.StateRefused))
			r.SettleAll()
			if after := pushes(t, r); after != before {
				t.Errorf("the proxy refused its clusters, and was pushed what refers to them: %s pushes, and then %s",
					before, after)
			}
		})
	}
}

// assigned are the names of the endpoints that clusters need.
func assigned(t *testing.T, answer *discoveryv3.DeltaDiscoveryResponse) (names []string) {
	t.Helper()
	for _, r := range answer.Resources {
		c := &clusterv3.Cluster{}
		if err := r.Resource.UnmarshalTo(c); err != nil {
			t.Fatal(err)
		}
		if name := c.GetEdsClusterConfig().GetServiceName(); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// TestNewStreamsAreBounded opens one stream after the other on a connection: those of a proxy are taken, and then no
// more than a few in a second. Another connection has its own.
func TestNewStreamsAreBounded(t *testing.T) {
	const atOnce, many = 32, 150
	r := start(t)
	if err := r.SetMesh(compileSpec(t, spec)); err != nil {
		t.Fatal(err)
	}
	client := r.connect(t, r.authority, "frontend")
	open := func() error {
		ctx, end := context.WithCancel(testContext(t))
		defer end()
		stream, err := client.DeltaAggregatedResources(ctx)
		if err != nil {
			return err
		}
		_ = stream.Send(&discoveryv3.DeltaDiscoveryRequest{Node: node("service/frontend/a"), TypeUrl: clusters})
		_, err = stream.Recv() // which says why nothing could be sent
		return err
	}
	taken := 0
	var err error
	for taken < many && err == nil {
		if err = open(); err == nil {
			taken++
		}
	}
	if taken < atOnce || status.Code(err) != codes.ResourceExhausted ||
		!strings.Contains(err.Error(), "too many streams") {
		t.Errorf("%d streams were taken, and then: %v", taken, err)
	}
	if _, body := fetch(t, r, "/metrics"); strings.Contains(body, "\nmeshc_streams_limited_total 0\n") {
		t.Error("the metrics know nothing of it")
	}
	client = r.connect(t, r.authority, "frontend")
	if err := open(); err != nil {
		t.Errorf("another connection: %v", err)
	}
}
