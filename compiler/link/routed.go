package link

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
)

// routed adds to the uses of a member the ports of other services to which the
// routes of those that it calls lead. They must let the member in: whoever sends
// its callers elsewhere can give them no leave there.
func (l *linker) routed(here place, kind ir.MemberKind, name string, uses []ir.Use) []ir.Use {
	for _, use := range slices.Clone(uses) {
		if use.External {
			continue
		}
		callee := l.declaredServices[use.To]
		for j := range callee.Routes {
			route := &callee.Routes[j]
			for _, d := range route.Targets() {
				if d.Service == callee.Name {
					continue
				}
				to := l.declaredServices[d.Service]
				if to.Name == name && kind == ir.KindService {
					l.add(diag.CallsItself, here.field("uses."+use.To), fmt.Sprintf("the route %q of %s sends the calls of %s back to itself", route.Name, callee.Name, name), d.Pos, use.Pos).
						hint("take the call or the destination out")
					continue
				}
				for _, port := range routedPorts(callee, &use, d) {
					if !to.Lets(kind, name, l.memberIdentity(kind, name), port) {
						l.add(diag.NotAllowed, here.field("uses."+use.To), fmt.Sprintf("%s calls %s, whose route %q sends requests on to %s, which does not let %s in", name, callee.Name, route.Name, to.Name, name),
							use.Pos, d.Pos, l.services[to.Name].pos).
							hint("add {from: %ss: [%q], ports: [%q]} to services.%s.allow", kind, name, port, to.Name)
						break
					}
					uses = reach(uses, use, to.Name, port)
				}
			}
		}
	}
	return uses
}

// routedPorts are the ports at which requests for the called ports arrive.
func routedPorts(callee *ir.Service, use *ir.Use, d ir.Destination) []string {
	if d.Port != "" {
		return []string{d.Port}
	}
	var out []string
	for _, port := range use.Ports {
		if callee.Port(port).Protocol.IsHTTP() {
			out = append(out, port)
		}
	}
	return out
}

// reach adds a port that is reached by way of another use.
func reach(uses []ir.Use, by ir.Use, to, port string) []ir.Use {
	u := ir.UseOf(uses, to)
	if u == nil {
		uses = append(uses, ir.Use{To: to, Routed: []string{port}, Pos: by.Pos})
		slices.SortFunc(uses, func(a, b ir.Use) int { return strings.Compare(a.To, b.To) })
		return uses
	}
	if !slices.Contains(u.Reached(), port) {
		u.Routed = append(u.Routed, port)
		slices.Sort(u.Routed)
	}
	return uses
}
