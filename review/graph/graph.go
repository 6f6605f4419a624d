// Package graph describes which members of a mesh call which others, and by which rules, and draws this as DOT,
// Mermaid or HTML.
package graph

import (
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
)

// Graph has the members and externals of a mesh, and the calls between them. Nodes are sorted by kind and name, edges
// by their ends.
type Graph struct {
	Mesh  string `json:"mesh"`
	Nodes []Node `json:"nodes"`
	Edges []Edge `json:"edges"`
}

// KindStranger is the kind of a caller that is not in the mesh, and NoCertificate the ID of all callers without a
// certificate.
const (
	KindStranger  = "stranger"
	NoCertificate = "no certificate"
)

// Node is a service, a gateway, an external or a stranger.
type Node struct {
	// ID is the kind and the name, for example "service cart"; of a stranger its SPIFFE ID, or [NoCertificate].
	ID        string `json:"id"`
	Kind      string `json:"kind"`
	Name      string `json:"name"`
	Namespace string `json:"namespace,omitempty"`
	Identity  string `json:"identity,omitempty"`
	// Open are the ports without a proxy: everyone who can reach them can use them.
	Open []string        `json:"open,omitempty"`
	Pos  source.Position `json:"source,omitzero"`
}

// Edge is a call from a caller to a callee, both named by [Node.ID].
type Edge struct {
	From string `json:"from"`
	To   string `json:"to"`
	// Routed is true if the caller uses another service, and a route of that service leads to this callee.
	Routed bool `json:"routed,omitempty"`
	// Asked is true if only the proxy of the caller calls: for rate limits, for a JWKS, or for external
	// authorization.
	Asked bool `json:"asked,omitempty"`
	// Undeclared is true for a call that the mesh does not declare, of which proxies told.
	Undeclared bool     `json:"undeclared,omitempty"`
	Ports      []string `json:"ports"`
	// UDP are ports to which datagrams go, past all proxies.
	UDP []string `json:"udp,omitempty"`
	// Rules are those rules of the callee that are about the caller; allow rules come first.
	Rules []Rule          `json:"rules,omitempty"`
	Pos   source.Position `json:"source,omitzero"`
}

// Rule is a rule of the callee that allows or denies a caller.
type Rule struct {
	Name string          `json:"name"`
	Deny bool            `json:"deny,omitempty"`
	Pos  source.Position `json:"source,omitzero"`
}

// Of returns the graph of a mesh.
func Of(m *ir.Mesh) *Graph {
	g := &Graph{Mesh: m.Name, Nodes: []Node{}, Edges: []Edge{}}
	for _, v := range m.Gateways {
		g.Nodes = append(g.Nodes, Node{
			ID: ir.GatewayRef(v.Name).String(), Kind: "gateway", Name: v.Name,
			Namespace: v.Namespace, Identity: v.Identity.String(), Pos: v.Pos,
		})
		g.calls(m, m.GatewayScope(v))
	}
	for _, v := range m.Services {
		g.Nodes = append(g.Nodes, Node{
			ID: ir.ServiceRef(v.Name).String(), Kind: "service", Name: v.Name,
			Namespace: v.Namespace, Identity: v.Identity.String(), Open: v.OpenPorts(), Pos: v.Pos,
		})
		g.calls(m, m.ServiceScope(v))
	}
	for _, v := range m.Externals {
		g.Nodes = append(g.Nodes, Node{ID: ir.ExternalRef(v.Name).String(), Kind: "external", Name: v.Name, Pos: v.Pos})
	}
	return g
}

