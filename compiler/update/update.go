// Package update says in which stages proxies take a change of a mesh, so that on the way no mixture of proxies, of
// which some have a stage and some have the next, refuses a request that the mesh let in before and lets in after; and
// no service lets in what its rules let in neither before nor after. Tokens are taken of the issuers of both: a
// request that only its token keeps out, of an issuer that a service does not know, may be let in on the way.
//
// What is called is made ready before anybody calls it, and is let go after: first services let in whom they will let
// in besides those whom they do, then callers go by the new routes, and at last services let in those alone whom they
// shall (add, switch, remove).
package update

import (
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
)

// Stages are the meshes to be served one after the other, each once all proxies have the one before; the last is the
// new one. It alone is enough when nobody calls what they did not call before: who takes a right back waits for
// nobody. It is all that there is for a change that no stages can carry ([Unstaged]).
func Stages(before, after *ir.Mesh) []*ir.Mesh {
	loaded := after
	before, after = ir.Alike(before, after)
	if before == nil || before.Delivery != after.Delivery || callsNothingNew(before, after) ||
		len(Unstaged(before, after)) > 0 {
		return []*ir.Mesh{loaded}
	}
	var out []*ir.Mesh
	if add := union(before, after, false); !ir.Same(add, before) && add.Valid() == nil {
		out = append(out, add)
	}
	if change := union(before, after, true); !ir.Same(change, after) && change.Valid() == nil {
		out = append(out, change)
	}
	return append(out, loaded)
}

// callsNothingNew reports whether nobody calls anything that they did not call before, or by another way.
func callsNothingNew(before, after *ir.Mesh) bool {
	for _, g := range after.Gateways {
		was := before.Gateway(g.Name)
		if was == g {
			continue
		}
		if was == nil || !containsAll(g.Uses, was.Uses) || !ir.Same(was.Routes, g.Routes) ||
			!ir.Same(was.Listeners, g.Listeners) {
			return false
		}
	}
	for _, s := range after.Services {
		was := before.Service(s.Name)
		if was == s {
			continue
		}
		if was == nil || !containsAll(s.Uses, was.Uses) ||
			!ir.Same(was.Routes, s.Routes) || !ir.Same(was.Ports, s.Ports) {
			return false
		}
	}
	return true
}

// containsAll reports whether all calls of a list are in another one.
func containsAll(uses, others []ir.Use) bool {
	return !slices.ContainsFunc(uses, func(u ir.Use) bool {
		return !slices.ContainsFunc(others, func(o ir.Use) bool {
			return o.To == u.To && o.External == u.External &&
				!slices.ContainsFunc(u.Reached(), func(port string) bool { return !slices.Contains(o.Reached(), port) })
		})
	})
}

// union is one of two meshes, the new one when callers have switched, in which all members of both are, and services
// let in what they do in either.
func union(before, after *ir.Mesh, switched bool) *ir.Mesh {
	base, other := before, after
	if switched {
		base, other = after, before
	}
	out := *base
	out.Review = ir.Review{}
	out.JWTIssuers = merged(base.JWTIssuers, other.JWTIssuers, func(i *ir.JWTIssuer) string { return i.Name })
	out.Authorizers = merged(base.Authorizers, other.Authorizers, func(a *ir.ExternalAuthorization) string {
		return a.Name
	})
	out.TrustDomains = merged(base.TrustDomains, other.TrustDomains, func(t *ir.TrustDomain) string { return t.Name })
	out.Services = merged(base.Services, other.Services, func(s *ir.Service) string { return s.Name })
	out.Gateways = merged(base.Gateways, other.Gateways, func(g *ir.Gateway) string { return g.Name })
	out.Externals = merged(base.Externals, other.Externals, func(e *ir.External) string { return e.Name })
	called := calledOtherwise(before, after)
	for i, s := range out.Services {
		was, is := before.Service(s.Name), after.Service(s.Name)
		switch {
		case was == nil || is == nil || was == is:
		case !called[s.Name] && ir.Same(closed(was), closed(is)):
			out.Services[i] = is // whoever calls it does so as before: whom it lets in waits for nobody
		default:
			out.Services[i] = wide(s, was, is)
		}
	}
	for i, s := range out.Services {
		if s != base.Service(s.Name) {
			out.Services[i] = alone(&out, s)
		}
	}
	out.Gateways = slices.DeleteFunc(out.Gateways, func(g *ir.Gateway) bool {
		return base.Gateway(g.Name) == nil && !slices.ContainsFunc(g.Listeners, listensFirst)
	})
	for i, g := range out.Gateways {
		if base.Gateway(g.Name) == nil { // its listeners are there, and nothing behind them
			copied := *g
			copied.Uses, copied.Routes, copied.Egress, copied.Guards, copied.Closed = nil, nil, nil, ir.Guards{}, false
			copied.Listeners = slices.DeleteFunc(slices.Clone(g.Listeners),
				func(l ir.Listener) bool { return !listensFirst(l) })
			out.Gateways[i] = &copied
		}
	}
	return &out
}

