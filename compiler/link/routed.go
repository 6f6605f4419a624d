package link

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
)

// routed adds to the uses of a member the ports of other services to which the
// routes of those that it calls lead. They must let the member in: whoever sends
// its callers elsewhere can give them no leave there.
func (l *linker) routed(here place, caller *ir.Peer, uses []ir.Use) []ir.Use {
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
				if caller.Ref() == ir.ServiceRef(to.Name) {
					l.add(diag.CallsItself, here.field("uses."+use.To),
						fmt.Sprintf("the route %q of %s sends the calls of %s back to itself", route.Name, callee.Name,
							caller.Name), d.Pos, use.Pos).
						hint("remove the call or the destination")
					continue
				}
				for _, port := range routedPorts(callee, &use, d) {
					if !l.admits(here.field("uses."+use.To), caller, to, port,
						fmt.Sprintf(
							"%s calls %s, whose route %q forwards requests to %s, which does not allow calls from %s",
							caller.Name, callee.Name, route.Name, to.Name, caller.Name),
						use.Pos, d.Pos, l.services[to.Name].pos) {
						break
					}
					uses = reach(uses, use, to.Name, port)
				}
			}
		}
	}
	return uses
}

// admits reports whether a service lets a caller in on a port that it reaches without a use of its own, and adds the
// finding when it does not.
func (l *linker) admits(
	here place, caller *ir.Peer, to *ir.Service, port, message string, positions ...source.Position,
) bool {
	if to.Lets(caller, port) {
		return true
	}
	l.add(diag.NotAllowed, here, message, positions...).
		hint("add {from: %ss: [%q], ports: [%q]} to services.%s.allow", caller.Kind, caller.Name, port, to.Name)
	return false
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
