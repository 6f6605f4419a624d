package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
)

// sharedAccounts finds rules, and bounds of each caller, that name a service and are about another one too, because
// both have one service account, and so one identity. A rule that lets in requests that the other one sends, and that
// no rule names, is an error; all others are warnings.
func sharedAccounts(m *subject) diag.List {
	sharing := map[ir.Ref][]ir.Peer{}
	for _, s := range m.Services {
		if !s.Shared {
			continue
		}
		p := s.Peer()
		others := slices.DeleteFunc(m.Sharing(&p), func(o ir.Peer) bool { return o.Kind != ir.KindService })
		if len(others) > 0 {
			sharing[p.Ref()] = others
		}
	}
	if len(sharing) == 0 {
		return nil
	}
	d := doors{m, sharing, map[call]bool{}}
	for c := range m.Calls() {
		for i := range c.To {
			callee := m.Service(c.To[i].Service)
			if callee == nil {
				continue
			}
			port := c.To[i].Port
			if port == "" {
				port = c.Port.Name
			}
			d.calls[call{c.Caller.Ref(), callee.Name, port}] = true
		}
	}
	var found diag.List
	for _, s := range m.Services {
		for i := range s.Allow {
			found.Add(d.allow(s, i)...)
		}
		for i := range s.Deny {
			found.Add(d.deny(s, i)...)
		}
		found.Add(d.bound(s)...)
	}
	return found
}

// doors are the calls of a mesh in which services share accounts.
type doors struct {
	*subject
	sharing map[ir.Ref][]ir.Peer
	calls   map[call]bool
}

// call is one of a caller to a port of a service.
type call struct {
	from     ir.Ref
	to, port string
}

// others are those whom a rule is about without naming them, each with the one that it names.
func (d *doors) others(r *ir.Rule) (others, named []ir.Peer) {
	if r.Audit {
		return nil, nil
	}
	for _, p := range r.From {
		for _, other := range d.sharing[p.Ref()] {
			if !r.Says(&other) && !slices.ContainsFunc(others, func(o ir.Peer) bool { return o.Ref() == other.Ref() }) {
				others, named = append(others, other), append(named, p)
			}
		}
	}
	return others, named
}

// nameBoth and ownAccount are the ways out.
func nameBoth(named, other *ir.Peer) string {
	return fmt.Sprintf("name both, services: [%q, %q], or %s", named.Name, other.Name, ownAccount(other))
}

func ownAccount(p *ir.Peer) string {
	return fmt.Sprintf("give the %s an account of its own: account: %q", p.Ref(), p.PlainName())
}

// allow finds whom a rule lets in besides those that it names.
func (d *doors) allow(s *ir.Service, at int) (found diag.List) {
	r := &s.Allow[at]
	others, named := d.others(r)
	for i := range others {
		var open, called []string
		for k := range s.Ports {
			p := &s.Ports[k]
			if p.Open || !r.Holds(p) || slices.ContainsFunc(s.Allow, func(o ir.Rule) bool {
				return !o.Audit && o.Until.IsZero() && o.Total() && o.Covers(p.Name) && o.Says(&others[i])
			}) {
				continue
			}
			if open = append(open, p.Name); d.calls[call{others[i].Ref(), s.Name, p.Name}] {
				called = append(called, p.Name)
			}
		}
		code, does, hint := diag.SharedAccount, "does not call it", ownAccount(&others[i])
		switch {
		case len(open) == 0:
			continue
		case len(called) > 0:
			code, does = diag.LetsInAnother, "calls "+strings.Join(called, " and ")
			hint = nameBoth(&named[i], &others[i])
		}
		found.Add(diag.New(code, fmt.Sprintf("services.%s.allow[%d]", s.Name, at),
			fmt.Sprintf("the rule names the %s and lets in the %s too, which has the same service account and %s",
				named[i].Ref(), others[i].Ref(), does), r.Pos, d.Service(others[i].Name).Pos).
			WithHint("%s", hint))
	}
	return found
}

// deny finds whom a rule refuses besides those that it names.
func (d *doors) deny(s *ir.Service, at int) (found diag.List) {
	r := &s.Deny[at]
	others, named := d.others(r)
	for i := range others {
		if !slices.ContainsFunc(s.Ports, func(p ir.Port) bool {
			return r.Holds(&p) && d.calls[call{others[i].Ref(), s.Name, p.Name}]
		}) {
			continue
		}
		found.Add(diag.New(diag.SharedAccount, fmt.Sprintf("services.%s.deny[%d]", s.Name, at),
			fmt.Sprintf("the rule names the %s and refuses requests of the %s too, which has the same service account",
				named[i].Ref(), others[i].Ref()), r.Pos, d.Service(others[i].Name).Pos).
			WithHint("%s", nameBoth(&named[i], &others[i])))
	}
	return found
}

// bound finds callers who share a bound that is written for each caller.
func (d *doors) bound(s *ir.Service) (found diag.List) {
	if s.RateLimit == nil || !s.RateLimit.PerCaller {
		return nil
	}
	known := map[string]ir.Peer{}
	for i := range s.Allow {
		for _, p := range s.Allow[i].From {
			if p.Kind != ir.KindService || s.Allow[i].Audit {
				continue
			}
			id := p.Identity.String()
			if other, shared := known[id]; shared && other.Ref() != p.Ref() {
				found.Add(diag.New(diag.SharedAccount, fmt.Sprintf("services.%s.rateLimit", s.Name),
					fmt.Sprintf("the %s and the %s have the same service account, and so one bound together",
						other.Ref(), p.Ref()), s.RateLimit.Pos, d.Service(p.Name).Pos).
					WithHint("%s", ownAccount(&p)))
				return found
			}
			known[id] = p
		}
	}
	return found
}
