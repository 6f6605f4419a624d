package update

import (
	"slices"

	"github.com/meshc/meshc/compiler/ir"
)

// Narrows reports whether a change takes a right back: a service lets in less, or an identity, an issuer of tokens or
// another trust domain is no longer believed.
func Narrows(before, after *ir.Mesh) bool {
	if before == nil {
		return false
	}
	before, after = ir.Alike(before, after)
	for _, was := range before.Services {
		is := after.Service(was.Name)
		if was == is {
			continue
		}
		if is == nil || is.Identity != was.Identity || !was.Guards.Within(&is.Guards) {
			return true
		}
	}
	for _, was := range before.Gateways {
		is := after.Gateway(was.Name)
		if was == is {
			continue
		}
		if is == nil || is.Identity != was.Identity || !was.Guards.Within(&is.Guards) || is.Closed && !was.Closed ||
			!ir.Same(was.Listeners, is.Listeners) || !ir.Same(was.Routes, is.Routes) {
			return true
		}
	}
	return len(ir.Joined(after.JWTIssuers, before.JWTIssuers)) > len(after.JWTIssuers) ||
		len(ir.Joined(after.TrustDomains, before.TrustDomains)) > len(after.TrustDomains)
}

// closed is a service without whom it lets in by its rules.
func closed(s *ir.Service) *ir.Service {
	out := *s
	out.Guards = s.Shut()
	return &out
}

// calledOtherwise are the services that some member may call in another way than before, by name: those that a member
// calls, and that its routes lead to, which is not the same in both but for whom it lets in. Where what all members
// share is not the same, they are all.
func calledOtherwise(before, after *ir.Mesh) map[string]bool {
	out := map[string]bool{}
	if !ir.SameSettings(ir.ProxyPart, &before.Settings, &after.Settings) ||
		!ir.Same(before.Externals, after.Externals) {
		for _, s := range slices.Concat(before.Services, after.Services) {
			out[s.Name] = true
		}
		return out
	}
	reaches := func(uses []ir.Use, routes []ir.Route) {
		for _, u := range uses {
			out[u.To] = true
		}
		for i := range routes {
			for _, t := range routes[i].Targets() {
				out[t.Service] = true
			}
		}
	}
	ir.Pairs(before.Services, after.Services, func(s *ir.Service) string { return s.Name },
		func(name string, was, is *ir.Service) {
			if was == is || was != nil && is != nil && ir.Same(closed(was), closed(is)) {
				return
			}
			out[name] = true
			for _, s := range []*ir.Service{was, is} {
				if s != nil {
					reaches(s.Uses, s.Routes)
				}
			}
		})
	ir.Pairs(before.Gateways, after.Gateways, func(g *ir.Gateway) string { return g.Name },
		func(_ string, was, is *ir.Gateway) {
			if was != nil && is != nil && ir.Same(was, is) {
				return
			}
			for _, g := range []*ir.Gateway{was, is} {
				if g != nil {
					reaches(g.Uses, g.Routes)
				}
			}
		})
	return out
}
