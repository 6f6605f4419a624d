package local

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/envoy"
	"github.com/meshc/meshc/serve"
)

// TestEnvoyRefuses sends a real Envoy a cluster that it does not take: serve has
// the resource, Envoy's own words and the line of the spec, the proxy serves on
// with what it had, and a better one is taken.
func TestEnvoyRefuses(t *testing.T) {
	var bad atomic.Bool
	m := compile(t, shopDir)
	mesh, err := Start(t.Context(), Options{Mesh: m, Build: func(scope ir.Scope, o envoy.Options) (*envoy.Resources,
		error,
	) {
		r, err := envoy.Build(scope, o)
		if err != nil || !bad.Load() || scope.Service == nil || scope.Service.Name != "frontend" {
			return r, err
		}
		i := slices.IndexFunc(r.Clusters, func(c *clusterv3.Cluster) bool { return strings.HasPrefix(c.Name, "cart.") })
		r.Clusters[i] = proto.Clone(r.Clusters[i]).(*clusterv3.Cluster)
		r.Clusters[i].ConnectTimeout = durationpb.New(-time.Second)
		return r, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := mesh.Stop(); err != nil {
			t.Error(err)
		}
	})
	asks := func() {
		t.Helper()
		if got := send(t, mesh.As("frontend").Client(), "GET", "http://cart:7070/v1/cart/1"); got.status != 200 {
			t.Errorf("frontend gets %d from cart", got.status)
		}
	}
	asks()

	// The same mesh again, in another state, so that it is rendered anew.
	changed := func(timeout time.Duration) *ir.Mesh {
		c := m.Clone()
		c.Defaults.Timeout = &ir.Setting[ir.Duration]{Value: ir.Duration(timeout)}
		return c
	}
	bad.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	updated := make(chan error, 1)
	go func() { updated <- mesh.Update(ctx, changed(14*time.Second)) }() // it waits for all to take it
	var refusal serve.Refusal
	eventually(t, "the refusal is known", func() bool {
		for _, p := range mesh.control.server.Status().Proxies {
			for _, ts := range p.Types {
				if p.Node == "service/frontend/a" && len(ts.Refusals) > 0 {
					refusal = ts.Refusals[0]
					return true
				}
			}
		}
		return false
	})
	cancel()
	<-updated
	if refusal.Type != "CDS" || !strings.HasPrefix(refusal.Resource, "cart.shop|http") ||
		!strings.Contains(refusal.Reason, "Invalid duration") ||
		refusal.Source.File != "services/frontend/service.cue" || refusal.Source.Line == 0 {
		t.Errorf("the refusal is %+v", refusal)
	}
	if report := mesh.control.server.Status(); report.Good() {
		t.Error("the mesh is said to be good")
	}
	asks()

	bad.Store(false)
	if err := mesh.Update(t.Context(), changed(13*time.Second)); err != nil {
		t.Fatal(err)
	}
	if report := mesh.control.server.Status(); !report.Good() {
		t.Errorf("after a good mesh the report is %+v", report)
	}
	asks()
}
