package envoy

import (
	"slices"
	"testing"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/meshc/meshc/compiler/ir"
)

// Where paths are normalised, the routes of every host begin with those that refuse what is not normal then, and so do
// the routes of all other hosts.
func TestPathsAreRefusedWhereTheyAreNormalised(t *testing.T) {
	managers := 0
	for _, v := range variants(shop(ir.DeliveryXDS)) {
		r, err := Build(v.scope, v.Options)
		if err != nil {
			t.Fatal(err)
		}
		byName := map[string]*routev3.RouteConfiguration{}
		for _, c := range r.Routes {
			byName[c.Name] = c
		}
		for _, l := range r.Listeners {
			for _, chain := range append(slices.Clone(l.FilterChains), l.GetDefaultFilterChain()) {
				for _, filter := range chain.GetFilters() {
					m := &hcmv3.HttpConnectionManager{}
					if filter.GetTypedConfig().UnmarshalTo(m) != nil || !m.NormalizePath.GetValue() ||
						m.GetRds() == nil {
						continue
					}
					managers++
					routes := byName[m.GetRds().RouteConfigName]
					any := false
					for _, host := range routes.GetVirtualHosts() {
						any = any || slices.Contains(host.Domains, "*")
						if len(host.Routes) < 2 || host.Routes[0].Name != refusedRoute ||
							host.Routes[1].Name != refusedRoute {
							t.Errorf("%s: the routes of %s in %s do not begin with those that refuse", v.name,
								host.Name, l.Name)
						}
					}
					if !any {
						t.Errorf("%s: other hosts of %s are not refused", v.name, l.Name)
					}
				}
			}
		}
	}
	if managers < 9 {
		t.Errorf("only %d were looked at", managers)
	}
}
