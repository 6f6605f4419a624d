package envoy

import (
	"slices"
	"testing"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
)

// TestSource reads the position back from every resource that a user can be the
// cause of.
func TestSource(t *testing.T) {
	m := shop(ir.DeliveryXDS)
	for _, v := range variants(m) {
		for _, build := range []func(ir.Scope, Options) (*Resources, error){Build, Proxyless} {
			r, err := build(v.scope, v.Options)
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range r.Listeners {
				if pos := Source(l); !pos.IsValid() && l.Name != outboundListener {
					t.Errorf("%s: listener %s has no position", v.name, l.Name)
				}
			}
			for _, c := range r.Clusters {
				if pos := Source(c); !pos.IsValid() && c.Name != blackhole {
					t.Errorf("%s: cluster %s has no position", v.name, c.Name)
				}
			}
			for _, c := range r.Routes {
				if pos := Source(c); !pos.IsValid() {
					t.Errorf("%s: routes %s have no position", v.name, c.Name)
				}
				for _, host := range c.VirtualHosts {
					for _, route := range host.Routes {
						if pos := Source(route); !pos.IsValid() {
							t.Errorf("%s: route %s of %s has no position", v.name, route.Name, host.Name)
						}
					}
				}
			}
		}
	}
	r, err := Build(m.ServiceScope(m.Service("frontend")), Options{})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(r.Routes, func(c *routev3.RouteConfiguration) bool {
		return c.Name == "outbound|cart.shop|http"
	})
	if got, want := Source(r.Routes[i]), position("frontend/service.cue", 10); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := Source(nil); got != (source.Position{}) {
		t.Errorf("of nothing: got %s", got)
	}
}
