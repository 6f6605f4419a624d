package diff

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

// direct compares whom services let in, whatever way they come: members by their identities, past proxies of their own, those
// whose identities rules name, a stranger, and somebody without an identity. What those see who come on a way of the mesh is not told
// again.
func (d *differ) direct() {
	told := slices.Clone(d.Effects)
	from := len(d.Effects)
	d.what = Directly
	pairs(d.old.Services, d.new.Services, func(s *ir.Service) string { return s.Name }, func(name string, a, b *ir.Service) {
		if !d.changed["service "+name] && d.old.TrustDomain == d.new.TrustDomain {
			return
		}
		numbers := map[uint16]bool{}
		for _, s := range []*ir.Service{a, b} {
			for i := 0; s != nil && i < len(s.Ports); i++ {
				numbers[s.Ports[i].Number] = true
			}
		}
		callers := d.callers(a, b)
		for number := range numbers {
			for _, key := range slices.Sorted(maps.Keys(callers)) {
				c := callers[key]
				s := &space{base: try.Request{From: c.sender, Method: "GET", Scheme: "http", Host: name, Port: number, Path: "/"}}
				d.about(s, func(m *about) { m.rules(m.mesh.Service(name), nil) })
				d.compare(s, c.names, "service "+name)
			}
		}
	})
	d.Effects = d.untold(told, from)
}

// untold drops senders, of the effects from an index on, whose requests on a way of the mesh show the same.
func (d *differ) untold(told []*Effect, from int) []*Effect {
	kept := d.Effects[:from:from]
	for _, e := range d.Effects[from:] {
		if e.Kind != NewlyAllowed && e.Kind != NewlyDenied {
			continue // what a caller without a way of its own is answered is of no interest
		}
		e.From = slices.DeleteFunc(e.From, func(who string) bool {
			return slices.ContainsFunc(told, func(t *Effect) bool { return t.Kind == e.Kind && t.touches[e.To] && slices.Contains(t.From, who) })
		})
		if len(e.From) > 0 {
			kept = append(kept, e)
		}
	}
	return kept
}

// caller are those whom the rules of a service do not tell apart.
type caller struct {
	sender try.Sender
	names  []string
}

// callers are all who may come to a service in either mesh, by how its rules see them.
func (d *differ) callers(a, b *ir.Service) map[string]*caller {
	out := map[string]*caller{}
	add := func(sender try.Sender, name string, is func(*ir.Peer) bool) {
		key := string(sender.Kind)
		for _, s := range []*ir.Service{a, b} {
			for _, rules := range rulesOf(s) {
				for i := range rules {
					key += strconv.Itoa(boolean(slices.ContainsFunc(rules[i].From, func(p ir.Peer) bool { return is(&p) })))
				}
			}
		}
		if out[key] == nil {
			out[key] = &caller{sender: sender}
		}
		out[key].names = append(out[key].names, name)
	}
	known := map[string]bool{}
	for _, m := range []*ir.Mesh{d.old, d.new} {
		for _, scope := range m.Scopes() {
			member := scope.Member()
			id := member.Identity.String()
			if known[id] {
				continue
			}
			known[id] = true
			add(try.Sender{Kind: try.Identity, Name: id}, fmt.Sprintf("%s %s", member.Kind, member.Name), func(p *ir.Peer) bool { return p.Is(member.Kind, member.Name, member.Identity) })
		}
		add(try.Sender{Kind: try.Identity, Name: m.Domain() + "ns/x/sa/x"}, "other members of "+m.TrustDomain, func(p *ir.Peer) bool { return p.Kind == ir.KindAnyone })
	}
	for _, s := range []*ir.Service{a, b} {
		for _, rules := range rulesOf(s) {
			for i := range rules {
				for _, p := range rules[i].From {
					if id := stranger(&p); id != "" && !known[id] {
						known[id] = true
						add(try.Sender{Kind: try.Identity, Name: id}, strangers(&p), func(q *ir.Peer) bool { return covers(q, id) })
					}
				}
			}
		}
	}
	out["plaintext"] = &caller{try.Sender{Kind: try.Outside}, []string{"outside"}}
	return out
}

func rulesOf(s *ir.Service) [][]ir.Rule {
	if s == nil {
		return nil
	}
	return [][]ir.Rule{s.Allow, s.Deny}
}

// stranger is somebody whose identity is one of a pattern; "" for callers that are no pattern.
func stranger(p *ir.Peer) string {
	if p.Pattern == "" {
		return ""
	}
	if below, all := strings.CutSuffix(p.Pattern, "*"); all {
		return below + "x"
	}
	return p.Pattern
}

// covers reports whether somebody with the identity, who is no member, is the caller.
func covers(p *ir.Peer, id string) bool {
	switch parsed, err := spiffeid.FromString(id); {
	case err != nil:
		return false
	case p.Kind == ir.KindService || p.Kind == ir.KindGateway:
		return false
	default:
		return p.Is(try.Identity, "", parsed)
	}
}

// strangers are those of a pattern, in words.
func strangers(p *ir.Peer) string {
	if p.Kind == ir.KindNamespace {
		return "others in " + p.String()
	}
	return "identity " + p.Pattern
}
