package serve_test

import (
	"context"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/meshc/meshc/identity/ca"
)

// TestRevokedIsCutOff ends the streams of whom an identity was taken from, and begins none; others hear of it at once,
// and their streams go on.
func TestRevokedIsCutOff(t *testing.T) {
	r := start(t)
	m := compileSpec(t, shop)
	if err := r.SetMesh(m); err != nil {
		t.Fatal(err)
	}
	told := tells(t, r, "cart", "service/cart/a", "(revoked)")
	if <-told {
		t.Fatal("cart is told of a revocation before there is one")
	}
	conn := r.dial(t, "frontend", time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	stream := subscribe(t, ctx, conn, "service/frontend/a")
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	all := ca.Revocation{Identity: m.Service("frontend").Identity}
	if _, err := r.authority.Revoke(all, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := r.AuthorityChanged(); err != nil {
		t.Fatal(err)
	}
	if !<-told {
		t.Error("what cart is told next has no revocation")
	}
	for {
		if _, err := stream.Recv(); err != nil {
			break
		}
	}
	if err := opened(ctx, r, t); err == nil {
		t.Error("a new stream is begun")
	}
	if err := r.authority.Unrevoke(all); err != nil {
		t.Fatal(err)
	}
	if err := r.AuthorityChanged(); err != nil {
		t.Fatal(err)
	}
	if <-told {
		t.Error("cart is told of a revocation that was undone")
	}
	if err := opened(ctx, r, t); err != nil {
		t.Errorf("once it is undone: %v", err)
	}
}

// opened is whether frontend is answered on a new connection.
func opened(ctx context.Context, r *running, t *testing.T) error {
	t.Helper()
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(r.dial(t, "frontend", time.Hour)).
		DeltaAggregatedResources(ctx)
	if err != nil {
		return err
	}
	if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{
		Node:    node("service/frontend/b"),
		TypeUrl: clusterType,
	}); err != nil {
		return err
	}
	_, err = stream.Recv()
	return err
}
