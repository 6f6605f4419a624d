package diff

import (
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
	"github.com/meshc/meshc/review/values"
)

// services compares what happens to the calls of services: of all those that are alike, once.
func (d *differ) services() {
	type call struct {
		use  [2]*ir.Use
		from []string
		of   [2]*ir.Service
	}
	calls := map[string]*call{} // by callee, and what callers have in common
	ir.Pairs(d.old.Services, d.new.Services, func(s *ir.Service) string { return s.Name },
		func(name string, a, b *ir.Service) {
			usesA, usesB := usesOf(a), usesOf(b)
			names := map[string]bool{}
			for to := range usesA {
				names[to] = true
			}
			for to := range usesB {
				names[to] = true
			}
			for to := range names {
				use := [2]*ir.Use{usesA[to], usesB[to]}
				external := use[0] != nil && use[0].External || use[1] != nil && use[1].External
				switch {
				case !ir.Same(use[0], use[1]) || (a == nil) != (b == nil) ||
					a != nil && b != nil && a.Identity != b.Identity:
				case external && (d.all || d.changed[ir.ExternalRef(to)]):
				case !external && d.reachesChanged(to):
				default:
					continue
				}
				key := to + "\x00" + values.Text(reflect.ValueOf(use[0])) + "\x00" +
					values.Text(reflect.ValueOf(use[1])) +
					"\x00" + d.standing(a, b, to)
				c := calls[key]
				if c == nil {
					c = &call{use: use, of: [2]*ir.Service{a, b}}
					calls[key] = c
				}
				c.from = append(c.from, name)
			}
		})
	for _, key := range slices.Sorted(maps.Keys(calls)) {
		c := calls[key]
		var who []Subject
		for _, name := range c.from {
			who = append(who, service(name))
		}
		d.calls(c.from[0], who, c.use)
	}
}

// usesOf are a service's uses by the callee's name: those that it calls.
func usesOf(s *ir.Service) map[string]*ir.Use {
	uses := map[string]*ir.Use{}
	if s == nil {
		return uses
	}
	for i := range s.Uses {
		if len(s.Uses[i].Ports) > 0 {
			uses[s.Uses[i].To] = &s.Uses[i]
		}
	}
	return uses
}

// standing is how the rules of a service, and of those that its routes lead to, see a caller.
func (d *differ) standing(a, b *ir.Service, to string) string {
	out := ""
	for i, s := range []*ir.Service{a, b} {
		m := []*ir.Mesh{d.old, d.new}[i]
		if s == nil {
			out += "-"
			continue
		}
		caller := s.Peer()
		for _, callee := range leadsTo(m, to) {
			for _, rules := range [][]ir.Rule{callee.Allow, callee.Deny} {
				for k := range rules {
					out += strconv.Itoa(boolean(rules[k].Names(&caller)))
				}
			}
		}
	}
	return out
}

// leadsTo are a service and those that its routes lead to, sorted.
func leadsTo(m *ir.Mesh, name string) []*ir.Service {
	s := m.Service(name)
	if s == nil {
		return nil
	}
	names := map[string]bool{name: true}
	for i := range s.Routes {
		for _, t := range s.Routes[i].To {
			names[t.Service] = true
		}
	}
	var out []*ir.Service
	for _, n := range slices.Sorted(maps.Keys(names)) {
		out = append(out, m.Service(n))
	}
	return out
}

// ends are the first and the last address of a range.
func ends(network netip.Prefix) []string {
	last := network.Addr().AsSlice()
	for i := network.Bits(); i < len(last)*8; i++ {
		last[i/8] |= 0x80 >> (i % 8)
	}
	end, _ := netip.AddrFromSlice(last)
	return []string{network.Addr().String(), end.String()}
}

// calls compares the calls of one service to another, or to an external, port by port.
func (d *differ) calls(from string, who []Subject, use [2]*ir.Use) {
	type address struct {
		host   string
		number uint16
		http   bool
	}
	addresses := map[address]bool{}
	to, external := "", false
	for i, u := range use {
		if u == nil {
			continue
		}
		to, external = u.To, u.External
		m := []*ir.Mesh{d.old, d.new}[i]
		for _, name := range u.Ports {
			if u.External {
				e := m.External(u.To)
				for _, host := range e.Hosts {
					p := e.Port(name)
					host = strings.Replace(host, "*", "any", 1)
					addresses[address{host, p.Number, p.Protocol.IsHTTP()}] = true
					if network, known := ir.ParseHost(host); known && !network.IsSingleIP() {
						delete(addresses, address{host, p.Number, p.Protocol.IsHTTP()})
						for _, end := range ends(network) {
							addresses[address{end, p.Number, false}] = true
						}
					}
				}
				continue
			}
			callee := m.Service(u.To)
			p := callee.Port(name)
			addresses[address{u.To, p.Number, p.Protocol.IsHTTP()}] = true
			if p.Protocol.IsHTTP() {
				for _, host := range callee.Further {
					addresses[address{host, p.Number, true}] = true
				}
			}
		}
	}
	place := service(to)
	if external {
		place = member(ir.ExternalRef(to))
	}
	for at := range addresses {
		s := &space{base: try.Request{
			From: try.Sender{Kind: ir.KindService, Name: from}, Method: "GET", Scheme: "http",
			Host: at.host, Port: at.number, Path: "/",
		}}
		d.about(s, func(a *about) { // an external may have been a service, or become one
			if at.http {
				a.callee(a.mesh.Service(to))
			} else {
				a.rules(a.mesh.Service(to), nil)
			}
		})
		d.compare(s, who, place)
	}
}
