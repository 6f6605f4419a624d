package link

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/compiler/spec"
)

// notRedirected refuses what a service would have go round its proxy by its
// excludeInboundPorts without saying so of the port, and exclusions that cannot
// take effect. Written is what the service itself says of its proxy; nil for nothing.
func (l *linker) notRedirected(here place, s *ir.Service, written *spec.Proxy) {
	if s.Explicit {
		l.nothingRedirected(s.Pos, here, "without redirection", written)
		return
	}
	for i := range s.Ports {
		p := &s.Ports[i]
		if p.Open || !slices.Contains(s.Proxy.ExcludeInboundPorts, p.Target) {
			continue
		}
		l.add(diag.ExcludedPort, here.field("ports."+p.Name),
			fmt.Sprintf("excludeInboundPorts has %d, which is port %s of %s: its rules would not apply there, and connections would have no TLS", p.Target, p.Name, s.Name), p.Pos).
			hint("remove %d from proxy.excludeInboundPorts; if the port is meant to be open, say so: ports: %s: mtls: %q", p.Target, p.Name, "off")
	}
	if written == nil {
		return
	}
	for _, f := range written.ExcludeInboundPorts {
		port := f.Value
		if slices.Contains(s.Proxy.Ports(), uint16(port)) {
			l.add(diag.NoEffect, here.field("proxy.excludeInboundPorts"),
				fmt.Sprintf("port %d is used by the proxy, and never redirected", port), here.pos(f.Pos)).
				hint("remove it")
		}
	}
}

// noTeamsPods refuses privileged of a member that has no pods that a team writes.
func (l *linker) noTeamsPods(pos source.Position, here place, why string, written *spec.Proxy) {
	if written != nil && written.Privileged != nil {
		l.add(diag.NoEffect, here.field("proxy.privileged"), "privileged cannot take effect: "+why, pos).
			hint("remove it")
	}
}

// nothingRedirected refuses exclusions of a member whose connections are not redirected.
func (l *linker) nothingRedirected(pos source.Position, here place, why string, written *spec.Proxy) {
	if written == nil {
		return
	}
	for _, list := range []struct {
		name    string
		written bool
	}{
		{"excludeInboundPorts", written.ExcludeInboundPorts != nil},
		{"excludeOutboundPorts", written.ExcludeOutboundPorts != nil},
		{"excludeOutboundRanges", written.ExcludeOutboundRanges != nil},
		{"undeclaredCalls", written.UndeclaredCalls.IsSet()},
	} {
		if list.written {
			l.add(diag.NoEffect, here.field("proxy."+list.name),
				fmt.Sprintf("%s cannot take effect: %s no connection is redirected", list.name, why), pos).
				hint("remove proxy.%s", list.name)
		}
	}
}

// goesRound refuses calls of a service that its exclusions would have go round the
// proxy: without its identity, and past a gateway that the call is to go through. A call
// with a bind of its own is made by the proxy all the same.
func (l *linker) goesRound(here place, s *ir.Service, left *freePorts) {
	if s.Explicit {
		return
	}
	for i := range s.Uses {
		use := &s.Uses[i]
		for _, name := range use.Ports {
			if use.Binds[name] != "" {
				continue
			}
			what := ""
			port := l.calleePort(use, name)
			if slices.Contains(s.Proxy.ExcludeOutboundPorts, port.Number) {
				what = fmt.Sprintf("excludeOutboundPorts has %d", port.Number)
			} else if network, ok := l.excludedNetwork(s, use); ok {
				what = fmt.Sprintf("excludeOutboundRanges has %s", network)
			}
			if what == "" {
				continue
			}
			hint := "remove it from the exclusions, or give the call a separate address: " + left.uses(use, name)
			if use.External && l.mesh.External(use.To).HasRange() {
				hint = "remove it from the exclusions"
			}
			l.add(diag.CallGoesRound, here.field("uses."+use.To),
				fmt.Sprintf("%s, so %s would call port %s of %s bypassing its proxy: without its identity, and without the mesh's settings for the call", what, s.Name, name, use.To), use.Pos).
				hint("%s", hint)
			break
		}
	}
}

// excludedNetwork is the network of a service's exclusions that an address of the
// callee is in.
func (l *linker) excludedNetwork(s *ir.Service, use *ir.Use) (netip.Prefix, bool) {
	var addresses []string
	if use.External {
		addresses = l.mesh.External(use.To).Hosts
	} else {
		w := &l.declaredServices[use.To].Workload
		addresses = append(addresses, w.DNS)
		for i := range w.Endpoints {
			addresses = append(addresses, w.Endpoints[i].Address)
		}
	}
	for _, network := range s.Proxy.ExcludeOutboundRanges {
		if network.Bits() == 0 {
			return network, true
		}
		for _, a := range addresses {
			if p, known := ir.ParseHost(a); known && network.Overlaps(p) {
				return network, true
			}
		}
	}
	return netip.Prefix{}, false
}
