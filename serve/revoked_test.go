package serve_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/meshc/meshc/identity/ca"
	"github.com/meshc/meshc/render/envoy"
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

// A proxy that is told of revocations apart from its listeners has the same listeners before and after. One whose
// bootstrap does not ask for that has them in its listeners, and so has each proxy those that came too many at once,
// and those that drain.
func TestWhoIsToldOfRevocationsByListeners(t *testing.T) {
	r := start(t)
	m := compileSpec(t, shop)
	if err := r.SetMesh(m); err != nil {
		t.Fatal(err)
	}
	revoke := func(chain string, drain bool) {
		t.Helper()
		id := m.Service("frontend").Identity
		what := ca.Revocation{Identity: id, Chain: chain, Drain: drain}
		if _, err := r.authority.Revoke(what, time.Now()); err != nil {
			t.Fatal(err)
		}
		if err := r.AuthorityChanged(); err != nil {
			t.Fatal(err)
		}
	}
	listeners := func(metadata map[string]any) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(r.dial(t, "cart", time.Hour)).
			DeltaAggregatedResources(ctx)
		if err != nil {
			t.Fatal(err)
		}
		n := node("service/cart/" + fmt.Sprint(len(metadata)))
		if n.Metadata, err = structpb.NewStruct(metadata); err != nil {
			t.Fatal(err)
		}
		if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{
			Node: n, TypeUrl: resource.ListenerType,
		}); err != nil {
			t.Fatal(err)
		}
		told, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, r := range told.Resources {
			out = append(out, r.Name+" "+r.Version)
		}
		slices.Sort(out)
		return strings.Join(out, "\n")
	}
	tells := map[string]any{envoy.RevokedLayer: true}
	before, beforeOld := listeners(tells), listeners(nil)
	for n := range envoy.LiveRevocations {
		revoke(fmt.Sprint("chain", n), false)
	}
	if before != listeners(tells) {
		t.Error("the listeners of a proxy that is told apart have changed")
	}
	if beforeOld == listeners(nil) {
		t.Error("nobody tells a proxy with an older bootstrap")
	}
	revoke("one-more", false)
	if before == listeners(tells) {
		t.Error("the listeners do not tell of the one that is too many")
	}
	for n := range envoy.LiveRevocations + 1 {
		one := ca.Revocation{Identity: m.Service("frontend").Identity, Chain: fmt.Sprint("chain", n)}
		if n == envoy.LiveRevocations {
			one.Chain = "one-more"
		}
		if err := r.authority.Unrevoke(one); err != nil {
			t.Fatal(err)
		}
	}
	revoke("drained", true)
	if before == listeners(tells) {
		t.Error("the listeners do not tell of the one that drains")
	}
}
