package envoy

import (
	"net/http"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"

	"github.com/meshc/meshc/compiler/ir"
)

var redirectCodes = map[uint16]routev3.RedirectAction_RedirectResponseCode{
	http.StatusMovedPermanently:  routev3.RedirectAction_MOVED_PERMANENTLY,
	http.StatusFound:             routev3.RedirectAction_FOUND,
	http.StatusSeeOther:          routev3.RedirectAction_SEE_OTHER,
	http.StatusTemporaryRedirect: routev3.RedirectAction_TEMPORARY_REDIRECT,
	http.StatusPermanentRedirect: routev3.RedirectAction_PERMANENT_REDIRECT,
}

// withPort is a route, and before it, where that redirects to another scheme, one for requests that name a port, which
// is not the scheme's: Envoy leaves it or replaces it, and has nothing that removes it.
func withPort(route *routev3.Route, r *ir.Route) []*routev3.Route {
	if r.Redirect == nil || r.Redirect.PortAfter(true) == r.Redirect.PortAfter(false) {
		return []*routev3.Route{route}
	}
	named := proto.CloneOf(route)
	named.Name = join(route.Name, "port")
	named.Match.Headers = append(named.Match.Headers,
		headerMatch(ir.StringMatch{Name: ":authority", Kind: ir.MatchRegex, Value: ".*:[0-9]+"}))
	named.GetRedirect().PortRedirect = uint32(r.Redirect.PortAfter(true))
	return []*routev3.Route{named, route}
}

// redirect answers with another address, made of that of a request that m takes.
func redirect(r *ir.Redirect, m ir.PathMatch) *routev3.RedirectAction {
	out := &routev3.RedirectAction{
		HostRedirect: r.Host, PortRedirect: uint32(r.Port), ResponseCode: redirectCodes[r.Status],
	}
	if r.Scheme != "" {
		out.SchemeRewriteSpecifier = &routev3.RedirectAction_SchemeRedirect{SchemeRedirect: r.Scheme}
	}
	switch {
	case r.Path != "":
		out.PathRewriteSpecifier = &routev3.RedirectAction_PathRedirect{PathRedirect: r.Path}
	case r.Prefix != "":
		pattern, substitution := (&ir.PathRewrite{Prefix: r.Prefix}).Regex(m)
		out.PathRewriteSpecifier = &routev3.RedirectAction_RegexRewrite{
			RegexRewrite: &matcherv3.RegexMatchAndSubstitute{Pattern: re2(pattern), Substitution: substitution},
		}
	}
	return out
}
