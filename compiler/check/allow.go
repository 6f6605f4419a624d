package check

import (
	"fmt"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
)

// unusedAllow finds permissions that nobody uses: a door left open.
func unusedAllow(m *subject) diag.List {
	type edge struct {
		kind     ir.MemberKind
		from, to string
	}
	used := map[edge]bool{}
	for _, s := range m.Services {
		for _, u := range s.Uses {
			used[edge{ir.KindService, s.Name, u.To}] = true
		}
	}
	for _, g := range m.Gateways {
		for _, u := range g.Uses {
			used[edge{ir.KindGateway, g.Name, u.To}] = true
		}
	}
	var found diag.List
	for _, s := range m.Services {
		for i, rule := range s.Allow {
			for _, p := range rule.From {
				if p.Name == "" || used[edge{p.Kind, p.Name, s.Name}] {
					continue // others are not known by name
				}
				found.Add(diag.New(diag.UnusedAllow, fmt.Sprintf("services.%s.allow[%d]", s.Name, i),
					fmt.Sprintf("%s lets the %s %s in, which does not call it", s.Name, p.Kind, p.Name), rule.Pos).
					WithHint("take it out, or write uses: %s: {} in %ss.%s", s.Name, p.Kind, p.Name))
			}
		}
	}
	return found
}
