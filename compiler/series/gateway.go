package series

import (
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
)

// gateway is what a gateway's listeners count.
func (b *builder) gateway(g *ir.Gateway) {
	for i := range g.Listeners {
		l := &g.Listeners[i]
		kind := ClientHTTP
		if l.To != nil {
			kind = ClientTCP
		}
		if l.To != nil {
			if lets, _ := g.ClientsFrom(l); len(lets) == 0 {
				continue // it is closed
			}
		}
		b.callees = map[Edge]bool{}
		switch {
		case l.To != nil:
			callee := b.scope.Upstreams[l.To.Service]
			b.going(kind, callee.QualifiedName(), port(callee.Port(l.To.Port)), l.To.Version, "", source.Position{})
		case l.RedirectTo != "":
			b.going(kind, "", "", "", Variant(l.Name, l.RedirectTo), l.Pos)
		default:
			for j := range g.Routes {
				if r := &g.Routes[j]; r.Match.At(l.Name) {
					b.gatewayRoute(l, r)
				}
			}
		}
		callees := len(b.callees)
		if b.callees = nil; kind == ClientTCP {
			callees = 0 // its only one is in each of its series
		}
		for range max(1, l.Chains()) {
			b.counts(kind, callees)
		}
		if l.To != nil {
			continue
		}
		b.going(kind, "", "", "", RefusedRoute, l.Pos)
		if g.AsksAll() && l.RedirectTo == "" {
			b.going(kind, "", "", "", UnroutedRoute, l.Pos)
		}
		if len(g.Elsewhere(l)) > 0 {
			b.going(kind, "", "", "", MisdirectedRoute, l.Pos)
		}
	}
	b.egress(g)
}

// gatewayRoute are the ways by a gateway's route, and by the service's own behind it.
func (b *builder) gatewayRoute(l *ir.Listener, r *ir.Route) {
	if r.Answers() {
		b.route(r.Name, nil, nil, l, r)
		return
	}
	callee := b.scope.Upstreams[r.To[0].Service]
	p := callee.Port(r.To[0].Port)
	if r.GoesOn() {
		for i := range callee.Routes {
			own := &callee.Routes[i]
			b.route(Variant(r.Name, own.Name), p, p, l, r, own)
		}
	}
	b.route(r.Name, p, p, l, r)
}

// egress is what a gateway counts of calls that leave the mesh by it.
func (b *builder) egress(g *ir.Gateway) {
	if g.Egress == nil {
		return
	}
	for _, leaving := range g.Egress.Externals {
		use := b.scope.Use(leaving.Name)
		if len(leaving.Callers) == 0 || use == nil {
			continue
		}
		e := b.scope.Externals[leaving.Name]
		for _, name := range use.Ports {
			p := e.Port(name)
			kind := ServerTCP
			if p.Protocol.IsHTTP() {
				kind = ServerHTTP
			}
			for _, caller := range leaving.Callers {
				b.add(Way{Edge: Edge{kind, caller.Identity.String(), e.Name, port(p)}})
			}
			if kind == ServerTCP {
				b.add(Way{Edge: Edge{kind, "", e.Name, port(p)}}) // without a handshake
			}
			b.failures += b.ServerFailures(kind, e.Name, port(p))
		}
	}
}
