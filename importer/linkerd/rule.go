package linkerd

import (
	"maps"
	"slices"
	"strconv"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
	"github.com/meshc/meshc/importer/gatewayapi"
)

// grants are the rules of a service, each with its ports.
type grants struct {
	order []string
	rules map[string]*spec.Rule
	ports map[string][]string
}

// add lets callers in to a port, with the requests of a match; nil for all.
func (g *grants) add(port string, c callers, match *spec.Match) {
	for _, rule := range c.rules() {
		if match != nil {
			restrict(rule, match)
		}
		k := key(c, match, rule.From.Plaintext.Value)
		if g.rules[k] == nil {
			g.rules[k] = rule
			g.order = append(g.order, k)
		}
		if !slices.Contains(g.ports[k], port) {
			g.ports[k] = append(g.ports[k], port)
		}
	}
}

// rules writes who may call the services: by the policies of Servers, and of ports without one by the default policy.
func (m *reader) rules(servers []*server) {
	m.authorizations(servers)
	for _, s := range m.Sorted() {
		if len(s.Spec.Ports) == 0 {
			continue
		}
		name := m.policyFor(s)
		standard, known := m.byPolicy(name)
		if !known {
			m.NotCarried(s.Object, "there is no default-inbound-policy "+strconv.Quote(name)+", so nobody is let in for it")
		}
		if name == audit {
			m.Note(s.Object, "its default-inbound-policy, audit, logs whom it lets in: everyone is let in")
		}
		g := &grants{rules: map[string]*spec.Rule{}, ports: map[string][]string{}}
		for _, port := range slices.Sorted(maps.Keys(s.Spec.Ports)) {
			if served := m.served[ofService{s, port}]; served != nil {
				m.letIn(g, served, port, s.Spec.Ports[port])
				continue
			}
			for _, c := range standard {
				g.add(port, c, nil)
			}
		}
		for _, k := range g.order {
			rule := g.rules[k]
			if len(g.ports[k]) < len(s.Spec.Ports) {
				rule.Ports = spec.WrittenAll(g.ports[k]...)
			}
			s.Spec.Allow = append(s.Spec.Allow, rule)
			if rule.From.Plaintext.Value {
				s.Permissive("Linkerd lets in callers without an identity here")
			}
		}
		m.AddProbes(s, ownPorts(s))
	}
}

// letIn adds whom a Server lets in to a port.
func (m *reader) letIn(g *grants, s *server, port string, p *spec.Port) {
	all := slices.Clone(s.callers)
	if s.AccessPolicy != "" {
		more, known := m.byPolicy(s.AccessPolicy)
		if !known {
			m.NotCarried(s.object, "there is no such policy, so nobody is let in for it", "spec", "accessPolicy")
		}
		all = append(all, more...)
	}
	if len(s.routes) == 0 {
		for _, c := range all {
			g.add(port, c, nil)
		}
		return
	}
	if !slices.Contains([]string{"http", "http2", "grpc"}, p.Protocol.Value) {
		m.NotCarried(s.object, "it has routes of requests, and its port speaks "+p.Protocol.Value+", so nobody is let in",
			"spec", "proxyProtocol")
		return
	}
	for _, r := range s.routes {
		for _, match := range r.matches {
			for _, c := range append(slices.Clone(all), r.callers...) {
				if over := s.narrower(r, match, c); over != nil {
					m.NotCarried(r.object, "rules add up, and "+over.String()+" takes some of its requests and lets in others: "+
						"nobody is let in for these", "spec", "rules")
					continue
				}
				g.add(port, c, match.Match)
			}
		}
	}
}

// narrower is another route of a Server that takes some of the requests of a match before it, and does not let in the
// callers; nil for none.
func (s *server) narrower(of *policyRoute, match gatewayapi.Ranked, c callers) *importer.Object {
	for _, r := range s.routes {
		if r == of || slices.ContainsFunc(append(slices.Clone(s.callers), r.callers...), func(o callers) bool {
			return o.include(c)
		}) {
			continue
		}
		for _, other := range r.matches {
			if other.Compare(match) >= 0 && overlaps(other.Match, match.Match) {
				return r.object
			}
		}
	}
	return nil
}

// ownPorts are the ports of a service, by the numbers on which its application listens.
func ownPorts(s *importer.Service) map[int]importer.OwnPort {
	out := map[int]importer.OwnPort{}
	for name, p := range s.Spec.Ports {
		kind := importer.Strict
		if p.Protocol.Value == "http" {
			kind = importer.StrictHTTP
		}
		for _, r := range s.Spec.Allow {
			here := r.Ports == nil || slices.Contains(r.Ports, spec.Written(name))
			switch whole := r.Methods == nil && r.Paths == nil && r.Headers == nil && r.GRPC == nil; {
			case !here || !whole || !r.From.Plaintext.Value || kind == importer.Ruled:
			case r.From.IPRanges == nil:
				kind = importer.Ruled
			default:
				kind = importer.Bounded
			}
		}
		out[p.Target.Or(p.Port.Value)] = kind
	}
	return out
}
