package doctor

import (
	"fmt"
	"slices"

	"github.com/meshc/meshc/compiler/ir"
)

// keys finds jwks-unreachable: requests are refused with 401, and proxies of the callee cannot fetch the keys of an
// issuer that its rules name.
func keys(p *patient) (out []candidate) {
	all := p.byCallee(unauthorized)
	for _, callee := range callees(all) {
		guards := p.guardsOf(callee)
		if guards == nil {
			continue
		}
		for _, issuer := range p.issuersOf(guards) {
			if issuer.To == "" || !p.unreachable(callee, issuer.To, issuer.External) {
				continue
			}
			next := "meshc config " + callee.Name
			explains := append(slices.Clone(all[callee]), p.between(callee, issuer.To)...)
			out = append(out, candidate{explains: explains, sure: byState, next: next, Verdict: Verdict{
				Cause: JWKSUnreachable, Subject: callee.String(), Position: lineOf(issuer.Pos), Party: ByOutside,
				Text: fmt.Sprintf("%s refuses tokens, as its proxies cannot fetch the keys of the issuer %s from %s",
					callee.Name, issuer.Name, issuer.To),
			}})
		}
	}
	return out
}

func (p *patient) guardsOf(r ir.Ref) *ir.Guards {
	if s := p.service(r); s != nil {
		return &s.Guards
	}
	if p.Mesh != nil && r.Kind == ir.KindGateway {
		if g := p.Mesh.Gateway(r.Name); g != nil {
			return &g.Guards
		}
	}
	return nil
}

// issuersOf are the issuers whose tokens rules ask for.
func (p *patient) issuersOf(g *ir.Guards) (out []*ir.JWTIssuer) {
	for _, rules := range [][]ir.Rule{g.Allow, g.Deny} {
		for i := range rules {
			if jwt := rules[i].JWT; jwt != nil {
				if issuer := p.Mesh.JWTIssuer(jwt.Issuer); issuer != nil && !slices.Contains(out, issuer) {
					out = append(out, issuer)
				}
			}
		}
	}
	return out
}

// between are the symptoms of the calls of a member to a service or an external.
func (p *patient) between(caller ir.Ref, to string) (out []symptom) {
	for _, s := range p.symptoms {
		if s.edge.caller == caller && s.edge.callee.Name == to {
			out = append(out, s)
		}
	}
	return out
}

// unreachable reports whether calls of a member to another fail: by its numbers, or by the counts of its proxies'
// hosts.
func (p *patient) unreachable(caller ir.Ref, to string, external bool) bool {
	callee := ir.ServiceRef(to)
	if external {
		callee = ir.ExternalRef(to)
	}
	if len(p.between(caller, to)) > 0 {
		return true
	}
	name := to
	if s := p.service(callee); s != nil {
		name = s.QualifiedName()
	}
	for i := range p.Proxies {
		if p.Proxies[i].Member != caller {
			continue
		}
		for _, c := range p.Proxies[i].Clusters {
			if of, _ := clusterParts(c.Name); of != name {
				continue
			}
			healthy := slices.ContainsFunc(c.Hosts, func(h Host) bool {
				return h.Healthy && h.Grown.Unconnected == 0 && h.Since.Unconnected*2 <= h.Since.Requests &&
					h.Since.Errors*2 <= h.Since.Requests
			})
			if !healthy {
				return true
			}
		}
	}
	return false
}

// authorization finds authorization-unreachable: requests are refused as the external authorization does not answer,
// which Envoy's flag UnauthorizedExternalService, and the calls of the callee's proxies to it, show.
func authorization(p *patient) (out []candidate) {
	all := p.byCallee(unauthorized, answered, gone)
	for _, callee := range callees(all) {
		guards := p.guardsOf(callee)
		if guards == nil || guards.Authorizer == "" {
			continue
		}
		a := p.Mesh.ExternalAuthorization(guards.Authorizer)
		if a == nil || !p.unreachable(callee, a.Service, false) {
			continue
		}
		pos := p.place(callee)
		if s := p.service(callee); s != nil {
			if use := ir.UseOf(s.Uses, a.Service); use != nil {
				pos = use.Pos
			}
		}
		next := "meshc config " + callee.Name
		explains := append(slices.Clone(all[callee]), p.between(callee, a.Service)...)
		out = append(out, candidate{explains: explains, sure: byState, next: next, Verdict: Verdict{
			Cause: AuthorizationUnreachable, Subject: callee.String(), Position: lineOf(pos), Party: ByOutside,
			Text: fmt.Sprintf("%s refuses requests, as the authorization service %s does not answer", callee.Name, a.Service),
		}})
	}
	return out
}
