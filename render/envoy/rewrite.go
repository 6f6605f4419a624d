package envoy

import (
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

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

func rewrittenHost(r *ir.Route) string {
	if r.Rewrite == nil {
		return ""
	}
	return r.Rewrite.Host
}

// behind are the requests that a gateway's route and then the service's own take;
// false when there are none.
func behind(r, own *ir.Route) (*routev3.RouteMatch, bool) {
	outer := r.PathRewrite()
	if outer == nil || own.Match.Path == (ir.PathMatch{}) {
		return both(&r.Match, &own.Match)
	}
	before, _, possible := outer.Behind(r.Match.Path, own.Match.Path)
	if !possible {
		return nil, false
	}
	gateway, service := r.Match, own.Match
	gateway.Path, service.Path = before, ir.PathMatch{}
	return both(&gateway, &service)
}
