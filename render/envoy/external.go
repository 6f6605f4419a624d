package envoy

import (
	"slices"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/meshc/meshc/compiler/ir"
)

// externalHost has the requests for an external by one of its hosts, and leaves them the host that was asked for.
func (b *builder) externalHost(c call) *routev3.VirtualHost {
	p := b.scope.Settings.Policy(c.use, &c.external.Traffic)
	action := &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: b.external(c.external, c.use,
		c.port)}}
	b.inTime(action, p, c.port.Protocol)
	route := &routev3.Route{
		Name: restRoute, Match: pathMatch(ir.PathMatch{}), Metadata: positionMetadata(c.external.Pos),
		Action: &routev3.Route_Route{Route: action},
	}
	b.givesStatus(route, c.port.Protocol)
	if b.looksUpWhatIsAsked(c.external) {
		b.toAskedHost(route, c.external, c.port)
	}
	routes := withUpgrades([]*routev3.Route{route}, c.port.Upgrades)
	return &routev3.VirtualHost{
		Name: join(b.label(c), c.port.Name), Domains: c.external.Hosts, Metadata: positionMetadata(c.use.Pos),
		RequestHeadersToRemove: slices.Clone(ofTheMesh),
		Routes:                 routes,
	}
}

// ofTheMesh are headers that Envoy adds to each request and that are nobody's business outside: the address of who
// calls, and how the user came.
var ofTheMesh = []string{"x-envoy-external-address", "x-forwarded-proto"}

// firstHost has the requests that come to the listener of an external by no host that it has: they get its first.
func firstHost(h *routev3.VirtualHost, e *ir.External) *routev3.VirtualHost {
	h.Name, h.Domains = join(h.Name, "*"), []string{"*"}
	for _, r := range h.Routes {
		r.GetRoute().HostRewriteSpecifier = &routev3.RouteAction_HostRewriteLiteral{HostRewriteLiteral: e.Hosts[0]}
	}
	return h
}
