package istio

import (
	"slices"
	"strconv"

	networkingv1 "istio.io/api/networking/v1alpha3"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

// streams are the routes of connections: a listener's go to one service.
func (b *binding) streams() {
	for i, r := range b.Tcp {
		ports := map[uint32]bool{}
		for _, match := range r.Match {
			ports[importer.Take(&match.Port)] = true
			match.Gateways = nil
		}
		if !importer.IsEmpty(r.Match) {
			continue
		}
		at := []string{"spec", "tcp", strconv.Itoa(i)}
		to := b.streamTo(at, importer.Take(&r.Route))
		for _, s := range b.at.servers {
			if to == nil || !b.isBound(s) || !s.tcp ||
				len(ports) > 0 && !ports[0] && !ports[uint32(s.listener.Port.Value)] {
				continue
			}
			if s.listener.To != nil {
				b.NotCarried(b.object, "the connections of port "+strconv.Itoa(s.listener.Port.Value)+" go to "+
					s.listener.To.Service.Value+" already", at...)
				continue
			}
			s.listener.To = to
		}
	}
	for i, r := range b.Tls {
		var names []string
		for _, match := range r.Match {
			names = append(names, importer.Take(&match.SniHosts)...)
			match.Port, match.Gateways = 0, nil
		}
		if !importer.IsEmpty(r.Match) {
			continue
		}
		to := b.streamTo([]string{"spec", "tls", strconv.Itoa(i)}, importer.Take(&r.Route))
		for _, s := range b.at.servers {
			if to != nil && b.isBound(s) && s.tls {
				b.split(s, names, to)
			}
		}
	}
}

// isBound reports whether a server is of the Gateway that the binding is to.
func (b *binding) isBound(s *server) bool {
	return s.of == qualified(b.gateway, b.object.Metadata.Namespace)
}

// split gives connections for the names in their handshake a listener of their own.
func (b *binding) split(s *server, names []string, to *spec.ListenerTo) {
	var hosts []string
	for _, name := range names {
		for _, both := range s.takes(name, b.object.Metadata.Namespace) {
			if !slices.Contains(hosts, both) {
				hosts = append(hosts, both)
			}
		}
	}
	if len(hosts) == 0 {
		return
	}
	l := *s.listener
	l.Hosts, l.To, s.split = spec.WrittenAll(hosts...), to, true
	b.at.spec.Listeners[importer.Free(b.at.spec.Listeners, s.name+"-"+to.Service.Value)] = &l
}

// streamTo is where a route's connections go; nil when that cannot be said.
func (b *binding) streamTo(at []string, list []*networkingv1.RouteDestination) *spec.ListenerTo {
	if len(list) != 1 {
		b.NotCarried(b.object, "a listener's connections go to one service", append(at, "route")...)
		return nil
	}
	to := b.destination(list[0].Destination, append(at, "route", "0", "destination"), "tcp")
	if to == nil {
		return nil
	}
	return &spec.ListenerTo{Service: to.Service, Port: to.Port, Version: to.Version}
}
