package check

import (
	"fmt"
	"math"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
)

// tries finds retries that cannot happen, as the time is over before.
func tries(m *subject) diag.List {
	var found diag.List
	for i := range m.requests {
		c := &m.requests[i]
		p := c.Policy
		perTry, timeout := p.PerTryTimeout.Value, p.Timeout.Value
		if p.Attempts.Value == 0 || !perTry.Bounds() || !timeout.Bounds() {
			continue
		}
		total := perTry * ir.Duration(p.Attempts.Value+1)
		if total <= timeout {
			continue
		}
		where := "calls to " + c.Use.To
		if n := len(c.By); n > 0 {
			where = fmt.Sprintf("route %q of %s", c.By[n-1].Name, c.Use.To)
		}
		finding := diag.New(diag.TriesDoNotFit, useOf(c),
			fmt.Sprintf("%s: %d tries of %s take %s, and the timeout is %s", where, p.Attempts.Value+1, perTry, total,
				timeout),
			p.PerTryTimeout.Pos, p.Timeout.Pos, p.Attempts.Pos, c.Use.Pos)
		caller := c.Caller.Ref().Path()
		if most := (timeout / ir.Duration(p.Attempts.Value+1)).Truncate(); most > 0 {
			found.Add(finding.WithHint(
				"write uses: %q: retries: perTryTimeout: %q or less in %s, or uses: %[1]q: timeout: %[4]q or more in %[3]s", c.Use.To, most.String(), caller, total.String()))
		} else {
			found.Add(finding.WithHint("write uses: %q: timeout: %q or more in %s, or fewer attempts", c.Use.To,
				total.String(), caller))
		}
	}
	return onePerCause(found)
}

// onePerCause keeps one finding of those that the same settings cause for many
// callers and routes: the first.
func onePerCause(found diag.List) diag.List {
	var kept diag.List
	seen := map[string]bool{}
	for _, d := range found {
		key := ""
		for _, p := range d.Positions[:max(0, len(d.Positions)-1)] {
			key += p.String() + " "
		}
		if !seen[key] {
			seen[key] = true
			kept.Add(d)
		}
	}
	return kept
}

// longerThanCaller finds calls that outlive every request that can cause them:
// work for an answer that nobody waits for.
func longerThanCaller(m *subject) diag.List {
	longest := map[string]ir.Setting[ir.Duration]{} // by callee: how long callers wait at most
	for i := range m.requests {
		c := &m.requests[i]
		for _, end := range c.Ends() {
			if t := c.Policy.Timeout; !t.Value.Bounds() {
				longest[end] = ir.Setting[ir.Duration]{Value: math.MaxInt64}
			} else if t.Value > longest[end].Value {
				longest[end] = t
			}
		}
	}
	var found diag.List
	for i := range m.requests {
		c := &m.requests[i]
		name, t := c.Caller.Name, waits(&c.Policy)
		bound, called := longest[name]
		if c.Caller.Kind != ir.KindService || !called || t.Value <= bound.Value {
			continue
		}
		found.Add(diag.New(diag.LongerThanCaller, useOf(c),
			fmt.Sprintf("%s waits up to %s for %s, and those who call %s wait at most %s", name, t.Value, c.Use.To,
				name, bound.Value),
			c.Use.Pos, t.Pos, bound.Pos).
			WithHint("write %s or less in services.%s", boundText(c, bound.Value), name))
	}
	return onePerUse(found)
}

// waits is how long is waited for an answer: to its end, or where that has no limit to its beginning. It is 0 where
// that has none either: then somebody wrote that any time will do.
func waits(p *ir.Policy) ir.Setting[ir.Duration] {
	switch perTry := p.PerTryTimeout; {
	case p.Timeout.Value.Bounds():
		return p.Timeout
	case perTry.Value.Bounds():
		perTry.Value *= ir.Duration(p.Attempts.Value + 1)
		return perTry
	default:
		return ir.Setting[ir.Duration]{}
	}
}

// boundText is what a caller writes for a call that has to end in that time: its tries have to fit in there too.
func boundText(c *ir.Call, bound ir.Duration) string {
	timeout := fmt.Sprintf("timeout: %q", bound)
	tries := ir.Duration(c.Policy.Attempts.Value + 1)
	if perTry := c.Policy.PerTryTimeout; tries > 1 && perTry.Pos.IsValid() && perTry.Value*tries > bound {
		if most := (bound / tries).Truncate(); most > 0 {
			return fmt.Sprintf("uses: %q: {%s, retries: perTryTimeout: %q}", c.Use.To, timeout, most)
		}
		return fmt.Sprintf("uses: %q: {%s, retries: attempts: 0}", c.Use.To, timeout)
	}
	return fmt.Sprintf("uses: %q: %s", c.Use.To, timeout)
}

// onePerUse keeps the first finding for each path.
func onePerUse(found diag.List) diag.List {
	var kept diag.List
	seen := map[string]bool{}
	for _, d := range found {
		if !seen[d.Path] {
			seen[d.Path] = true
			kept.Add(d)
		}
	}
	return kept
}

// useOf is the path of a call's use in the spec.
func useOf(c *ir.Call) string {
	return c.Caller.Ref().Path() + ".uses." + c.Use.To
}
