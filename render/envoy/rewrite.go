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
	pattern, substitution, ok := pathRewrite(by)
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

func rewrittenPath(r *ir.Route) *ir.PathRewrite {
	if r.Rewrite == nil {
		return nil
	}
	return r.Rewrite.Path
}

// pathRewrite is what becomes of a path; Envoy rewrites once for each route, so
// two rewrites of prefixes are made one.
func pathRewrite(by []*ir.Route) (pattern, substitution string, ok bool) {
	first, last := by[0], by[len(by)-1]
	outer, own := rewrittenPath(first), rewrittenPath(last)
	switch {
	case len(by) == 1 || outer == nil:
		if own == nil {
			return "", "", false
		}
		pattern, substitution = own.Regex(last.Match.Path)
	case own == nil:
		pattern, substitution = outer.Regex(first.Match.Path)
	default:
		before, rest, _ := outer.Behind(first.Match.Path, last.Match.Path)
		both := &ir.PathRewrite{Prefix: own.Prefix + rest}
		if last.Match.Path.Kind == ir.MatchExact {
			both.Prefix = own.Prefix
		}
		pattern, substitution = both.Regex(before)
	}
	return pattern, substitution, true
}

// behind are the requests that a gateway's route and then the service's own take;
// false when there are none.
func behind(r, own *ir.Route) (*routev3.RouteMatch, bool) {
	outer := rewrittenPath(r)
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
