package check

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
)

// Chain is the chain of calls by which one request can cause the most attempts at
// its end.
type Chain struct {
	// Steps begin at the caller that nobody calls, or where a circle was left.
	Steps []Step
	// Attempts at the end at worst: the product of the steps' tries.
	Attempts uint64
}

// Step is a call with its tries, the first included.
type Step struct {
	From, To string
	Tries    uint32
	Pos      source.Position // of what says how many; the zero value for the default
}

// String is the chain in words: "frontend → cart (3 tries) → stock (4 tries)".
func (c Chain) String() string {
	var b strings.Builder
	for i, s := range c.Steps {
		if i == 0 {
			b.WriteString(s.From)
		}
		fmt.Fprintf(&b, " → %s", s.To)
		if s.Tries > 1 {
			fmt.Fprintf(&b, " (%d tries)", s.Tries)
		}
	}
	return b.String()
}

// WorstChains are the worst chains to each service and external that is called, by
// its name. A circle of calls is followed once.
func WorstChains(m *ir.Mesh) map[string]Chain { return worstChains(requests(m)) }

func worstChains(requests []ir.Call) map[string]Chain {
	into := map[string][]Step{} // by callee: the most tries of each caller
	for i := range requests {
		c := &requests[i]
		for _, end := range c.Ends() {
			steps := into[end]
			step := Step{c.Caller.Name, end, c.Policy.Attempts.Value + 1, c.Policy.Attempts.Pos}
			i := slices.IndexFunc(steps, func(s Step) bool { return s.From == step.From })
			switch {
			case i < 0:
				into[end] = append(steps, step)
			case steps[i].Tries < step.Tries:
				steps[i] = step
			}
		}
	}
	w := worst{into: into, known: map[string]*Chain{}}
	out := make(map[string]Chain, len(into))
	for _, name := range slices.Sorted(maps.Keys(into)) { // where a circle is left depends on where one begins
		out[name] = *w.chainTo(name)
	}
	return out
}

type worst struct {
	into  map[string][]Step
	known map[string]*Chain // nil while it is being made: it is part of a circle
}

func (w *worst) chainTo(name string) *Chain {
	if known, ok := w.known[name]; ok {
		return known
	}
	w.known[name] = nil
	best := &Chain{Attempts: 1}
	for _, step := range w.into[name] {
		before := w.chainTo(step.From)
		if before == nil {
			continue
		}
		if n := before.Attempts * uint64(step.Tries); n > best.Attempts || best.Steps == nil {
			best = &Chain{append(slices.Clone(before.Steps), step), n}
		}
	}
	for _, step := range w.into[name] {
		if step.From == name && (step.Tries > 1 || best.Steps == nil) { // an instance of it calls another one
			best = &Chain{append(slices.Clone(best.Steps), step), best.Attempts * uint64(step.Tries)}
		}
	}
	w.known[name] = best
	return best
}

// attempts finds chains of calls by which one request can cause more attempts than
// the mesh allows. Of chains that share their beginning the shortest is told.
func attempts(m *subject) diag.List {
	if m.MaxAttempts == nil {
		return nil
	}
	var found diag.List
	limit := uint64(m.MaxAttempts.Value)
	chains := worstChains(m.requests)
	for _, name := range slices.Sorted(maps.Keys(chains)) {
		chain := chains[name]
		last := chain.Steps
		if chain.Attempts <= limit || len(last) > 1 && chain.Attempts/uint64(last[len(last)-1].Tries) > limit {
			continue
		}
		positions := []source.Position{m.MaxAttempts.Pos}
		for _, step := range chain.Steps {
			if step.Tries > 1 && !slices.Contains(positions, step.Pos) {
				positions = append(positions, step.Pos)
			}
		}
		found.Add(diag.New(diag.TooManyAttempts, "mesh.limits.attempts",
			fmt.Sprintf("one request can cause %d attempts at %s, and the mesh allows %d: %s", chain.Attempts, name,
				limit, chain), positions...).
			WithHint("retry at one place of the chain, and write retries: attempts: 0 at the others"))
	}
	return found
}

// hedges finds hedged calls without a time after which the next try is sent.
func hedges(m *subject) diag.List {
	var found diag.List
	for i := range m.requests {
		c := &m.requests[i]
		p := c.Policy
		if !p.Hedge.Value || p.Attempts.Value > 0 && p.PerTryTimeout.Value.Bounds() {
			continue
		}
		missing, example := "perTryTimeout", `perTryTimeout: "100ms"`
		if p.Attempts.Value == 0 {
			missing, example = "attempts", "attempts: 1"
		}
		found.Add(diag.New(diag.NoEffect, useOf(c),
			fmt.Sprintf("hedge cannot take effect on calls to %s: there is no %s", c.Use.To, missing), p.Hedge.Pos,
			c.Use.Pos).
			WithHint("write retries: %s", example))
	}
	return onePerCause(found)
}
