package link

import (
	"fmt"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

// clientRateLimits are the bounds on the requests that a gateway takes.
func (l *linker) clientRateLimits(h home[spec.Gateway], g *ir.Gateway) []ir.ClientRateLimit {
	var out []ir.ClientRateLimit
	for _, name := range sortedKeys(h.spec.RateLimits) {
		r, here := h.spec.RateLimits[name], h.field("rateLimits."+name)
		bound := l.rateLimit(here, g.Name, &spec.RateLimit{
			Pos: r.Pos, Requests: r.Requests, Per: r.Per, Burst: r.Burst, Global: r.Global,
		}, false)
		if r.By.IsSet() && r.Header.IsSet() {
			l.add(diag.ExactlyOneOf, here, name+" is by address and by header, or by neither", here.pos(r.By.Pos),
				here.pos(r.Header.Pos)).hint("remove one of them, or write two rate limits")
		}
		out = append(out, ir.ClientRateLimit{
			Name: name, Bound: *bound, PerAddress: r.By.Value == "address", Header: r.Header.Value,
		})
	}
	return out
}

// clientsAreCounted finds bounds by a header that clients write as they like, or that no request has. The rules of the
// gateway are linked.
func (l *linker) clientsAreCounted(h home[spec.Gateway], g *ir.Gateway) {
	var written []string // by the gateway
	for _, door := range g.Doors() {
		written = append(written, l.mesh.HeadersOfIssuers(g.TokenIssuers(&door))...)
	}
	if a := l.mesh.ExternalAuthorization(g.Authorizer); a != nil {
		written = append(written, a.Forward...)
	}
	for i := range g.RateLimits {
		r := &g.RateLimits[i]
		if r.Header == "" || slices.Contains(written, r.Header) {
			continue
		}
		here := h.field("rateLimits." + r.Name + ".header")
		pos := here.pos(h.spec.RateLimits[r.Name].Header.Pos)
		if slices.Contains(l.mesh.ForeignHeaders(g.Authorizer), r.Header) {
			l.add(diag.NoEffect, here, fmt.Sprintf(
				"header cannot take effect: %s carries a claim, and no rule of %s asks for a token of such an issuer",
				r.Header, g.Name), pos, h.pos).
				hint("the gateway takes it out of all requests: write a rule with jwt, or count by another header")
			continue
		}
		l.add(diag.ClientsChoose, here, fmt.Sprintf(
			"clients write %s as they like: who sends another value with each request is never at the limit", r.Header),
			pos).hint(`count by a header that carries a claim (mesh.jwt.issuers.X.forward.claims), or by: "address"`)
	}
}
