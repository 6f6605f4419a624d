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

// external makes an external service. Hosts are those of the others.
func (l *linker) external(name string, h home[spec.External], hosts map[string]*ir.External) *ir.External {
	here, s := h.place, h.spec
	l.silence(here, s.Silence)
	e := &ir.External{
		Name: name, Local: s.Local.Value,
		Traffic: l.traffic(here, s.Traffic()), Pos: h.pos,
	}
	e.Ports, e.UDP = apart(l.externalPorts(here, s))
	l.udpOfExternal(here, s, e)
	e.Outliers = l.outliers(here.field("outliers"), s.Outliers, e.Ports)
	for i, f := range s.Hosts {
		host := l.externalHost(here.field("hosts").index(i), f.Value, s, e.Ports, here.pos(f.Pos))
		if other := hosts[host]; other != nil && sharePort(other.Ports, e.Ports) {
			l.add(diag.HostTaken, here.field("hosts").
				index(i), fmt.Sprintf("%s and %s both have the host %s", other.Name, name, host), here.pos(f.Pos),
				other.Pos)
		}
		for _, s := range l.mesh.Services {
			named := func(h string) bool { return ir.HostCovers(host, h) }
			if slices.ContainsFunc(l.hostsOf(s), named) && sharePort(s.Ports, e.Ports) {
				l.add(diag.HostTaken, here.field("hosts").
					index(i), fmt.Sprintf("%s is the service %s of the mesh", host, s.Name), here.pos(f.Pos), s.Pos)
			}
		}
		if !strings.ContainsAny(host, "/*") {
			l.notForbidden(here.field("hosts").index(i), host, s.Local.Value, here.pos(f.Pos))
		}
		hosts[host] = e
		e.Hosts = append(e.Hosts, host)
	}
	l.localTakesEffect(here, s.Local, e.Hosts)
	l.rangesAlone(here, s, e)
	if len(e.Hosts) == 0 {
		l.add(diag.EmptyList, here.field("hosts"), here.path+" has no hosts", h.pos).hint(`hosts: ["api.example.com"]`)
	}
	if len(e.Ports)+len(e.UDP) == 0 {
		l.add(diag.EmptyList, here.field("ports"), here.path+" has no ports", h.pos).
			hint(`ports: https: {port: 443, protocol: "https"}`)
	}
	if s.TLS != nil {
		e.Roots, e.ServerName, e.Secret = s.TLS.Roots.Value, strings.ToLower(s.TLS.ServerName.Value), s.TLS.Secret.Value
		if !slices.ContainsFunc(e.Ports, func(p ir.Port) bool { return p.Protocol == ir.HTTPS }) {
			l.add(diag.NoEffect, here.field("tls"), `tls cannot take effect: no port has the protocol "https"`,
				here.pos(s.TLS.Pos))
		}
	}
	l.ofRequests(here, s.Traffic(), e.Ports, name, h.pos)
	l.sharing(here, s.Connections, e.Ports, multiplexed, name, h.pos)
	return e
}

// externalHost is a host, or an address of IPv6 of an external that is called by addresses alone.
func (l *linker) externalHost(
	here place, written string, s *spec.External, ports []ir.Port, pos source.Position,
) string {
	if strings.HasPrefix(written, "*") {
		return l.externalWildcard(here, written, s, pos)
	}
	if strings.Contains(written, "/") {
		return l.externalRange(here, written, ports, pos)
	}
	ip, err := netip.ParseAddr(written)
	if err != nil || ip.Is4() {
		return l.host(here, written, pos)
	}
	for _, p := range ports {
		if p.Protocol != ir.TCP {
			l.add(diag.BadHost, here,
				fmt.Sprintf("%s is an IPv6 address, and port %s (%s) needs a DNS name", written, p.Name, p.Protocol), pos).
				hint(`move the address to an external whose ports all have protocol: "tcp"`)
			break
		}
	}
	return ip.Unmap().String()
}

// externalRange is a range of addresses, of an external that is called by addresses alone.
func (l *linker) externalRange(here place, written string, ports []ir.Port, pos source.Position) string {
	network, err := netip.ParsePrefix(written)
	if err != nil || network.Addr().Is4In6() {
		l.add(diag.BadHost, here, fmt.Sprintf("%q is not a range of addresses", written), pos).
			hint(`a range is like "10.20.0.0/16" or "2001:db8::/32"`)
		return written
	}
	if masked := network.Masked(); masked != network {
		l.add(diag.BadHost, here, fmt.Sprintf("%s has bits of an address behind its length", written), pos).
			hint("write %q", masked)
		network = masked
	}
	for _, p := range ports {
		if p.Protocol != ir.TCP {
			l.add(diag.ExternalRange, here, fmt.Sprintf(
				"%s is a range of addresses, and port %s (%s) is called by a name", written, p.Name, p.Protocol), pos).
				hint(`move the range to an external whose ports all have protocol: "tcp"`)
			break
		}
	}
	for _, f := range ir.ForbiddenNetworks(false) {
		if f.Mask == 0 && f.Bits() <= network.Bits() && f.Overlaps(network) {
			l.add(diag.ForbiddenAddress, here, fmt.Sprintf("%s %s: a proxy would connect to it on behalf of its callers",
				written, f.Why), pos).hint("name another range")
			break
		}
	}
	return network.String()
}

// rangesAlone refuses a range beside what only a proxy can look up or choose.
func (l *linker) rangesAlone(here place, s *spec.External, e *ir.External) {
	if !e.HasRange() {
		return
	}
	for i, host := range e.Hosts {
		if _, known := ir.ParseHost(host); !known {
			l.add(diag.ExternalRange, here.field("hosts").index(i), fmt.Sprintf(
				"%s is a name, and %s has ranges of addresses: which of both is meant could not be told", host, e.Name),
				here.pos(s.Hosts[i].Pos)).
				hint("move the name to an external of its own")
		}
	}
	if s.Via.IsSet() {
		l.add(diag.ExternalRange, here.field("via"), fmt.Sprintf(
			"%s has ranges of addresses, and an egress gateway connects to the first host alone", e.Name),
			here.pos(s.Via.Pos)).
			hint("name the hosts that are called, each in an external of its own")
	}
}

// noRange refuses a call of a range of addresses whose connections do not have the address that they were made to.
func (l *linker) noRange(here place, external string, pos source.Position) {
	l.add(diag.ExternalRange, here, fmt.Sprintf(
		"%s has ranges of addresses, and only connections that are redirected to a proxy have the address that is meant",
		external), pos).
		hint(`call it from a service with proxy: interception: "redirect", and without bind; or name the host that is called`)
}

func sharePort(a, b []ir.Port) bool {
	return slices.ContainsFunc(a, func(p ir.Port) bool {
		return slices.ContainsFunc(b, func(q ir.Port) bool { return p.Number == q.Number })
	})
}
