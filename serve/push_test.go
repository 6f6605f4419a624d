package serve_test

import (
	"strings"
	"sync/atomic"
	"testing"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/envoy"
	"github.com/meshc/meshc/serve"
)

// TestCommentsAreNotPushed wants a spec whose lines have moved to be served, and nothing to be made or sent anew for
// it.
func TestCommentsAreNotPushed(t *testing.T) {
	var made atomic.Int64
	r := start(t, func(c *serve.Config) {
		c.Build = func(scope ir.Scope, o envoy.Options) (*envoy.Resources, error) {
			made.Add(1)
			return envoy.Build(scope, o)
		}
	})
	if err := r.SetMesh(compileSpec(t, spec)); err != nil {
		t.Fatal(err)
	}
	stream, err := r.connect(t, r.authority, "frontend").DeltaAggregatedResources(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{
		Node:    node("service/frontend/a"),
		TypeUrl: clusters,
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	before, hash := made.Load(), r.Status().Hash
	head, rest, _ := strings.Cut(spec, "\n")
	if err := r.SetMesh(compileSpec(t, head+"\n\n// Nothing is new here.\n\n"+rest)); err != nil {
		t.Fatal(err)
	}
	if made.Load() != before || r.Status().Hash == hash {
		t.Errorf("made %d times anew for a comment; hash %s", made.Load()-before, r.Status().Hash)
	}
	m := compileSpec(t, spec)
	m.Defaults.Timeout = &ir.Setting[ir.Duration]{Value: 3e9}
	if err := r.SetMesh(m); err != nil {
		t.Fatal(err)
	}
	if made.Load() != before+1 {
		t.Errorf("made %d times anew for a change", made.Load()-before)
	}
}