// Tell adds calls that proxies told of and the graph does not have, with those at their ends that it does not have.
func (g *Graph) Tell(told []Edge) {
	nodes, edges := map[string]bool{}, map[[2]string]bool{}
	for i := range g.Nodes {
		nodes[g.Nodes[i].ID] = true
	}
	for i := range g.Edges {
		edges[[2]string{g.Edges[i].From, g.Edges[i].To}] = true
	}
	for _, e := range told {
		if edges[[2]string{e.From, e.To}] {
			continue
		}
		for _, id := range []string{e.From, e.To} {
			if !nodes[id] {
				nodes[id] = true
				g.Nodes = append(g.Nodes, Node{ID: id, Kind: KindStranger, Name: id})
			}
		}
		edges[[2]string{e.From, e.To}] = true
		g.Edges = append(g.Edges, e)
	}
}

// calls adds the edges of a caller.
func (g *Graph) calls(m *ir.Mesh, scope ir.Scope) {
	caller := scope.Member()
	from := caller.Ref().String()
	routed := targets(&scope)
	for i := range caller.Uses {
		u := &caller.Uses[i]
		e := Edge{From: from, To: ir.ServiceRef(u.To).String(), Ports: u.Reached(), UDP: u.UDP, Pos: u.Pos}
		if e.Ports == nil {
			e.Ports = []string{}
		}
		if len(u.Ports)+len(u.UDP) == 0 {
			e.Routed, e.Asked = routed[u.To], !routed[u.To]
		}
		if u.External {
			e.To = ir.ExternalRef(u.To).String()
			g.Edges = append(g.Edges, e)
			continue
		}
		callee := m.Service(u.To)
		for _, list := range []struct {
			deny  bool
			rules []ir.Rule
		}{{false, callee.Allow}, {true, callee.Deny}} {
			for k := range list.rules {
				r := &list.rules[k]
				if !r.Audit && r.Names(&caller.Peer) && slices.ContainsFunc(slices.Concat(e.Ports, e.UDP), r.Covers) {
					e.Rules = append(e.Rules, Rule{r.Name, list.deny, r.Pos})
				}
			}
		}
		g.Edges = append(g.Edges, e)
	}
}

// targets are the services to which routes send the member's requests, or copies of them.
func targets(s *ir.Scope) map[string]bool {
	out := map[string]bool{}
	for c := range s.Calls() {
		for _, r := range c.By {
			for _, d := range r.Targets() {
				out[d.Service] = true
			}
		}
	}
	return out
}

// Around returns the part of the graph that is at most the given number of calls away from a node, in either
// direction; nil if there is no such node. The node is named by its ID, or by its name, with its namespace or without.
func (g *Graph) Around(name string, steps int) *Graph {
	near := map[string]bool{}
	for _, n := range g.Nodes {
		if n.ID == name || n.Name == name || ir.PlainName(n.Name) == name ||
			n.Namespace != "" && ir.QualifiedName(n.Name, n.Namespace) == name {
			near[n.ID] = true
		}
	}
	if len(near) == 0 {
		return nil
	}
	for range steps {
		next := map[string]bool{}
		for _, e := range g.Edges {
			if near[e.From] || near[e.To] {
				next[e.From], next[e.To] = true, true
			}
		}
		for id := range next {
			near[id] = true
		}
	}
	out := &Graph{Mesh: g.Mesh, Nodes: []Node{}, Edges: []Edge{}}
	for _, n := range g.Nodes {
		if near[n.ID] {
			out.Nodes = append(out.Nodes, n)
		}
	}
	for _, e := range g.Edges {
		if near[e.From] && near[e.To] {
			out.Edges = append(out.Edges, e)
		}
	}
	return out
}

// label is what a node says of itself in a drawing.
func (n *Node) label() string {
	if len(n.Open) == 0 {
		return n.Name
	}
	return n.Name + " (open: " + strings.Join(n.Open, ", ") + ")"
}

// label is what an edge says of itself in a drawing.
func (e *Edge) label() string {
	ports := slices.Clone(e.Ports)
	for _, name := range e.UDP {
		ports = append(ports, name+" (udp)")
	}
	text := strings.Join(ports, ", ")
	if slices.ContainsFunc(e.Rules, func(r Rule) bool { return r.Deny }) {
		text += " (partly denied)"
	}
	return text
}
