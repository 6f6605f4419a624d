package check

import (
	"fmt"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
)

// budgets finds limits of retries that nowhere take effect: the proxy of a caller keeps one budget for all its calls
// that arrive at a service, which is the strictest of theirs.
func budgets(m *subject) diag.List {
	strictest := map[ir.Ref]map[string]ir.RetryBudget{}
	for rest := m.requests; len(rest) > 0; { // those of one caller follow each other
		caller, n := rest[0].Caller.Ref(), 1
		for n < len(rest) && rest[n].Caller.Ref() == caller {
			n++
		}
		strictest[caller] = ir.RetryBudgets(slices.Values(rest[:n]))
		rest = rest[n:]
	}
	var found diag.List
	budgetOf(m, &found, "percent", func(t *ir.Traffic) *ir.Setting[float64] { return t.BudgetPercent },
		func(p *ir.Policy) ir.Setting[float64] { return p.BudgetPercent },
		func(c *ir.Call, end string) ir.Setting[float64] { return strictest[c.Caller.Ref()][end].Percent })
	budgetOf(m, &found, "minConcurrency", func(t *ir.Traffic) *ir.Setting[uint32] { return t.MinConcurrency },
		func(p *ir.Policy) ir.Setting[uint32] { return p.MinConcurrency },
		func(c *ir.Call, end string) ir.Setting[uint32] { return strictest[c.Caller.Ref()][end].MinConcurrency })
	return found
}

// budgetOf finds those of one field, by what is written at a place, what is in force for a call and what is the
// strictest of all that arrive where it does. One of the mesh's defaults is for services to come too.
func budgetOf[T float64 | uint32](m *subject, found *diag.List, field string, written func(*ir.Traffic) *ir.Setting[T],
	of func(*ir.Policy) ir.Setting[T], strictest func(*ir.Call, string) ir.Setting[T],
) {
	settled := map[source.Position]bool{{}: true} // takes effect somewhere, or is told
	if s := written(&m.Defaults); s != nil {
		settled[s.Pos] = true
	}
	for i := range m.requests {
		c := &m.requests[i]
		for _, end := range c.Ends() {
			if s := of(&c.Policy); s.Value <= strictest(c, end).Value {
				settled[s.Pos] = true
			}
		}
	}
	for i := range m.requests {
		c := &m.requests[i]
		s := of(&c.Policy)
		if settled[s.Pos] {
			continue
		}
		settled[s.Pos] = true
		end := c.Ends()[0]
		least := strictest(c, end)
		finding := diag.New(diag.StricterBudget, writtenIn(c, func(t *ir.Traffic) bool { return written(t) != nil }),
			fmt.Sprintf("the retry budget %s: %v cannot take effect: the proxy of %s has one for all its calls to %s, of which others have %v",
				field, s.Value, c.Caller.Name, end, least.Value), s.Pos, c.Use.Pos, least.Pos)
		if least.Pos.IsValid() {
			found.Add(finding.WithHint("remove it, or write %v at both places", s.Value))
		} else {
			found.Add(finding.WithHint("remove it, and write it for all calls: retries: budget: %s: %v in services.%s",
				field, s.Value, end))
		}
	}
}

// writtenIn is the path of what says a setting of a call's policy: its use, or the member that has the route or that is
// called.
func writtenIn(c *ir.Call, says func(*ir.Traffic) bool) string {
	if says(&c.Use.Traffic) {
		return useOf(c)
	}
	if c.Caller.Kind == ir.KindGateway && len(c.By) > 0 && says(&c.By[0].Traffic) {
		return c.Caller.Ref().Path()
	}
	return c.Use.Callee().Path()
}
