package envoy

import (
	"cmp"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/series"
)

const restRoute = series.RestRoute

// serviceRoutes are the routes of requests for a port of a callee: its own from
// the top, then one for the rest, to any instance.
func (b *builder) serviceRoutes(callee *ir.Upstream, use *ir.Use, port *ir.Port) []*routev3.Route {
	return b.routesBy(callee, use, port, func(r *ir.Route) *ir.Route { return r })
}

// routesBy are the routes of requests for a port of a callee, each as another one says.
func (b *builder) routesBy(callee *ir.Upstream, use *ir.Use, port *ir.Port,
	as func(*ir.Route) *ir.Route,
) []*routev3.Route {
	var out []*routev3.Route
	for i := range callee.Routes {
		r := as(&callee.Routes[i])
		p := b.scope.Settings.Policy(use, &callee.Traffic, r)
		out = append(out, withUpgrades(guarded(nil, b.route(r.Name, match(&r.Match), port, p, r), r),
			r.Upgrades(port, b.upstreamOf))...)
	}
	p := b.scope.Settings.Policy(use, &callee.Traffic)
	rest := &ir.Route{To: []ir.Destination{{Service: callee.Name, Weight: 1}}, Pos: callee.Pos}
	return append(out, withUpgrades([]*routev3.Route{b.route(restRoute, match(&rest.Match), port, p, rest)},
		rest.Upgrades(port, b.upstreamOf))...)
}

// target is a cluster and its share of a route's requests.
type target struct {
	cluster string
	weight  uint32
}

// destinations are the clusters of a route's destinations. A destination without
// a port is at the one that has the name of the port that the request came for.
func (b *builder) destinations(to []ir.Destination, came *ir.Port) []target {
	var out []target
	for _, d := range to {
		callee := b.scope.Upstreams[d.Service]
		port := callee.Port(cmp.Or(d.Port, came.Name))
		out = append(out, target{b.upstream(callee, b.use(d.Service), port, d.Version), d.Weight})
	}
	return out
}

// use is the member's use of that callee, or one that says nothing.
func (b *builder) use(callee string) *ir.Use {
	if use := b.scope.Use(callee); use != nil {
		return use
	}
	return &ir.Use{To: callee}
}

// route does what the routes say with the requests that match and came for that
// port, in the time and with the tries of the policy. There is one route, or a
// gateway's and then the service's own that its requests go on through: the last
// says where they go.
func (b *builder) route(name string, m *routev3.RouteMatch, came *ir.Port, p ir.Policy,
	by ...*ir.Route,
) *routev3.Route {
	last := by[len(by)-1]
	out := &routev3.Route{Name: name, Match: m, Metadata: positionMetadata(last.Pos)}
	switch {
	case last.Redirect != nil:
		out.Action = &routev3.Route_Redirect{Redirect: redirect(last.Redirect, last.Match.Path)}
	case last.DirectResponse != nil:
		out.Action = &routev3.Route_DirectResponse{DirectResponse: directResponse(last.DirectResponse)}
	default:
		action := &routev3.RouteAction{}
		b.inTime(action, p, came.Protocol)
		sendTo(action, b.destinations(last.To, came))
		action.HashPolicy = hashPolicy(b.scope.Upstreams[last.To[0].Service])
		for _, r := range by {
			b.mirror(action, r.Mirror, came, p)
		}
		rewrite(action, by)
		b.givesStatus(out, came.Protocol)
		out.Action = &routev3.Route_Route{Route: action}
	}
	editHeaders(out, by)
	b.tellFilters(out, by)
	tellLogged(out, by)
	tellSampled(out, by)
	return out
}

// inTime bounds the time and the tries of a route's requests.
func (b *builder) inTime(action *routev3.RouteAction, p ir.Policy, protocol ir.Protocol) {
	action.RetryPolicy, action.HedgePolicy = b.retryPolicy(p, protocol), hedgePolicy(p)
	limit(action, p.Timeout.Value, protocol)
	switch idle := p.IdleTimeout.Value; {
	case idle.Bounds():
		action.IdleTimeout = duration(idle)
	case idle == ir.NoLimit:
		action.IdleTimeout = durationpb.New(0)
	}
}

func sendTo(action *routev3.RouteAction, to []target) {
	if len(to) == 1 {
		action.ClusterSpecifier = &routev3.RouteAction_Cluster{Cluster: to[0].cluster}
		return
	}
	weighted := &routev3.WeightedCluster{}
	for _, t := range to {
		weighted.Clusters = append(weighted.Clusters, &routev3.WeightedCluster_ClusterWeight{
			Name:   t.cluster,
			Weight: wrapperspb.UInt32(t.weight),
		})
	}
	action.ClusterSpecifier = &routev3.RouteAction_WeightedClusters{WeightedClusters: weighted}
}

// perRoute configures a filter for the requests of one route.
func (b *builder) perRoute(route *routev3.Route, filter string, config proto.Message) {
	if route.TypedPerFilterConfig == nil {
		route.TypedPerFilterConfig = map[string]*anypb.Any{}
	}
	route.TypedPerFilterConfig[filter] = b.any(config)
}

// nearest is what the last of the routes that says anything says; the zero value
// when none does.
func nearest[T comparable](by []*ir.Route, of func(*ir.Route) T) T {
	var said, nothing T
	for _, r := range by {
		if v := of(r); v != nothing {
			said = v
		}
	}
	return said
}
