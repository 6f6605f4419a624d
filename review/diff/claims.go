package diff

import (
	"slices"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
)

// claims tells of headers that applications take for the word of the mesh (claims of tokens, what an authorization
// service says) and that a proxy of both meshes takes out of requests in one of them alone: in the other one anybody
// can write there what they like.
func (d *differ) claims() {
	ir.Pairs(d.old.Gateways, d.new.Gateways, func(g *ir.Gateway) string { return g.Name },
		func(name string, a, b *ir.Gateway) {
			if a != nil && b != nil {
				d.takenOut([]Subject{outside}, gateway(name), d.old.ForeignHeaders(a.Authorizer),
					d.new.ForeignHeaders(b.Authorizer), a.Pos, b.Pos)
			}
		})
	ir.Pairs(d.old.Services, d.new.Services, func(s *ir.Service) string { return s.Name },
		func(name string, a, b *ir.Service) {
			if a == nil || b == nil {
				return
			}
			for i := range b.Ports {
				port := &b.Ports[i]
				if was := a.Port(port.Name); was != nil {
					d.takenOut(nil, service(name), d.old.ForwardedHeaders(a, was),
						d.new.ForwardedHeaders(b, port), a.Pos, b.Pos)
				}
			}
			if b.Plaintext || len(b.Probes) > 0 {
				d.takenOut([]Subject{outside}, service(name), d.old.ForeignHeaders(a.Authorizer),
					d.new.ForeignHeaders(b.Authorizer), a.Pos, b.Pos)
			}
		})
}

// takenOut compares the headers that a proxy takes out of requests from somebody; nil for any caller.
func (d *differ) takenOut(who []Subject, to Subject, was, is []string, wasBy, isBy source.Position) {
	for _, header := range was {
		if !slices.Contains(is, header) {
			d.tell(&Effect{
				Kind: NewlyAllowed, From: who, To: to, What: "header " + header,
				Was: "is taken out of requests", Is: "arrives as the sender wrote it", WasBy: wasBy, IsBy: isBy,
			})
		}
	}
	for _, header := range is {
		if !slices.Contains(was, header) {
			d.tell(&Effect{
				Kind: Handled, From: who, To: to, What: "header " + header,
				Was: "arrives as the sender wrote it", Is: "is taken out of requests", WasBy: wasBy, IsBy: isBy,
			})
		}
	}
}
