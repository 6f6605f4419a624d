package link

import (
	"fmt"
	"path"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

// apart are the ports of TCP and those of UDP.
func apart(all []ir.Port) (tcp, udp []ir.Port) {
	for _, p := range all {
		if p.Protocol == ir.UDP {
			udp = append(udp, p)
		} else {
			tcp = append(tcp, p)
		}
	}
	return tcp, udp
}

// whyUDP is why what a proxy does has no effect on a port of UDP.
const whyUDP = "its datagrams go by no proxy"

// udpByService refuses what a service says of its ports where all of them are of UDP.
func (l *linker) udpByService(here place, service *ir.Service, s *spec.Service) {
	for i := range service.UDP {
		p := &service.UDP[i]
		l.unreadUDP(here.field("ports."+p.Name+".mtls"), p, s.Ports[p.Name].MTLS.Pos)
		p.Open = false
	}
	if len(service.UDP) == 0 || len(service.Ports) > 0 {
		return
	}
	if path.Dir(here.pos(s.MTLS.Pos).File) == path.Dir(service.Pos.File) {
		l.unreadUDP(here.field("mtls"), &service.UDP[0], s.MTLS.Pos)
	}
}

// unreadUDP refuses a field that is written about a port of UDP. Pos is zero for one that is not written.
func (l *linker) unreadUDP(here place, p *ir.Port, pos spec.Pos) {
	if pos != 0 {
		l.add(diag.NoEffect, here, fmt.Sprintf("%s cannot take effect on port %s (udp): %s", here.name(), p.Name,
			whyUDP), here.pos(pos), p.Pos).
			hint("remove it")
	}
}

// udpRule refuses a rule about ports of UDP that says more than an address, and one of deny: an address that is let in
// cannot be refused again.
func (l *linker) udpRule(here place, s *ir.Service, list string, r *ir.Rule) {
	if r.AboutRequests() {
		return // of which ruleTakesEffect says so
	}
	var covered []string
	for i := range s.UDP {
		if r.Covers(s.UDP[i].Name) {
			covered = append(covered, s.UDP[i].Name)
		}
	}
	if len(covered) == 0 {
		return
	}
	port := s.UDPPort(covered[0])
	if list == "deny" {
		if !r.Audit {
			l.add(diag.NoEffect, here, fmt.Sprintf("the rule cannot take effect on port %s (udp): %s, so nobody is refused there whom allow lets in", port.Name, whyUDP), r.Pos, port.Pos).
				hint("name the ports that it is about, and in allow those who may send to %s", port.Name)
		}
		return
	}
	alone := len(r.Ports) > 0 || len(s.Ports) == 0
	if alone && !r.OpensUDP() {
		l.add(diag.NoEffect, here, fmt.Sprintf(
			"the rule cannot take effect on port %s (udp): there only addresses of services, namespaces or anyone are let in, and until another mesh is deployed",
			port.Name), r.Pos, port.Pos).
			hint("write from: services without until and mode, or leave the port out of the rule")
	}
}

// noUDPOfGateway refuses a call of ports of UDP by a gateway, and reports whether it did.
func (l *linker) noUDPOfGateway(here place, caller *ir.Peer, use *spec.Use, tcp, udp []ir.Port) bool {
	if caller.Kind != ir.KindGateway {
		return false
	}
	for i := range udp {
		p := &udp[i]
		named := slices.ContainsFunc(use.Ports, func(f spec.Field[string]) bool { return f.Value == p.Name })
		if named || use.Ports == nil && len(tcp) == 0 {
			l.add(diag.NoEffect, here, fmt.Sprintf("the call of port %s (udp) cannot take effect: %s, and a gateway is nothing else",
				p.Name, whyUDP), here.pos(use.Pos), p.Pos).
				hint("delete the call and its routes")
			return true
		}
	}
	return false
}

// udpOfUse sorts the called ports of UDP out of those of a use, and refuses addresses of a proxy for them.
func (l *linker) udpOfUse(here place, caller *ir.Peer, use *ir.Use, s *spec.Use, udp []ir.Port) {
	isUDP := func(name string) bool {
		return slices.ContainsFunc(udp, func(p ir.Port) bool { return p.Name == name })
	}
	for _, name := range use.Ports {
		if isUDP(name) {
			use.UDP = append(use.UDP, name)
		}
	}
	use.Ports = slices.DeleteFunc(use.Ports, isUDP)
	if len(use.UDP) == 0 {
		return
	}
	if w := &l.declaredServices[caller.Name].Workload; !use.External && (w.DNS != "" || w.File != "") {
		l.add(diag.NoEffect, here, fmt.Sprintf(
			"the call of port %s (udp) cannot take effect: it is let in by the addresses of %s, and the spec has none of them",
			use.UDP[0], caller.Name), use.Pos, w.Pos).
			hint("list them in services.%s: workload: endpoints", caller.Name)
	}
	if len(use.Ports) > 0 {
		return
	}
	port := &udp[slices.IndexFunc(udp, func(p ir.Port) bool { return p.Name == use.UDP[0] })]
	l.unreadUDP(here.field("bind"), port, s.Bind.Pos)
	if s.Connections != nil {
		l.unreadUDP(here.field("connections"), port, s.Connections.Pos)
	}
	if s.Objectives != nil {
		l.unreadUDP(here.field("objectives"), port, s.Objectives.Pos)
	}
}

// udpOfExternal refuses an egress gateway before ports of UDP.
func (l *linker) udpOfExternal(here place, s *spec.External, e *ir.External) {
	if len(e.UDP) > 0 && s.Via.IsSet() {
		p := &e.UDP[0]
		l.add(diag.NoEffect, here.field("via"), fmt.Sprintf("via cannot take effect on port %s (udp): %s", p.Name,
			whyUDP), here.pos(s.Via.Pos), p.Pos).
			hint("move the port to an external without via")
	}
}
