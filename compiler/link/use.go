package link

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/compiler/spec"
)

// uses links the calls of a member. A call that the callee does not allow is
// left out.
func (l *linker) uses(here place, caller *ir.Peer, uses map[string]*spec.Use) []ir.Use {
	var out []ir.Use
	for _, to := range sortedKeys(uses) {
		s := uses[to]
		at := here.field("uses." + to)
		use := ir.Use{To: to, Pos: here.pos(s.Pos), Traffic: l.traffic(at, s.Traffic())}
		switch callee, external := l.declaredServices[to], l.mesh.External(to); {
		case callee != nil:
			if l.noUDPOfGateway(at, caller, s, callee.Ports, callee.UDP) {
				continue
			}
			use.Ports = l.allowedPorts(at, caller, callee, s, use.Pos)
			l.udpOfUse(at, caller, &use, s, callee.UDP)
			l.ofRequests(at, s.Traffic(), callee.Ports, "a call to "+to, use.Pos)
		case external != nil:
			use.External = true
			if caller.Kind == ir.KindGateway && external.HasRange() {
				l.noRange(at, to, use.Pos)
			}
			if l.noUDPOfGateway(at, caller, s, external.Ports, external.UDP) {
				continue
			}
			all := slices.Clone(external.Ports)
			if caller.Kind == ir.KindService {
				all = append(all, external.UDP...)
			}
			use.Ports = l.portList(at.field("ports"), s.Ports, all, to)
			if len(s.Ports) == 0 {
				use.Ports = portNames(all)
			}
			l.udpOfUse(at, caller, &use, s, external.UDP)
			l.ofRequests(at, s.Traffic(), external.Ports, "a call to "+to, use.Pos)
		default:
			candidates := slices.DeleteFunc(append(sortedKeys(l.declaredServices), sortedKeys(l.externals)...),
				func(other string) bool { return other == caller.Name })
			l.unknown(diag.UnknownCallee, at, "service or external", to, candidates, s.Pos)
			continue
		}
		l.sharingInUse(at, caller, &use, s)
		l.objectivesOfUse(at, &use, s)
		if len(use.Ports)+len(use.UDP) > 0 {
			out = append(out, use)
		}
	}
	return out
}

// allowedPorts are the callee's ports that the caller may call: those that it
// names, or all that some rule opens to it.
func (l *linker) allowedPorts(here place, caller *ir.Peer, callee *ir.Service, use *spec.Use,
	pos source.Position,
) []string {
	var open []string
	var refused *ir.Rule
	name := caller.Name
	all := slices.Concat(callee.Ports, callee.UDP)
	for _, p := range all {
		if p.Open && (len(all) == 1 ||
			slices.ContainsFunc(use.Ports, func(f spec.Field[string]) bool { return f.Value == p.Name })) {
			l.add(diag.OpenPortCalled, here,
				fmt.Sprintf("%s calls port %s of %s, which has mtls \"off\": no proxy answers there with the identity of %s", name, p.Name, callee.Name, callee.Name), pos, p.Pos).
				hint("remove mtls from services.%s.ports.%s, or call another port", callee.Name, p.Name)
			return nil
		}
		if callee.Lets(caller, p.Name) {
			open = append(open, p.Name)
		} else if r := callee.Refuses(caller, p.Name); r != nil {
			refused = r
		}
	}
	if len(all) == 0 {
		l.add(diag.UnknownPort, here, fmt.Sprintf("%s calls %s, which has no ports", name, callee.Name), pos,
			l.services[callee.Name].pos).
			hint("add to services.%s: ports: http: {port: 8080, protocol: \"http\"}", callee.Name)
		return nil
	}
	if len(open) == 0 && refused != nil {
		l.add(diag.NotAllowed, here, fmt.Sprintf("%s calls %s, and %s denies all its calls", name, callee.Name,
			callee.Name), pos, refused.Pos).
			hint("delete the call or the deny rule, or write in the rule which requests are denied")
		return nil
	}
	if len(open) == 0 {
		l.add(diag.NotAllowed, here, fmt.Sprintf("%s does not allow calls from %s", callee.Name, name), pos,
			l.services[callee.Name].pos).
			hint("add {from: %ss: [%q]} to services.%s.allow, or %s", caller.Kind, name, callee.Name,
				map[bool]string{
					true:  "delete the call and its routes",
					false: "remove the call",
				}[caller.Kind == ir.KindGateway])
		return nil
	}
	if use.Ports == nil {
		return open
	}
	wanted := l.portList(here.field("ports"), use.Ports, all, callee.Name)
	var ports []string
	for _, p := range wanted {
		if slices.Contains(open, p) {
			ports = append(ports, p)
			continue
		}
		l.add(diag.PortNotAllowed, here.field("ports"),
			fmt.Sprintf("%s calls port %s of %s, and %s allows it on %s only", name, p, callee.Name, callee.Name,
				strings.Join(open, ", ")), pos, l.services[callee.Name].pos).
			hint("add {from: %ss: [%q], ports: [%q]} to services.%s.allow", caller.Kind, name, p, callee.Name)
	}
	if len(use.Ports) == 0 {
		l.add(diag.EmptyList, here.field("ports"), "ports is empty, so nothing would be called", pos).
			hint("omit it for every port that is allowed")
	}
	return ports
}

