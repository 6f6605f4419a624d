package check

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
)

// claimedHosts finds routes of two gateways for the same requests: whoever
// calls cannot know which of them answers. One service may have its routes at two of them.
func claimedHosts(m *subject) diag.List {
	var found diag.List
	for i, g := range m.Gateways {
		for _, other := range m.Gateways[:i] {
			for n := range g.Routes {
				for k := range other.Routes {
					a, b := &g.Routes[n], &other.Routes[k]
					first, second := a.Match, b.Match
					first.Listeners, second.Listeners = nil, nil
					if !reflect.DeepEqual(first, second) || a.ExposedBy != "" && a.ExposedBy == b.ExposedBy ||
						a.Match.Host == "" && !sameHost(g, other, &a.Match, &b.Match) {
						continue
					}
					found.Add(diag.New(diag.HostClaimed, fmt.Sprintf("gateways.%s.routes[%d]", g.Name, n),
						fmt.Sprintf("the gateways %s and %s both match %s", other.Name, g.Name, request(&a.Match)),
						a.Pos, b.Pos).
						WithHint("a host and path belong to one gateway"))
				}
			}
		}
	}
	return found
}

// sameHost reports whether listeners of both gateways, of those that the routes are for, answer for a host by its
// name.
func sameHost(a, b *ir.Gateway, first, second *ir.Match) bool {
	return slices.ContainsFunc(a.Listeners, func(l ir.Listener) bool {
		return first.At(l.Name) && slices.ContainsFunc(l.Hosts, func(h string) bool {
			return h != "*" &&
				slices.ContainsFunc(b.Listeners,
					func(m ir.Listener) bool { return second.At(m.Name) && slices.Contains(m.Hosts, h) })
		})
	})
}

// unservedHosts finds routes for hosts that no listener answers for.
func unservedHosts(m *subject) diag.List {
	var found diag.List
	for _, g := range m.Gateways {
		for i := range g.Routes {
			match := &g.Routes[i].Match
			host := match.Host
			if host == "" || slices.ContainsFunc(g.Listeners, func(l ir.Listener) bool {
				return match.At(l.Name) && slices.ContainsFunc(l.Hosts, func(h string) bool { return overlap(h, host) })
			}) {
				continue
			}
			var hosts []string
			for _, l := range g.Listeners {
				if match.At(l.Name) {
					hosts = append(hosts, l.Hosts...)
				}
			}
			found.Add(diag.New(diag.UnservedHost, fmt.Sprintf("gateways.%s.routes[%d].match.host", g.Name, i),
				fmt.Sprintf("no listener of %s answers for %s", g.Name, host), g.Routes[i].Pos, g.Pos).
				WithHint("its listeners answer for %s", strings.Join(hosts, ", ")))
		}
	}
	return found
}

// overlap reports whether some host is meant by both.
func overlap(a, b string) bool {
	return ir.HostCovers(a, b) || ir.HostCovers(b, a)
}
