package series

import (
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
)

// inbound is what the service's proxy counts of calls to it.
func (b *builder) inbound(s *ir.Service) {
	for i := range s.Ports {
		p := &s.Ports[i]
		edge := Edge{ServerTCP, "", s.QualifiedName(), port(p)}
		callers := b.callers(s, p)
		listeners := 1
		b.failures += Handshakes + 1 // refused before a rule is asked
		if !p.Open && len(s.ProbesOf(s.InstancePort(p))) > 0 {
			b.failures++
		}
		switch {
		case p.Open:
			b.add(Way{Edge: edge})
		case p.Protocol.IsHTTP():
			if s.Plaintext && len(s.ProbesOf(s.InstancePort(p))) == 0 {
				listeners++
			}
			edge.Kind = ServerHTTP
			b.rules(s, p, edge, callers)
		default:
			members := slices.ContainsFunc(ir.PeersOn(s.Allow, p), func(p ir.Peer) bool {
				return p.Kind != ir.KindPlaintext
			})
			listeners = 0
			for _, chain := range []bool{members, s.TakesPlaintext(p)} {
				if chain {
					listeners++
				}
			}
			if listeners == 0 {
				continue
			}
			b.add(Way{Edge: edge}) // without a handshake
			for _, caller := range callers.all(ir.PeersOn(s.Allow, p)) {
				if edge.Caller = caller; caller != "" {
					b.add(Way{Edge: edge})
				}
			}
		}
		b.failures += listeners * b.ServerFailures(edge.Kind, edge.Callee, edge.Port)
	}
}

// rules are the ways of requests that rules let in on a port.
func (b *builder) rules(s *ir.Service, p *ir.Port, edge Edge, callers *callers) {
	let := func(rule string, from []ir.Peer) {
		for _, caller := range callers.all(from) {
			edge.Caller = caller
			b.add(Way{Edge: edge, Rule: rule})
		}
	}
	some := false
	for _, r := range ir.RulesOn(s.Allow, p, false) {
		some = true
		let(r.Label, r.From)
	}
	if h := s.Health; some && h.Probes(p) && h.Kind != ir.HealthTCP {
		let(ir.HealthRule, ir.PeersOn(s.Allow, p))
	}
}

// callers are those of a port, by the labels of metrics.
type callers struct {
	*builder
	// foreign are the patterns that stand for callers of other trust domains.
	foreign []string
}

func (b *builder) callers(s *ir.Service, p *ir.Port) *callers {
	return &callers{b, b.scope.Settings.ForeignPatterns(ir.PeersOn(s.Allow, p))}
}

// all are the labels of those callers, each once.
func (c *callers) all(from []ir.Peer) []string {
	var out []string
	for _, p := range from {
		out = append(out, c.identities(&p)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (c *callers) identities(p *ir.Peer) []string {
	own := func(prefix string) []string {
		c.wildcards = true
		return c.below(prefix)
	}
	switch p.Kind {
	case ir.KindPlaintext:
		return []string{""}
	case ir.KindAnyone:
		return own(c.scope.Settings.Domain())
	case ir.KindIdentity, ir.KindNamespace:
		for _, pattern := range c.foreign {
			if strings.HasPrefix(p.Pattern, strings.TrimSuffix(pattern, "*")) {
				return []string{pattern}
			}
		}
		if prefix, all := strings.CutSuffix(p.Pattern, "*"); all {
			return own(prefix)
		}
		return []string{p.Pattern}
	}
	return []string{p.Identity.String()}
}
