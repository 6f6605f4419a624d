package envoy

import (
	"net/http"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/meshc/meshc/compiler/ir"
)

var redirectCodes = map[uint16]routev3.RedirectAction_RedirectResponseCode{
	http.StatusMovedPermanently:  routev3.RedirectAction_MOVED_PERMANENTLY,
	http.StatusFound:             routev3.RedirectAction_FOUND,
	http.StatusSeeOther:          routev3.RedirectAction_SEE_OTHER,
	http.StatusTemporaryRedirect: routev3.RedirectAction_TEMPORARY_REDIRECT,
	http.StatusPermanentRedirect: routev3.RedirectAction_PERMANENT_REDIRECT,
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
