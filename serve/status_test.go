package serve_test

import (
	"context"
	"strings"
	"testing"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/meshc/meshc/serve"
)

// TestWhoIsNotConnected connects proxies of a service on three hosts, by the names of their endpoints and by other
// names, and wants those to be told as not connected that are not, and no others.
func TestWhoIsNotConnected(t *testing.T) {
	r := start(t)
	if err := r.SetMesh(compileSpec(t, strings.Replace(spec, `workload: endpoints: [{address: "10.0.0.1"}]
	ports: http: {port: 8081, protocol: "http"}`, `workload: endpoints: [{address: "10.0.0.1"}, {address: "10.0.0.2"}, {address: "10.0.0.3"}]
	ports: http: {port: 8081, protocol: "http", target: 9000}
	proxy: interception: "explicit"`, 1))); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		nodes []string
		want  []string
	}{
		"nobody": {nil, []string{
			"service/cart/10.0.0.1:8081", "service/cart/10.0.0.2:8081",
			"service/cart/10.0.0.3:8081",
		}},
		"one by its name": {
			[]string{"service/cart/10.0.0.2:8081"},
			[]string{"service/cart/10.0.0.1:8081", "service/cart/10.0.0.3:8081"},
		},
		"one without a name": {[]string{"service/cart/"}, []string{"service/cart/?"}},
		"two of that":        {[]string{"service/cart/", "service/cart/"}, []string{"service/cart/?"}},
		"three of that":      {[]string{"service/cart/", "service/cart/", "service/cart/"}, nil},
		"by the host's name": {[]string{"service/cart/host-a", "service/cart/host-b"}, []string{"service/cart/?"}},
		"some of each":       {[]string{"service/cart/host-a", "service/cart/", "service/cart/10.0.0.3:8081"}, nil},
		"one named, one other": {
			[]string{"service/cart/host-a", "service/cart/10.0.0.3:8081"},
			[]string{"service/cart/?"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, end := context.WithCancel(testContext(t))
			defer end()
			client := r.connect(t, r.authority, "cart")
			for _, id := range c.nodes {
				stream, err := client.DeltaAggregatedResources(ctx)
				if err != nil {
					t.Fatal(err)
				}
				if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{
					Node:    node(id),
					TypeUrl: clusters,
				}); err != nil {
					t.Fatal(err)
				}
				if _, err := stream.Recv(); err != nil {
					t.Fatal(err)
				}
			}
			var got []string
			for _, p := range r.Status().Proxies {
				if p.State() == serve.StateAbsent && strings.HasPrefix(p.Node, "service/cart/") {
					got = append(got, p.Node)
				}
			}
			if strings.Join(got, " ") != strings.Join(c.want, " ") {
				t.Errorf("not connected: %q, want %q", got, c.want)
			}
			end()
			eventually(t, "they are gone", func() bool {
				for _, p := range r.Status().Proxies {
					if p.Connected {
						return false
					}
				}
				return true
			})
		})
	}
}