// listensFirst reports whether a listener can be there before what is behind it.
func listensFirst(l ir.Listener) bool { return l.To == nil && l.RedirectTo == "" }

// wide is a service with the ports and versions of both its forms, and the doors of both.
func wide(s, was, is *ir.Service) *ir.Service {
	if ir.Same(was.Guards, is.Guards) && ir.Same(was.Ports, is.Ports) && ir.Same(was.Versions, is.Versions) {
		return s
	}
	out := *s
	out.Ports, out.Versions = slices.Clone(s.Ports), slices.Clone(s.Versions)
	for _, p := range slices.Concat(was.Ports, is.Ports) {
		if !slices.ContainsFunc(out.Ports,
			func(q ir.Port) bool { return q.Name == p.Name || q.Number == p.Number || q.Target == p.Target }) {
			out.Ports = append(out.Ports, p)
		}
	}
	for _, v := range slices.Concat(was.Versions, is.Versions) {
		if out.Version(v.Name) == nil {
			out.Versions = append(out.Versions, v)
		}
	}
	slices.SortFunc(out.Ports, func(a, b ir.Port) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(out.Versions, func(a, b ir.Version) int { return strings.Compare(a.Name, b.Name) })
	out.Guards = was.Union(&is.Guards)
	out.Uses = slices.Clone(s.Uses)
	for _, u := range slices.Concat(was.Uses, is.Uses) { // whom its proxy asks about requests
		k := slices.IndexFunc(out.Uses, func(o ir.Use) bool { return o.To == u.To && o.External == u.External })
		if k < 0 {
			u.Routed, u.Ports, u.Binds = u.Reached(), nil, nil
			out.Uses = append(out.Uses, u)
			continue
		}
		own := out.Uses[k]
		own.Routed = slices.Clone(own.Routed)
		for _, port := range u.Reached() {
			if !slices.Contains(own.Reached(), port) {
				own.Routed = append(own.Routed, port)
			}
		}
		slices.Sort(own.Routed)
		out.Uses[k] = own
	}
	slices.SortFunc(out.Uses, func(a, b ir.Use) int { return strings.Compare(a.To, b.To) })
	return &out
}

// alone is a service that one of the meshes has not, without calls of what is not there as it has it.
func alone(m *ir.Mesh, s *ir.Service) *ir.Service {
	out := *s
	out.Uses = slices.DeleteFunc(slices.Clone(s.Uses), func(u ir.Use) bool {
		return slices.ContainsFunc(u.Reached(), func(port string) bool {
			if u.External {
				e := m.External(u.To)
				return e == nil || e.Port(port) == nil
			}
			callee := m.Service(u.To)
			return callee == nil || callee.Port(port) == nil
		})
	})
	for i := range s.Routes {
		for _, t := range s.Routes[i].Targets() {
			callee := m.Service(t.Service)
			if callee == nil || t.Version != "" && callee.Version(t.Version) == nil ||
				t.Port != "" && callee.Port(t.Port) == nil {
				out.Routes = nil
			}
		}
	}
	return &out
}

// merged are two lists that are sorted by name as one: what both have is that of the first.
func merged[T any](a, b []*T, name func(*T) string) (out []*T) {
	ir.Pairs(a, b, name, func(_ string, x, y *T) {
		if x == nil {
			x = y
		}
		out = append(out, x)
	})
	return out
}
