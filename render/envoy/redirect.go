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

// redirecting is a route of requests that came to a listener of a gateway, or nil to the proxy of their sender, and
// before it, where it redirects, the route of those whose new address has other parts that Envoy cannot take from the
// request: the port, or the scheme.
func redirecting(route *routev3.Route, r *ir.Route, l *ir.Listener) []*routev3.Route {
	switch {
	case r.Redirect == nil:
	case r.Redirect.Scheme == "":
		return byForwardedProto(route, l)
	case r.Redirect.PortAfter(true) != r.Redirect.PortAfter(false):
		return withPort(route, r)
	}
	return []*routev3.Route{route}
}

// withPort has another route for requests that name a port, which is not that of the new scheme: Envoy leaves it or
// replaces it, and has nothing that removes it.
func withPort(route *routev3.Route, r *ir.Route) []*routev3.Route {
	named := proto.CloneOf(route)
	named.Name = join(route.Name, "port")
	named.Match.Headers = append(named.Match.Headers,
		headerMatch(ir.StringMatch{Name: ":authority", Kind: ir.MatchRegex, Value: ".*:[0-9]+"}))
	named.GetRedirect().PortRedirect = uint32(r.Redirect.PortAfter(true))
	return []*routev3.Route{named, route}
}

// byForwardedProto redirects to the scheme by which the client came, which x-forwarded-proto says: the listener's own,
// or what a trusted proxy in front of it, or the application whose proxy this is, says instead. Envoy would take the
// scheme that a client wrote into the request, in HTTP/2 and in the absolute form.
func byForwardedProto(route *routev3.Route, l *ir.Listener) []*routev3.Route {
	own, other := "http", "https"
	if l != nil && l.TLS != nil {
		own, other = other, own
	}
	toScheme(route, own)
	if l != nil && l.Clients.NumTrustedHops == 0 {
		return []*routev3.Route{route}
	}
	forwarded := proto.CloneOf(route)
	forwarded.Name = join(route.Name, other)
	forwarded.Match.Headers = append(forwarded.Match.Headers,
		headerMatch(ir.StringMatch{Name: "x-forwarded-proto", Kind: ir.MatchRegex, Value: "(?i:" + other + ")"}))
	toScheme(forwarded, other)
	return []*routev3.Route{forwarded, route}
}

func toScheme(route *routev3.Route, scheme string) {
	route.GetRedirect().SchemeRewriteSpecifier = &routev3.RedirectAction_SchemeRedirect{SchemeRedirect: scheme}
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
