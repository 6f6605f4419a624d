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

// furtherNames are the hosts that a service has besides its own names, in small letters: Envoy refuses to have two that
// differ in letters alone.
func (l *linker) furtherNames(here place, s *spec.Service, service *ir.Service) []string {
	own := l.mesh.Hosts(&service.Upstream, service.Namespace)
	var out []string
	for i, f := range s.Hosts {
		at, pos := here.index(i), here.pos(f.Pos)
		host := l.host(at, f.Value, pos)
		why := ""
		if _, err := netip.ParseAddr(host); err == nil {
			l.add(diag.BadHost, at, fmt.Sprintf("%s is an address, and hosts of a service are names", host), pos).
				hint("remove it; or give the name by which callers have the address")
			continue
		}
		if what := l.forbidden(host); what != "" {
			l.add(diag.BadHost, at, fmt.Sprintf("%s %s, and no name of a service", host, what), pos).hint("remove it")
			continue
		}
		switch {
		case slices.Contains(own, host) || host == service.Workload.DNS:
			why = fmt.Sprintf("%s is a name of %s anyway", host, service.Name)
		case slices.Contains(out, host):
			why = host + " is written twice"
		case !slices.ContainsFunc(service.Ports, namesHosts):
			why = "no port speaks HTTP or TLS, so connections name no host"
		}
		if why != "" {
			l.add(diag.NoEffect, at, "hosts cannot take effect: "+why, pos).hint("remove it")
			continue
		}
		out = append(out, host)
	}
	slices.Sort(out)
	return out
}

// namesHosts reports whether connections of a port say which host they are for.
func namesHosts(p ir.Port) bool { return byHost(p.Protocol, p.Protocol) && !p.Open }

// hostsOf are all hosts by which members address a service.
func (l *linker) hostsOf(s *ir.Service) []string {
	hosts := l.mesh.Hosts(&s.Upstream, s.Namespace)
	if dns := s.Workload.DNS; dns != "" && !slices.Contains(hosts, dns) {
		hosts = append(hosts, dns)
	}
	return hosts
}

// namesApart refuses a service of which a name that is written, as its DNS name or a further one, is a host of another
// one: the proxy of a member that calls both on one port could not tell their requests apart, and Envoy refuses to have
// two of one name.
func (l *linker) namesApart() {
	for _, s := range l.mesh.Services {
		h := l.services[s.Name]
		if dns := s.Workload.DNS; dns != "" {
			l.nameApart(s, dns, h.field("workload.dns"), h.place.pos(h.spec.Workload.DNS.Pos))
		}
		for i, f := range h.spec.Hosts {
			if host := strings.ToLower(f.Value); slices.Contains(s.Further, host) {
				l.nameApart(s, host, h.field("hosts").index(i), h.place.pos(f.Pos))
			}
		}
	}
}

// nameApart refuses a name of a service that is a host of another one: one that Kubernetes' DNS answers for it on every
// port, and one that it writes on the same port. Where both write it, the second one is told.
func (l *linker) nameApart(s *ir.Service, name string, here place, pos source.Position) {
	for _, other := range l.mesh.Services {
		written := other.Workload.DNS == name || slices.Contains(other.Further, name)
		if other == s || !slices.Contains(l.hostsOf(other), name) ||
			written && (other.Name > s.Name || !hostsShared(s.Ports, other.Ports)) {
			continue
		}
		l.add(diag.HostTaken, here, fmt.Sprintf("%s is the service %s of the mesh", name, other.Name), pos, other.Pos)
	}
}

// hostsShared reports whether two have a port of one number whose calls are told apart by their hosts.
func hostsShared(a, b []ir.Port) bool {
	return slices.ContainsFunc(a, func(p ir.Port) bool {
		return slices.ContainsFunc(b, func(q ir.Port) bool {
			return p.Number == q.Number && byHost(p.Protocol, q.Protocol)
		})
	})
}
