package serve_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/protobuf/proto"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/envoy"
	"github.com/meshc/meshc/serve"
)

// TestReplicasAreRenderedOnce connects many replicas of a service at once: one render is for all of them, also after a
// change, and proxies at addresses of their own get one each. [TestChangesReachWhomTheyConcern] shows that what they
// share is what would be rendered for each.
func TestReplicasAreRenderedOnce(t *testing.T) {
	var renders atomic.Int64
	r := start(t, func(c *serve.Config) {
		c.Build = func(scope ir.Scope, o envoy.Options) (*envoy.Resources, error) {
			renders.Add(1)
			return envoy.Build(scope, o)
		}
	})
	wantRenders := func(what string, want int64) {
		t.Helper()
		if got := renders.Swap(0); got != want {
			t.Errorf("%s: %d renders, want %d", what, got, want)
		}
		if unlike := r.Unlike(); len(unlike) > 0 {
			t.Errorf("%s: %s are served something else than is rendered for each alone", what, unlike)
		}
	}
	if err := r.SetMesh(compileSpec(t, spec)); err != nil {
		t.Fatal(err)
	}
	var joining sync.WaitGroup
	join := func(service, instance string) {
		id := spiffeid.RequireFromString("spiffe://shop.example/ns/default/sa/" + service)
		if err := r.Join(&corev3.Node{Id: "service/" + service + "/" + instance, UserAgentName: "envoy"}, id); err != nil {
			t.Error(err)
		}
	}
	for i := range 50 {
		joining.Go(func() { join("frontend", fmt.Sprint("pod-", i)) })
	}
	joining.Wait()
	wantRenders("50 pods", 1)
	more := strings.Replace(spec, `[{address: "10.0.0.1"}]`, `[{address: "10.0.0.1"}, {address: "10.0.0.2"}]`, 1)
	if err := r.SetMesh(compileSpec(t, more)); err != nil {
		t.Fatal(err)
	}
	wantRenders("an endpoint more of the callee", 1)
	for _, instance := range []string{"10.0.0.1:8081", "10.0.0.2:8081", "not-known"} {
		join("cart", instance)
	}
	wantRenders("two endpoints, and one that the mesh does not know", 3)
	if err := r.SetMesh(compileSpec(t, strings.Replace(more, "uses: cart: {}", `uses: cart: timeout: "2s"`, 1))); err != nil {
		t.Fatal(err)
	}
	wantRenders("a change of the use", 1)
}

// TestEditsKeepWhatTheyLeave edits a route: the resources that it leaves as they were are kept once, although a proxy
// may still be known to have those of the configuration before. So memory does not grow with each edit.
func TestEditsKeepWhatTheyLeave(t *testing.T) {
	r := start(t, func(*serve.Config) {})
	if err := r.SetMesh(compileSpec(t, spec)); err != nil {
		t.Fatal(err)
	}
	const id = "service/frontend/a"
	identity := spiffeid.RequireFromString("spiffe://shop.example/ns/default/sa/frontend")
	if err := r.Join(&corev3.Node{Id: id, UserAgentName: "envoy"}, identity); err != nil {
		t.Fatal(err)
	}
	before := r.Configured(id)
	edited := strings.Replace(spec, "uses: cart: {}", `uses: cart: timeout: "2s"`, 1)
	if err := r.SetMesh(compileSpec(t, edited)); err != nil {
		t.Fatal(err)
	}
	same, others := 0, 0
	for name, now := range r.Configured(id) {
		switch had := before[name]; {
		case had == now:
			same++
		case had != nil && proto.Equal(had, now):
			t.Errorf("%s has not changed, and is kept twice", name)
		default:
			others++
		}
	}
	if same == 0 || others == 0 {
		t.Errorf("%d resources are the same, and %d are others", same, others)
	}
}
