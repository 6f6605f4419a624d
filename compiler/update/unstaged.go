package update

import (
	"fmt"
	"slices"

	"github.com/meshc/meshc/compiler/ir"
)

// Unstaged is why a change cannot be carried by stages: while it is on its way requests may fail that both versions
// let in. It is empty for one that can.
func Unstaged(before, after *ir.Mesh) (why []string) {
	if before.TrustDomain != after.TrustDomain {
		return []string{"every identity changes with the trust domain"}
	}
	identity := func(kind, name string, same bool) {
		if !same {
			why = append(why, fmt.Sprintf("the identity of %s %s changes: callers accept one, and rules name one", kind,
				name))
		}
	}
	for _, s := range after.Services {
		if was := before.Service(s.Name); was != nil && was != s {
			identity("service", s.Name, was.Identity == s.Identity)
			why = append(why, otherPorts(was, s)...)
			if was.Authorizer != "" && s.Authorizer != "" && was.Authorizer != s.Authorizer {
				why = append(why, fmt.Sprintf("service %s uses another authorization service", s.Name))
			}
		}
	}
	for _, g := range after.Gateways {
		if was := before.Gateway(g.Name); was != nil {
			identity("gateway", g.Name, was.Identity == g.Identity)
		}
	}
	for _, e := range after.Externals {
		if was := before.External(e.Name); was != nil && !ir.Same(was.Via, e.Via) {
			why = append(why, fmt.Sprintf("calls to the external %s leave the mesh through another gateway", e.Name))
		}
	}
	for _, i := range after.JWTIssuers {
		if was := before.JWTIssuer(i.Name); was != nil && !ir.Same(was, i) {
			why = append(why, fmt.Sprintf("the token issuer %s changes", i.Name))
		}
	}
	for _, a := range after.Authorizers {
		if was := before.ExternalAuthorization(a.Name); was != nil && !ir.Same(was, a) {
			why = append(why, fmt.Sprintf("the settings of the authorization service %s change", a.Name))
		}
	}
	return why
}

// otherPorts are ports of a name that mean something else, or of a number that have another name: rules name ports.
func otherPorts(was, is *ir.Service) (why []string) {
	if was.Explicit != is.Explicit {
		why = append(why, fmt.Sprintf("the proxies of %s listen on other ports", is.Name))
	}
	for _, p := range is.Ports {
		if slices.ContainsFunc(was.Ports, func(q ir.Port) bool {
			alike := p.Number == q.Number && p.Target == q.Target && p.Protocol == q.Protocol
			return p.Name == q.Name && !alike || p.Name != q.Name && (p.Number == q.Number || p.Target == q.Target)
		}) {
			why = append(why, fmt.Sprintf("port %s of %s changes its meaning", p.Name, is.Name))
		}
	}
	return why
}
