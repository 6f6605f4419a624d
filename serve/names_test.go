package serve_test

import (
	"testing"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/meshc/meshc/compiler/compiletest"
)

const sameNames = `package m

mesh: {name: "m", trustDomain: "shop.example"}
services: [string]: {workload: endpoints: [{address: "10.0.0.1"}], ports: http: {port: 8080, protocol: "http"}}
`

// A proxy that began before another namespace had a member of the same name goes on under the id that it has: its
// identity says which of them it is. Nobody else's proxy is it.
func TestProxyKeepsItsPlainName(t *testing.T) {
	const (
		first  = "package m\n\nservices: api: {}\n"
		second = "package m\n\nservices: api: namespace: \"b\"\n"
	)
	r := start(t)
	for _, files := range []map[string]string{
		{"mesh.cue": sameNames, "a/a.cue": first},
		{"mesh.cue": sameNames, "a/a.cue": first, "b/b.cue": second},
	} {
		compiled := compiletest.Compile(t, t.TempDir(), files)
		if compiled.Mesh == nil {
			t.Fatal(compiled.Diagnostics)
		}
		if err := r.SetMesh(compiled.Mesh); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			account, node string
			served        bool
		}{
			{"api", "service/api/a", true},
			{"api", "service/api.default/a", true},
			{"other", "service/api/a", false},
			{"other", "service/api.default/a", false},
		} {
			stream, err := r.connect(t, r.authority, c.account).DeltaAggregatedResources(testContext(t))
			if err == nil {
				err = stream.Send(&discoveryv3.DeltaDiscoveryRequest{Node: node(c.node), TypeUrl: clusters})
			}
			if err == nil {
				_, err = stream.Recv()
			}
			if served := status.Code(err) == codes.OK; served != c.served {
				t.Errorf("%s as %s: %v, want served: %v", c.account, c.node, err, c.served)
			}
		}
	}
}
