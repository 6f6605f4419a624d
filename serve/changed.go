package serve

import (
	"maps"
	"slices"

	"github.com/meshc/meshc/compiler/ir"
)

// changed are the parts of a mesh in which it differs from the one before. They are found by comparing pointers: what
// is another value counts as changed, whatever it says.
type changed struct {
	before, after *ir.Mesh
	all           bool // what every member depends on
	// services and externals are those that have changed, by the names in after.
	services, externals map[string]bool
	// known has the answers of [changed.concerns], by the member.
	known map[any]bool
}

// changes returns what has changed from one mesh, which may be nil, to the next.
func changes(before, after *ir.Mesh) *changed {
	c := &changed{
		before: before, after: after, services: map[string]bool{}, externals: map[string]bool{}, known: map[any]bool{},
	}
	// What a service reads of gateways is not among its uses.
	if before == nil || !ir.Same(&before.Settings, &after.Settings) ||
		!slices.Equal(before.Gateways, after.Gateways) {
		c.all = true
		return c
	}
	ir.Pairs(before.Services, after.Services, func(s *ir.Service) string { return s.Name },
		func(name string, was, is *ir.Service) { c.services[name] = was != is })
	ir.Pairs(before.Externals, after.Externals, func(e *ir.External) string { return e.Name },
		func(name string, was, is *ir.External) { c.externals[name] = was != is })
	unchanged := func(_ string, is bool) bool { return !is }
	maps.DeleteFunc(c.services, unchanged)
	maps.DeleteFunc(c.externals, unchanged)
	return c
}

// concerns reports whether the configuration or the endpoints of a node may differ from those that it had before the
// change. A node depends on its own member and on those that the member uses.
func (c *changed) concerns(n *node) bool {
	if c.all {
		return true
	}
	if n.memberKind == ir.KindGateway {
		g := c.after.GatewayOf(n.member, n.identity)
		return g == nil || g != c.before.GatewayOf(n.member, n.identity) || c.uses(g, g.Uses)
	}
	s := c.after.ServiceOf(n.member, n.identity)
	return s == nil || s != c.before.ServiceOf(n.member, n.identity) || c.uses(s, s.Uses)
}

// uses reports whether a member uses what has changed.
func (c *changed) uses(member any, uses []ir.Use) bool {
	is, known := c.known[member]
	if !known {
		is = slices.ContainsFunc(uses, func(u ir.Use) bool {
			if u.External {
				e := c.after.External(u.To)
				return e == nil || c.externals[e.Name]
			}
			s := c.after.Service(u.To)
			return s == nil || c.services[s.Name]
		})
		c.known[member] = is
	}
	return is
}
