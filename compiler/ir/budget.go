package ir

import "iter"

// RetryBudget bounds the retries in flight to a callee, each field with where it is written.
type RetryBudget struct {
	Percent        Setting[float64]
	MinConcurrency Setting[uint32]
}

// noBudget is more retries than a proxy can have in flight.
const noBudget = 1 << 20

// Budget bounds the retries of requests. Where nobody writes of retries, those alone are sent again that were refused
// unread: they bring nobody down, and come many at once, when an HTTP/2 server ends a connection. So none is kept back.
func (p *Policy) Budget() RetryBudget {
	out := RetryBudget{p.BudgetPercent, p.MinConcurrency}
	if !p.Retrying() && !out.Percent.Pos.IsValid() && !out.MinConcurrency.Pos.IsValid() {
		out.MinConcurrency.Value = noBudget
	}
	return out
}

// RetryBudgets are, by where the calls of one member arrive, the strictest of those in force for them: a proxy keeps
// one for each callee. Calls below HTTP have none, as nothing of them is sent again.
func RetryBudgets(calls iter.Seq[Call]) map[string]RetryBudget {
	out := map[string]RetryBudget{}
	for c := range calls {
		if !c.Port.Protocol.IsHTTP() {
			continue
		}
		of := c.Policy.Budget()
		for _, end := range c.Ends() {
			least, ok := out[end]
			if !ok || of.Percent.Value < least.Percent.Value {
				least.Percent = of.Percent
			}
			if !ok || of.MinConcurrency.Value < least.MinConcurrency.Value {
				least.MinConcurrency = of.MinConcurrency
			}
			out[end] = least
		}
	}
	return out
}
