package diff

import (
	"reflect"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
	"github.com/meshc/meshc/review/values"
)

// gateways compares what happens to the requests of those outside.
func (d *differ) gateways() {
	ir.Pairs(d.old.Gateways, d.new.Gateways, func(g *ir.Gateway) string { return g.Name },
		func(name string, a, b *ir.Gateway) {
			differs := d.changed[ir.GatewayRef(name)] || d.all
			for _, g := range []*ir.Gateway{a, b} {
				for i := 0; g != nil && i < len(g.Uses); i++ {
					differs = differs || !g.Uses[i].External && d.reachesChanged(g.Uses[i].To)
				}
			}
			if !differs {
				return
			}
			type address struct {
				scheme   string
				port     uint16
				http     bool
				listener string
			}
			addresses := map[address]bool{}
			var hosts []string
			for _, g := range []*ir.Gateway{a, b} {
				if g == nil {
					continue
				}
				for i := range g.Listeners {
					l := &g.Listeners[i]
					at := address{"http", l.Port, l.To == nil, l.Name}
					if l.BySNI() {
						at.scheme = "https"
					}
					addresses[at] = true
					hosts = append(hosts, l.Hosts...)
				}
				for _, rules := range [][]ir.Rule{g.Allow, g.Deny} {
					for i := range rules {
						hosts = append(hosts, rules[i].Hosts...)
					}
				}
				for i := range g.Routes {
					hosts = append(hosts, g.Routes[i].Match.Host)
				}
			}
			named, whole := concrete(hosts)
			if !whole {
				d.missed([]Subject{gateway(name)}, gateway(name), len(named))
			}
			matters, narrow := d.routesThatDiffer(a, b)
			for at := range addresses {
				s := &space{
					base: try.Request{
						From: try.Sender{Kind: ir.KindGateway, Name: name}, Method: "GET",
						Scheme: at.scheme,
						Port:   at.port, Path: "/",
					},
					hosts: named, narrow: narrow,
				}
				d.about(s, func(m *about) {
					if g := m.mesh.Gateway(name); at.http {
						m.gateway(g, at.listener, matters)
					} else if l := listenerOf(g, at.listener); l != nil && l.To != nil {
						m.guards(&g.Guards, g.Doors(), nil, atDoor)
						m.rules(m.mesh.Service(l.To.Service), nil)
					}
				})
				d.compare(s, []Subject{gateway(name)}, gateway(name))
			}
		})
}

func listenerOf(g *ir.Gateway, name string) *ir.Listener {
	if g == nil {
		return nil
	}
	return g.Listener(name)
}

// concrete are hosts of which each combination of the patterns has one, and one that no pattern has.
func concrete(patterns []string) (hosts []string, whole bool) {
	var expressions []string
	for _, p := range patterns {
		if suffix, wildcard := strings.CutPrefix(p, "*"); wildcard && suffix != "" {
			expressions = append(expressions, ".+"+quote(suffix))
		} else if p != "" && !wildcard {
			expressions = append(expressions, quote(p))
		}
	}
	slices.Sort(expressions)
	return samples(legalHost, slices.Compact(expressions))
}

// routesThatDiffer tells the routes of a gateway that the meshes may differ in; narrow is false when they may in all.
func (d *differ) routesThatDiffer(a, b *ir.Gateway) (matters func(*ir.Route) bool, narrow bool) {
	if a == nil || b == nil || d.all || !sameOrder(a, b) || !sameButRoutes(*a, *b) {
		return func(*ir.Route) bool { return true }, false
	}
	unchanged := map[string]bool{}
	known := map[string]bool{}
	for i := range a.Routes {
		known[values.Text(reflect.ValueOf(&a.Routes[i]))] = true
	}
	for i := range b.Routes {
		if t := values.Text(reflect.ValueOf(&b.Routes[i])); known[t] {
			unchanged[t] = true
		}
	}
	return func(r *ir.Route) bool {
		return !unchanged[values.Text(reflect.ValueOf(r))] ||
			slices.ContainsFunc(r.Targets(), func(t ir.Destination) bool { return d.reachesChanged(t.Service) })
	}, true
}

// sameButRoutes reports whether gateways are the same in all that is not a route.
func sameButRoutes(a, b ir.Gateway) bool {
	a.Routes, b.Routes = nil, nil
	return ir.Same(&a, &b)
}

// sameOrder reports whether the routes that both gateways have stand in one order.
func sameOrder(a, b *ir.Gateway) bool {
	index := map[string]int{}
	for i := range a.Routes {
		index[values.Text(reflect.ValueOf(&a.Routes[i]))] = i
	}
	last := -1
	for i := range b.Routes {
		if n, both := index[values.Text(reflect.ValueOf(&b.Routes[i]))]; both {
			if n < last {
				return false
			}
			last = n
		}
	}
	return true
}
