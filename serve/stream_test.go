package serve_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/identity/ca"
	"github.com/meshc/meshc/render/envoy"
	"github.com/meshc/meshc/serve"
)

const (
	clusters  = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	listeners = "type.googleapis.com/envoy.config.listener.v3.Listener"
	secrets   = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
)

// TestIdentityDecides wants a stream to be served only what belongs to the
// identity in its certificate, whatever its node id claims.
func TestIdentityDecides(t *testing.T) {
	r := start(t)
	if err := r.SetMesh(compileSpec(t, spec)); err != nil {
		t.Fatal(err)
	}
	stranger, err := ca.InMemory()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		signer        *ca.Authority
		account, node string
		want          codes.Code
	}{
		"its own":                   {r.authority, "frontend", "service/frontend/a", codes.OK},
		"another member's":          {r.authority, "cart", "service/frontend/a", codes.PermissionDenied},
		"of another kind":           {r.authority, "frontend", "gateway/frontend/a", codes.NotFound},
		"of nobody":                 {r.authority, "frontend", "service/nobody/a", codes.NotFound},
		"no node id":                {r.authority, "frontend", "frontend", codes.InvalidArgument},
		"of another authority":      {stranger, "frontend", "service/frontend/a", codes.Unavailable},
		"without a certificate":     {nil, "", "service/frontend/a", codes.Unavailable},
		"with a path in the node":   {r.authority, "cart", "service/cart/../../frontend", codes.OK},
		"an identity of the server": {r.authority, "meshc", "service/frontend/a", codes.PermissionDenied},
	} {
		t.Run(name, func(t *testing.T) {
			stream, err := r.connect(t, c.signer, c.account).DeltaAggregatedResources(testContext(t))
			if err == nil {
				err = stream.Send(&discoveryv3.DeltaDiscoveryRequest{Node: node(c.node), TypeUrl: clusters})
			}
			if err == nil {
				_, err = stream.Recv()
			}
			if status.Code(err) != c.want {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// TestNodeIsFixed wants a stream to stay with the node that it began with.
func TestNodeIsFixed(t *testing.T) {
	r := start(t)
	if err := r.SetMesh(compileSpec(t, spec)); err != nil {
		t.Fatal(err)
	}
	stream, err := r.connect(t, r.authority, "cart").DeltaAggregatedResources(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{
		Node:    node("service/cart/a"),
		TypeUrl: clusters,
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{
		Node:    node("service/frontend/a"),
		TypeUrl: listeners,
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.PermissionDenied {
		t.Errorf("got %v", err)
	}
}

// TestScope wants a proxy to be given the callees that it uses and nothing of
// anybody else, and of its own certificate only where it is.
func TestScope(t *testing.T) {
	r := start(t)
	if err := r.SetMesh(compileSpec(t, spec)); err != nil {
		t.Fatal(err)
	}
	got := func(account, url string) string {
		stream, err := r.connect(t, r.authority, account).DeltaAggregatedResources(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		request := &discoveryv3.DeltaDiscoveryRequest{Node: node("service/" + account + "/a"), TypeUrl: url}
		if url == secrets {
			request.ResourceNamesSubscribe = []string{"identity", "trust"}
		}
		if err := stream.Send(request); err != nil {
			t.Fatal(err)
		}
		answer, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(answer)
	}
	if text := got("frontend", clusters); !strings.Contains(text, "cart.default|http") {
		t.Errorf("frontend is not given the cluster of cart: %s", text)
	}
	if text := got("cart", clusters); strings.Contains(text, "frontend") {
		t.Errorf("cart is given something of frontend: %s", text)
	}
	if text := got("frontend", secrets); strings.Contains(text, "PRIVATE KEY") ||
		strings.Contains(text, "private_key") || !strings.Contains(text, "BEGIN CERTIFICATE") {
		t.Errorf("the secrets are %s", text)
	}
}

// TestRefusalIsRecorded wants what a proxy refuses to be known, with its words
// and the line of the spec, until it takes something better.
func TestRefusalIsRecorded(t *testing.T) {
	r := start(t)
	if err := r.SetMesh(compileSpec(t, spec)); err != nil {
		t.Fatal(err)
	}
	stream, err := r.connect(t, r.authority, "frontend").DeltaAggregatedResources(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	request := &discoveryv3.DeltaDiscoveryRequest{Node: node("service/frontend/a"), TypeUrl: clusters}
	if err := stream.Send(request); err != nil {
		t.Fatal(err)
	}
	answer, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	report := r.Status()
	if report.Good() {
		t.Error("a proxy that has not answered is not behind")
	}
	refusal := &discoveryv3.DeltaDiscoveryRequest{
		TypeUrl: clusters, ResponseNonce: answer.Nonce,
		ErrorDetail: &rpcstatus.Status{
			Message: "Error adding/updating cluster(s) cart.default|http: something is wrong",
		},
	}
	if err := stream.Send(refusal); err != nil {
		t.Fatal(err)
	}
	var got serve.Refusal
	eventually(t, "the refusal is recorded", func() bool {
		for _, p := range r.Status().Proxies {
			for _, ts := range p.Types {
				if len(ts.Refusals) == 1 && p.State() == serve.StateRefused {
					got = ts.Refusals[0]
					return true
				}
			}
		}
		return false
	})
	if got.Type != "CDS" || got.Resource != "cart.default|http" ||
		!strings.Contains(got.Reason, "something is wrong") || got.Source.String() != "mesh.cue:8:8" {
		t.Errorf("the refusal is %+v", got)
	}
	if _, body := fetch(t, r, "/metrics"); !strings.Contains(body, `meshc_nacks_total{type="CDS"} 1`) ||
		!strings.Contains(body, "meshc_proxies_refusing 1") {
		t.Errorf("/metrics: %s", body)
	}
	// A better mesh comes, and is taken.
	if err := r.SetMesh(compileSpec(t, strings.Replace(spec, "uses: cart: {}",
		"uses: cart: retries: budget: percent: 5", 1))); err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			answer, err := stream.Recv()
			if err != nil {
				return
			}
			if stream.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: clusters, ResponseNonce: answer.Nonce}) != nil {
				return
			}
		}
	}()
	eventually(t, "the refusal is forgotten", func() bool {
		for _, p := range r.Status().Proxies {
			if p.Node == "service/frontend/a" {
				return p.State() != serve.StateRefused
			}
		}
		return false
	})
}

// TestStateOfTheWorld wants a client of that protocol to be served too, and no
// storm when it refuses something.
func TestStateOfTheWorld(t *testing.T) {
	r := start(t)
	if err := r.SetMesh(compileSpec(t, spec)); err != nil {
		t.Fatal(err)
	}
	stream, err := r.connect(t, r.authority, "frontend").StreamAggregatedResources(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&discoveryv3.DiscoveryRequest{
		Node:    node("service/frontend/a"),
		TypeUrl: clusters,
	}); err != nil {
		t.Fatal(err)
	}
	answers := make(chan *discoveryv3.DiscoveryResponse, 1000)
	go func() {
		defer close(answers)
		for {
			answer, err := stream.Recv()
			if err != nil {
				return
			}
			answers <- answer
		}
	}()
	refuse := func(answer *discoveryv3.DiscoveryResponse) {
		for _, resource := range answer.Resources {
			c := &clusterv3.Cluster{}
			if err := resource.UnmarshalTo(c); err != nil {
				t.Fatal(err)
			}
			if c.Name == "cart.default|http" {
				if err := stream.Send(&discoveryv3.DiscoveryRequest{
					TypeUrl: clusters, ResponseNonce: answer.Nonce,
					ErrorDetail: &rpcstatus.Status{Message: "cluster cart.default|http: no"},
				}); err != nil {
					t.Fatal(err)
				}
				return
			}
		}
		if err := stream.Send(&discoveryv3.DiscoveryRequest{
			TypeUrl: clusters, ResponseNonce: answer.Nonce,
			VersionInfo: answer.VersionInfo,
		}); err != nil {
			t.Fatal(err)
		}
	}
	count := 0
	for silence := time.After(time.Second); ; {
		select {
		case answer, open := <-answers:
			if !open {
				t.Fatal("the stream has ended")
			}
			count++
			if count > 5 {
				t.Fatalf("%d answers in a second: a storm", count)
			}
			refuse(answer)
			continue
		case <-silence:
		}
		break
	}
	if count < 1 {
		t.Error("there was no answer")
	}
}

// TestOneThatCannotBeRendered wants a member whose resources bring the renderer down to
// be told so, and the others to be served.
func TestOneThatCannotBeRendered(t *testing.T) {
	r := start(t, func(c *serve.Config) {
		c.Build = func(scope ir.Scope, o envoy.Options) (*envoy.Resources, error) {
			if scope.Member().Name == "cart" {
				panic("an address that is none")
			}
			return envoy.Build(scope, o)
		}
	})
	if err := r.SetMesh(compileSpec(t, spec)); err != nil {
		t.Fatal(err)
	}
	for account, want := range map[string]codes.Code{"cart": codes.Internal, "frontend": codes.OK} {
		stream, err := r.connect(t, r.authority, account).DeltaAggregatedResources(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{
			Node:    node("service/" + account + "/a"),
			TypeUrl: clusters,
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); status.Code(err) != want {
			t.Errorf("%s: %v, want %v", account, err, want)
		}
	}
}
