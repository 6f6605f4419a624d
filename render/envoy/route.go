package envoy

import (
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
)

// restRoute is the route of requests that no written route takes.
const restRoute = "(rest)"

// serviceRoutes are the routes of requests for a port of a callee: its own from
// the top, then one for the rest, to any instance.
func (b *builder) serviceRoutes(callee *ir.Upstream, use *ir.Use, port *ir.Port) []*routev3.Route {
	var out []*routev3.Route
	for i := range callee.Routes {
		r := &callee.Routes[i]
		p := ir.Nearest(use.Traffic, r.Traffic, callee.Traffic, b.scope.Settings.Defaults)
		out = append(out, b.route(r.Name, match(&r.Match), b.destinations(r.To, port), p, port.Protocol, r.Pos))
	}
	rest := ir.Match{}
	p := ir.Nearest(use.Traffic, callee.Traffic, b.scope.Settings.Defaults)
	return append(out, b.route(restRoute, match(&rest), []target{{b.upstream(callee, use, port, ""), 1}}, p, port.Protocol, callee.Pos))
}

// target is a cluster and its share of a route's requests.
type target struct {
	cluster string
	weight  uint32
}

// destinations are the clusters of a route's destinations. A destination without
// a port keeps the one that the request came for.
func (b *builder) destinations(to []ir.Destination, came *ir.Port) []target {
	var out []target
	for _, d := range to {
		callee := b.scope.Upstreams[d.Service]
		port := came
		if d.Port != "" {
			port = callee.Port(d.Port)
		}
		out = append(out, target{b.upstream(callee, b.use(d.Service), port, d.Version), d.Weight})
	}
	return out
}

// use is the member's use of that callee.
func (b *builder) use(callee string) *ir.Use {
	for i := range b.member.Uses {
		if b.member.Uses[i].To == callee {
			return &b.member.Uses[i]
		}
	}
	return &ir.Use{To: callee}
}

// route sends requests that match to the targets, in the time and with the tries
// of the policy.
func (b *builder) route(name string, m *routev3.RouteMatch, to []target, p ir.Policy, protocol ir.Protocol, pos source.Position) *routev3.Route {
	action := &routev3.RouteAction{RetryPolicy: b.retryPolicy(p, protocol)}
	limit(action, p.Timeout.Value, protocol)
	if len(to) == 1 {
		action.ClusterSpecifier = &routev3.RouteAction_Cluster{Cluster: to[0].cluster}
	} else {
		weighted := &routev3.WeightedCluster{}
		for _, t := range to {
			weighted.Clusters = append(weighted.Clusters, &routev3.WeightedCluster_ClusterWeight{Name: t.cluster, Weight: wrapperspb.UInt32(t.weight)})
		}
		action.ClusterSpecifier = &routev3.RouteAction_WeightedClusters{WeightedClusters: weighted}
	}
	return &routev3.Route{Name: name, Match: m, Action: &routev3.Route_Route{Route: action}, Metadata: from(pos)}
}
