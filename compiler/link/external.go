package link

import (
	"fmt"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

// external makes an external service. Hosts are those of the others.
func (l *linker) external(name string, h home[spec.External], hosts map[string]*ir.External) *ir.External {
	u, s := h.unit, h.spec
	path := "external." + name
	l.silence(path, u, s.Silence)
	e := &ir.External{
		Name: name, Local: s.Local.Value, Ports: l.ports(u, path, s.Ports),
		Traffic: l.traffic(u, path, s.Traffic()), Outliers: l.outliers(u, path+".outliers", s.Outliers), Pos: h.pos,
	}
	for i, f := range s.Hosts {
		host := l.host(fmt.Sprintf("%s.hosts[%d]", path, i), f.Value, u.At(f.Pos))
		if other := hosts[host]; other != nil && sharePort(other.Ports, e.Ports) {
			l.add(diag.HostTaken, fmt.Sprintf("%s.hosts[%d]", path, i), fmt.Sprintf("%s and %s both stand for %s", other.Name, name, host), u.At(f.Pos), other.Pos)
		}
		for _, s := range l.mesh.Services {
			if slices.Contains(s.Hosts(), host) && sharePort(s.Ports, e.Ports) {
				l.add(diag.HostTaken, fmt.Sprintf("%s.hosts[%d]", path, i), fmt.Sprintf("%s is the service %s of the mesh", host, s.Name), u.At(f.Pos), s.Pos)
			}
		}
		l.notForbidden(fmt.Sprintf("%s.hosts[%d]", path, i), host, s.Local.Value, u.At(f.Pos))
		hosts[host] = e
		e.Hosts = append(e.Hosts, host)
	}
	l.localTakesEffect(u, path, s.Local, e.Hosts)
	if len(e.Hosts) == 0 {
		l.add(diag.EmptyList, path+".hosts", path+" has no hosts", h.pos).hint(`hosts: ["api.example.com"]`)
	}
	if len(e.Ports) == 0 {
		l.add(diag.EmptyList, path+".ports", path+" has no ports", h.pos).hint(`ports: https: {port: 443, protocol: "https"}`)
	}
	if s.TLS != nil {
		e.Roots = s.TLS.Roots.Value
		if !slices.ContainsFunc(e.Ports, func(p ir.Port) bool { return p.Protocol == ir.HTTPS }) {
			l.add(diag.NoEffect, path+".tls", `tls cannot take effect: no port has the protocol "https"`, u.At(s.TLS.Pos))
		}
	}
	if s.Timeout.IsSet() {
		l.requestsOnly(u, path+".timeout", e.Ports, "the timeout of "+name, s.Timeout.Pos)
	}
	return e
}

func sharePort(a, b []ir.Port) bool {
	return slices.ContainsFunc(a, func(p ir.Port) bool {
		return slices.ContainsFunc(b, func(q ir.Port) bool { return p.Number == q.Number })
	})
}