// binds gives the uses the addresses on the caller's host.
func (l *linker) binds(here place, proxy *ir.Proxy, uses []ir.Use, written map[string]*spec.Use, left *freePorts) {
	taken := map[netip.AddrPort]source.Position{}
	for i := range uses {
		use := &uses[i]
		s := written[use.To]
		at := here.field("uses." + use.To)
		if s.Bind.IsSet() {
			if len(use.Ports) > 1 {
				l.add(diag.BadEndpointPort, at.field("bind"),
					fmt.Sprintf("bind is ambiguous: the call has the ports %s", strings.Join(use.Ports, ", ")),
					here.pos(s.Bind.Pos)).
					hint("instead of bind, write %s", left.uses(use, use.Ports...))
			} else if len(use.Ports) == 1 {
				l.bind(at.field("bind"), proxy, use, use.Ports[0], s.Bind, taken, left)
			}
		}
		for _, port := range sortedKeys(s.Binds) {
			if !slices.Contains(use.Ports, port) {
				l.add(diag.UnknownPort, at.field("binds."+port), fmt.Sprintf("the call has no port %q", port),
					here.pos(s.Binds[port].Pos)).
					hint("%s", l.didYouMean(port, use.Ports))
				continue
			}
			l.bind(at.field("binds."+port), proxy, use, port, s.Binds[port], taken, left)
		}
	}
}

func (l *linker) bind(here place, proxy *ir.Proxy, use *ir.Use, port string, f spec.Field[string],
	taken map[netip.AddrPort]source.Position, left *freePorts,
) {
	pos := here.pos(f.Pos)
	if use.External && l.mesh.External(use.To).HasRange() {
		l.noRange(here, use.To, pos)
		return
	}
	addr, err := netip.ParseAddrPort(f.Value)
	if err != nil || addr.Port() == 0 {
		l.add(diag.BadAddress, here, fmt.Sprintf("%s is %q and must be IP:PORT", here.name(), f.Value), pos).
			hint("%q", left.address())
		return
	}
	if addr.Addr().Is4In6() {
		l.add(diag.BadAddress, here, fmt.Sprintf("%s is an IPv4-mapped IPv6 address", addr), pos).
			hint("%q", left.address())
		return
	}
	if p := addr.Port(); slices.Contains(proxy.Ports(), p) {
		l.add(diag.PortTaken, here, fmt.Sprintf("port %d is used by the proxy", p), pos).hint("%q", left.address())
		return
	}
	if !addr.Addr().IsLoopback() {
		l.add(diag.BadAddress, here, fmt.Sprintf("%s is on %s, where others could call with this service's identity",
			here.name(), addr.Addr()), pos).
			hint("bind to loopback: %q", left.address())
		return
	}
	if other, twice := taken[addr]; twice {
		l.add(diag.AddressTaken, here, fmt.Sprintf("two calls are bound to %s", addr), pos, other).
			hint("%q", left.address())
	}
	taken[addr] = pos
	if use.Binds == nil {
		use.Binds = map[string]string{}
	}
	use.Binds[port] = addr.String()
}

// unbound are the ports of a call that have no address of their own. One that is written and wrong is said to be so,
// and needs no other.
func unbound(use *ir.Use, written *spec.Use) []string {
	if written.Bind.IsSet() {
		return nil
	}
	var ports []string
	for _, name := range use.Ports {
		if _, bound := written.Binds[name]; !bound {
			ports = append(ports, name)
		}
	}
	return ports
}

func (l *linker) calleePort(use *ir.Use, name string) ir.Port {
	if use.External {
		return *l.mesh.External(use.To).Port(name)
	}
	return *l.declaredServices[use.To].Port(name)
}
