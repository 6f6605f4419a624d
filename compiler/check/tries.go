package check

import (
	"fmt"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
)

// call is one way for a member's requests to a callee: through one of its
// routes, or through none.
type call struct {
	caller string // path of the caller
	use    *ir.Use
	route  *ir.Route // nil for requests that no route takes
	policy ir.Policy
}

// calls are all calls of the mesh, with what is in force for each.
func calls(m *ir.Mesh, yield func(call)) {
	each := func(caller string, uses []ir.Use, own []ir.Route) {
		for i := range uses {
			use := &uses[i]
			if !requests(m, use) {
				continue
			}
			if use.External {
				yield(call{caller, use, nil, ir.Nearest(use.Traffic, m.External(use.To).Traffic, m.Defaults)})
				continue
			}
			s := m.Service(use.To)
			for j := range own {
				if !slices.ContainsFunc(own[j].To, func(d ir.Destination) bool { return d.Service == use.To }) {
					continue
				}
				yield(call{caller, use, &own[j], ir.Nearest(use.Traffic, own[j].Traffic, s.Traffic, m.Defaults)})
				if !own[j].GoesOn() {
					continue
				}
				for k := range s.Routes { // the request goes on through the service's own
					yield(call{caller, use, &s.Routes[k], ir.Nearest(use.Traffic, own[j].Traffic, s.Routes[k].Traffic, s.Traffic, m.Defaults)})
				}
			}
			if own != nil {
				continue // a gateway's own routes decide
			}
			for j := range s.Routes {
				yield(call{caller, use, &s.Routes[j], ir.Nearest(use.Traffic, s.Routes[j].Traffic, s.Traffic, m.Defaults)})
			}
			yield(call{caller, use, nil, ir.Nearest(use.Traffic, s.Traffic, m.Defaults)})
		}
	}
	for _, s := range m.Services {
		each("services."+s.Name, s.Uses, nil)
	}
	for _, g := range m.Gateways {
		each("gateways."+g.Name, g.Uses, g.Routes)
	}
}

// requests reports whether the member itself sends requests by that use: no timeout bounds a connection, and what only
// its proxy asks, for keys of tokens or for leave, has a time of its own, and no request waits for it as for a call.
func requests(m *ir.Mesh, use *ir.Use) bool {
	port := func(name string) *ir.Port { return m.Service(use.To).Port(name) }
	if use.External {
		port = func(name string) *ir.Port { return m.External(use.To).Port(name) }
	}
	return slices.ContainsFunc(use.Ports, func(name string) bool { return port(name).Protocol.IsHTTP() })
}

// tries finds retries that cannot happen, as the time is over before.
func tries(m *ir.Mesh) diag.List {
	var found diag.List
	calls(m, func(c call) {
		p := c.policy
		perTry, timeout := p.PerTryTimeout.Value, p.Timeout.Value
		if p.Attempts.Value == 0 || perTry == 0 {
			return
		}
		total := perTry * ir.Duration(p.Attempts.Value+1)
		if total <= timeout {
			return
		}
		where := "calls to " + c.use.To
		if c.route != nil {
			where = fmt.Sprintf("route %q of %s", c.route.Name, c.use.To)
		}
		finding := diag.New(diag.TriesDoNotFit, c.caller+".uses."+c.use.To,
			fmt.Sprintf("%s: %d tries of %s take %s, and the timeout is %s", where, p.Attempts.Value+1, perTry, total, timeout),
			p.PerTryTimeout.Pos, p.Timeout.Pos, p.Attempts.Pos, c.use.Pos)
		if most := (timeout / ir.Duration(p.Attempts.Value+1)).Truncate(); most > 0 {
			found.Add(finding.WithHint("a perTryTimeout of at most %s fits, or a timeout of at least %s", most, total))
		} else {
			found.Add(finding.WithHint("a timeout of at least %s fits, or fewer attempts", total))
		}
	})
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
func longerThanCaller(m *ir.Mesh) diag.List {
	longest := map[string]ir.Setting[ir.Duration]{} // by callee: how long callers wait at most
	calls(m, func(c call) {
		if t := c.policy.Timeout; t.Value > longest[c.use.To].Value {
			longest[c.use.To] = t
		}
	})
	var found diag.List
	calls(m, func(c call) {
		name, isService := cutService(c.caller)
		bound, called := longest[name]
		t := c.policy.Timeout
		if !isService || !called || t.Value <= bound.Value {
			return
		}
		found.Add(diag.New(diag.LongerThanCaller, c.caller+".uses."+c.use.To,
			fmt.Sprintf("%s waits up to %s for %s, and those who call %s wait at most %s", name, t.Value, c.use.To, name, bound.Value),
			c.use.Pos, t.Pos, bound.Pos).
			WithHint("write %s or less in services.%s", within(c, bound.Value), name))
	})
	return onePerUse(found)
}

// within is what a caller writes for a call that has to end in that time: its tries have to fit in there too.
func within(c call, bound ir.Duration) string {
	timeout := fmt.Sprintf("timeout: %q", bound)
	tries := ir.Duration(c.policy.Attempts.Value + 1)
	if perTry := c.policy.PerTryTimeout.Value; tries > 1 && perTry*tries > bound {
		if most := (bound / tries).Truncate(); most > 0 {
			return fmt.Sprintf("uses: %q: {%s, retries: perTryTimeout: %q}", c.use.To, timeout, most)
		}
		return fmt.Sprintf("uses: %q: {%s, retries: attempts: 0}", c.use.To, timeout)
	}
	return fmt.Sprintf("uses: %q: %s", c.use.To, timeout)
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

func cutService(path string) (string, bool) {
	const prefix = "services."
	if len(path) > len(prefix) && path[:len(prefix)] == prefix {
		return path[len(prefix):], true
	}
	return "", false
}
