package istio

import (
	"strconv"

	networkingv1 "istio.io/api/networking/v1alpha3"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

// destinations are where a route of HTTP goes; nil when one of them cannot be reached.
func (b *binding) destinations(i int, list []*networkingv1.HTTPRouteDestination) []*spec.Destination {
	var out []*spec.Destination
	for n, d := range list {
		at := []string{"spec", "http", strconv.Itoa(i), "route", strconv.Itoa(n), "destination"}
		to := b.destination(d.Destination, at, "http")
		weight := importer.Take(&d.Weight)
		d.Destination = nil
		if to == nil {
			return nil
		}
		if len(list) > 1 {
			to.Weight = spec.Written(int(weight))
		}
		out = append(out, to)
	}
	return out
}

// destination is where requests, or connections, go that speak the protocol; nil when nobody is
// there.
func (b *binding) destination(d *networkingv1.Destination, at []string, protocol string) *spec.Destination {
	namespace := b.object.Metadata.Namespace
	s, part := b.Lookup(d.GetHost(), namespace), b.LookupPart(d.GetHost(), namespace)
	if s == nil && part != nil {
		s = part.Of
	}
	if s == nil {
		why := "no service that was read has the host " + d.GetHost()
		if b.externalOf(d.GetHost()) != nil {
			why = "routes lead to services of the mesh"
		}
		b.NotCarried(b.object, why+", and the route is left out", append(at, "host")...)
		return nil
	}
	out := &spec.Destination{}
	if s != b.service {
		out.Service = spec.Written(s.Name)
	}
	if subset := d.GetSubset(); subset != "" {
		if s.Spec.Versions[subset] == nil {
			b.NotCarried(b.object, "no DestinationRule that was read makes "+strconv.Quote(subset)+" of "+s.Name+
				", and the route is left out", append(at, "subset")...)
			return nil
		}
		out.Version = spec.Written(subset)
	}
	if part != nil && part.Version != "" {
		out.Version = spec.Written(part.Version)
	}
	port := s.Port(int(d.GetPort().GetNumber()))
	if part != nil {
		port = part.Port(int(d.GetPort().GetNumber()))
	}
	if d.GetPort() != nil && port == "" {
		b.NotCarried(b.object, s.Name+" has no such port, and the route is left out", append(at, "port")...)
		return nil
	}
	if len(s.Spec.Ports) > 1 && port != "" {
		out.Port = spec.Written(port)
	}
	for name := range s.Spec.Ports {
		if port == "" || port == name {
			s.Speaks(name, protocol)
		}
	}
	for name, p := range s.Spec.Ports {
		if protocol == "tcp" && (port == name || port == "" && len(s.Spec.Ports) == 1) && p.Protocol.Value != "tcp" &&
			p.Protocol.Value != "tls" {
			b.NotCarried(b.object, "connections go to a port of tcp or tls, and that of "+s.Name+" speaks "+
				p.Protocol.Value, at...)
			return nil
		}
	}
	if b.at != nil {
		b.at.spec.Uses[s.Name] = &spec.Use{}
		if !out.Version.IsSet() && protocol == "http" {
			b.through = append(b.through, through{b.object, at, s})
		}
	}
	return out
}
