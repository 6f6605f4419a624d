package link

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
)

const defaultEgressPort = 15443

// egress links externals to the gateways that calls to them go through, once all
// calls are known.
func (l *linker) egress() {
	for _, e := range l.mesh.Externals {
		h := l.externals[e.Name]
		if !h.spec.Via.IsSet() {
			continue
		}
		here, name := h.field("via"), h.spec.Via.Value
		pos := here.pos(h.spec.Via.Pos)
		g := l.declaredGateways[name]
		switch {
		case g == nil:
			l.unknown(diag.UnknownCallee, here, "gateway", name, sortedKeys(l.declaredGateways), h.spec.Via.Pos)
			continue
		case g.Egress == nil:
			l.add(diag.NoEffect, here, fmt.Sprintf("calls cannot leave the mesh via %s, which has no egress", name),
				pos, g.Pos).
				hint("write gateways: %s: egress: {}", name)
			continue
		case !slices.ContainsFunc(g.Uses, func(u ir.Use) bool { return u.External && u.To == e.Name }):
			l.add(diag.NotUsed, here, fmt.Sprintf("calls to %s go via %s, which does not use it", e.Name, name), pos,
				g.Pos).
				hint("write uses: %q: {} in gateways.%s", e.Name, name)
			continue
		}
		e.Via = &ir.Via{
			Gateway: name, Namespace: g.Namespace, Identity: g.Identity, Host: g.Egress.Host,
			Port: g.Egress.Port,
		}
		g.Egress.Externals = append(g.Egress.Externals,
			ir.EgressExternal{Name: e.Name, Callers: l.callersOf(e.Name, g)})
	}
}

// callersOf are the members that use an external, but for one gateway.
func (l *linker) callersOf(external string, but *ir.Gateway) []ir.Peer {
	calls := func(uses []ir.Use) bool {
		return slices.ContainsFunc(uses, func(u ir.Use) bool { return u.External && u.To == external })
	}
	var out []ir.Peer
	for _, s := range l.mesh.Services {
		if calls(s.Uses) {
			out = append(out, s.Peer())
		}
	}
	for _, g := range l.mesh.Gateways {
		if g != but && calls(g.Uses) {
			out = append(out, g.Peer())
		}
	}
	slices.SortFunc(out, func(a, b ir.Peer) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	return out
}
