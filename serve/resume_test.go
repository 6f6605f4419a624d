package serve_test

import (
	"context"
	"testing"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/meshc/meshc/serve"
)

// TestProxyComesBackWithWhatItHas wants a proxy that reconnects with all that it was
// sent to be known to have it, though it is sent nothing more; and one that comes back
// with something older to be behind until it has taken what is new.
func TestProxyComesBackWithWhatItHas(t *testing.T) {
	r := start(t)
	m := compileSpec(t, spec)
	if err := r.SetMesh(m); err != nil {
		t.Fatal(err)
	}
	client := r.connect(t, r.authority, "frontend")
	begin := func(has map[string]string) (deltaStream, func()) {
		ctx, end := context.WithCancel(testContext(t))
		stream, err := client.DeltaAggregatedResources(ctx)
		if err != nil {
			t.Fatal(err)
		}
		request := &discoveryv3.DeltaDiscoveryRequest{
			Node: node("service/frontend/a"), TypeUrl: secretType, ResourceNamesSubscribe: []string{"trust"},
			InitialResourceVersions: has,
		}
		if err := stream.Send(request); err != nil {
			t.Fatal(err)
		}
		return stream, end
	}
	is := func(state, trust string) func() bool {
		return func() bool {
			for _, p := range r.Status().Proxies {
				if p.Node == "service/frontend/a" {
					return p.State() == state && p.Trust == trust
				}
			}
			return state == serve.StateAbsent
		}
	}
	bundle := r.authority.Rotation().Bundle

	stream, end := begin(nil)
	answer, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "a proxy that has not answered", is(serve.StateBehind, ""))
	has := map[string]string{"trust": answer.Resources[0].Version}
	if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{
		TypeUrl:       secretType,
		ResponseNonce: answer.Nonce,
	}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a proxy that has the trust bundle", is(serve.StateCurrent, bundle))
	end()
	eventually(t, "no proxy", is(serve.StateAbsent, ""))

	_, end = begin(has)
	eventually(t, "a proxy that came back with it", is(serve.StateCurrent, bundle))
	end()
	eventually(t, "no proxy again", is(serve.StateAbsent, ""))

	stream, end = begin(map[string]string{"trust": "an older one"})
	defer end()
	if answer, err = stream.Recv(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a proxy that came back with something older", is(serve.StateBehind, ""))
	if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{
		TypeUrl:       secretType,
		ResponseNonce: answer.Nonce,
	}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it has taken the new one", is(serve.StateCurrent, bundle))
}
