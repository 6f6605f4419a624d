package check

import (
	"fmt"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
)

// unusedAllow finds permissions that nobody uses: a door left open.
func unusedAllow(m *subject) diag.List {
	type edge struct {
		from ir.Ref
		to   string
	}
	used := map[edge]bool{}
	for _, s := range m.Services {
		for _, u := range s.Uses {
			used[edge{ir.ServiceRef(s.Name), u.To}] = true
		}
	}
	for _, g := range m.Gateways {
		for _, u := range g.Uses {
			used[edge{ir.GatewayRef(g.Name), u.To}] = true
		}
	}
	var found diag.List
	for _, s := range m.Services {
		for i, rule := range s.Allow {
			for _, p := range rule.From {
				if p.Name == "" || used[edge{p.Ref(), s.Name}] {
					continue // others are not known by name
				}
				found.Add(diag.New(diag.UnusedAllow, fmt.Sprintf("services.%s.allow[%d]", s.Name, i),
					fmt.Sprintf("%s allows calls from the %s, which does not call it", s.Name, p.Ref()), rule.Pos).
					WithHint("remove it, or write uses: %s: {} in %s", s.Name, p.Ref().Path()))
			}
		}
	}
	return found
}
