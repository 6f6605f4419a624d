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

// external makes an external service. Hosts are those of the others.
func (l *linker) external(name string, h home[spec.External], hosts map[string]*ir.External) *ir.External {
	here, s := h.place, h.spec
	l.silence(here, s.Silence)
	e := &ir.External{
		Name: name, Local: s.Local.Value, Ports: l.ports(here, s.Ports),
		Traffic: l.traffic(here, s.Traffic()), Pos: h.pos,
	}
	e.Outliers = l.outliers(here.field("outliers"), s.Outliers, e.Ports)
	for i, f := range s.Hosts {
		host := l.externalHost(here.field("hosts").index(i), f.Value, e.Ports, here.pos(f.Pos))
		if other := hosts[host]; other != nil && sharePort(other.Ports, e.Ports) {
			l.add(diag.HostTaken, here.field("hosts").
				index(i), fmt.Sprintf("%s and %s both have the host %s", other.Name, name, host), here.pos(f.Pos),
				other.Pos)
		}
		for _, s := range l.mesh.Services {
			if slices.Contains(l.hostsOf(s), host) && sharePort(s.Ports, e.Ports) {
				l.add(diag.HostTaken, here.field("hosts").
					index(i), fmt.Sprintf("%s is the service %s of the mesh", host, s.Name), here.pos(f.Pos), s.Pos)
			}
		}
		l.notForbidden(here.field("hosts").index(i), host, s.Local.Value, here.pos(f.Pos))
		hosts[host] = e
		e.Hosts = append(e.Hosts, host)
	}
	l.localTakesEffect(here, s.Local, e.Hosts)
	if len(e.Hosts) == 0 {
		l.add(diag.EmptyList, here.field("hosts"), here.path+" has no hosts", h.pos).hint(`hosts: ["api.example.com"]`)
	}
	if len(e.Ports) == 0 {
		l.add(diag.EmptyList, here.field("ports"), here.path+" has no ports", h.pos).
			hint(`ports: https: {port: 443, protocol: "https"}`)
	}
	if s.TLS != nil {
		e.Roots = s.TLS.Roots.Value
		if !slices.ContainsFunc(e.Ports, func(p ir.Port) bool { return p.Protocol == ir.HTTPS }) {
			l.add(diag.NoEffect, here.field("tls"), `tls cannot take effect: no port has the protocol "https"`,
				here.pos(s.TLS.Pos))
		}
	}
	l.ofRequests(here, s.Traffic(), e.Ports, name, h.pos)
	return e
}

// externalHost is a host, or an address of IPv6 of an external that is called by addresses alone.
func (l *linker) externalHost(here place, written string, ports []ir.Port, pos source.Position) string {
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

func sharePort(a, b []ir.Port) bool {
	return slices.ContainsFunc(a, func(p ir.Port) bool {
		return slices.ContainsFunc(b, func(q ir.Port) bool { return p.Number == q.Number })
	})
}
