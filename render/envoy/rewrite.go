package envoy

import (
	"net/http"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"

	"github.com/meshc/meshc/compiler/ir"
)

// rewrite has a route change the path and the host of its requests. The service's
// own route has the last word on the host, as it comes after the gateway's.
func rewrite(action *routev3.RouteAction, by []*ir.Route) {
	if host := nearest(by, rewrittenHost); host != "" {
		action.HostRewriteSpecifier = &routev3.RouteAction_HostRewriteLiteral{HostRewriteLiteral: host}
	}
	pattern, substitution, ok := ir.RewrittenPath(by)
	if ok {
		action.RegexRewrite = &matcherv3.RegexMatchAndSubstitute{Pattern: re2(pattern), Substitution: substitution}
	}
}

// guarded is a route of the routes, and before it one that refuses what their rewriting would
// lead out of the new prefix; see [ir.Leaves]. They are routes of a listener of a gateway, or, for nil, of a sender's
// proxy.
func guarded(l *ir.Listener, route *routev3.Route, by ...*ir.Route) []*routev3.Route {
	pattern, possible := ir.Leaves(by)
	if !possible {
		return redirecting(route, by[len(by)-1], l)
	}
	m := proto.CloneOf(route.Match)
	m.Headers = append(m.Headers,
		headerMatch(ir.StringMatch{Name: ":path", Kind: ir.MatchRegex, Value: pattern + query}))
	return []*routev3.Route{{
		Name: join(route.Name, "dots"), Match: m, Metadata: route.Metadata,
		Action: &routev3.Route_DirectResponse{DirectResponse: &routev3.DirectResponseAction{
			Status: http.StatusBadRequest,
		}},
	}, route}
}

func rewrittenHost(r *ir.Route) string {
	if r.Rewrite == nil {
		return ""
	}
	return r.Rewrite.Host
}

// intersect returns which requests a gateway's route and then the service's own take; false if there are none.
func intersect(r, own *ir.Route) (*routev3.RouteMatch, bool) {
	outer := r.PathRewrite()
	if outer == nil || own.Match.Path == (ir.PathMatch{}) {
		return both(&r.Match, &own.Match)
	}
	before, possible := outer.Preimage(r.Match.Path, own.Match.Path)
	if !possible {
		return nil, false
	}
	gateway, service := r.Match, own.Match
	gateway.Path, service.Path = before.Match, ir.PathMatch{}
	return both(&gateway, &service)
}
