package verify

import (
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/compiler/try"
)

// Coverage is how much of a mesh its tests reach.
type Coverage struct {
	// Routes and Rules are those of the mesh, or of the part's members, of which some are reached.
	Routes        int `json:"routes"`
	RoutesReached int `json:"routesReached"`
	Rules         int `json:"rules"`
	RulesReached  int `json:"rulesReached"`
	// Missed are those that no test reaches, in the order of the mesh.
	Missed []Missed `json:"missed,omitempty"`
}

// Missed is a route or a rule that no test reaches.
type Missed struct {
	Kind string          `json:"kind"` // "route", "allow" or "deny"
	Of   string          `json:"of"`
	Name string          `json:"name"`
	Pos  source.Position `json:"source,omitzero"`
}

// reached are the routes by which requests went, and the rules that let them in or denied them.
type reached struct {
	routes map[*ir.Route]bool
	rules  map[*ir.Rule]bool
}

func newReached() *reached {
	return &reached{map[*ir.Route]bool{}, map[*ir.Rule]bool{}}
}

func (r *reached) add(t *try.Trial) {
	for _, route := range t.Routes {
		r.routes[route] = true
	}
	for _, rule := range t.Rules {
		r.rules[rule] = true
	}
}

func (r *reached) coverage(m *ir.Mesh, part *source.Part) (c Coverage) {
	routes := func(of string, list []ir.Route) {
		for i := range list {
			c.Routes++
			if r.routes[&list[i]] {
				c.RoutesReached++
			} else {
				c.Missed = append(c.Missed, Missed{"route", of, list[i].Name, list[i].Pos})
			}
		}
	}
	rules := func(kind, of string, list []ir.Rule) {
		for i := range list {
			if list[i].Audit {
				continue // it decides nothing
			}
			c.Rules++
			if r.rules[&list[i]] {
				c.RulesReached++
			} else {
				c.Missed = append(c.Missed, Missed{kind, of, list[i].Name, list[i].Pos})
			}
		}
	}
	for _, g := range m.Gateways {
		if !part.Has(g.Pos) {
			continue
		}
		routes(ir.GatewayRef(g.Name).String(), g.Routes)
		rules("allow", ir.GatewayRef(g.Name).String(), g.Allow)
		rules("deny", ir.GatewayRef(g.Name).String(), g.Deny)
	}
	for _, s := range m.Services {
		if !part.Has(s.Pos) {
			continue
		}
		routes(ir.ServiceRef(s.Name).String(), s.Routes)
		rules("allow", ir.ServiceRef(s.Name).String(), s.Allow)
		rules("deny", ir.ServiceRef(s.Name).String(), s.Deny)
	}
	return c
}
