package importer

import (
	"fmt"
	"slices"

	"github.com/meshc/meshc/compiler/spec"
)

// Destination returns the service, or the version of one, that the Service of this namespace and name is; nil, and a
// finding at the place, if none was read, it has no port of this number or speaks something else there. A number of 0
// is for any port. At is the service in whose routes the destination stands, nil for a gateway; the protocol, http,
// grpc or tcp, is that of a port of which nothing else says it.
func (m *Mesh) Destination(o *Object, namespace, name string, number int, at *Service, protocol string, where ...string,
) *spec.Destination {
	s, part := m.Service(namespace, name), m.Part(namespace, name)
	if s == nil && part != nil {
		s = part.Of
	}
	if s == nil {
		m.NotCarried(o, "no Service "+namespace+"/"+name+" was read", append(where, "name")...)
		return nil
	}
	out := &spec.Destination{}
	if part != nil && part.Version != "" {
		out.Version = spec.Written(part.Version)
	}
	if s != at {
		out.Service = spec.Written(s.Name)
	}
	if number == 0 {
		return out
	}
	port := s.Port(number)
	if part != nil {
		port = part.Port(number)
	}
	if port == "" {
		m.NotCarried(o, fmt.Sprintf("the Service %s has no port %d", s.Name, number), append(where, "port")...)
		return nil
	}
	s.Speaks(port, protocol)
	opaque := slices.Contains([]string{"tcp", "tls"}, s.Spec.Ports[port].Protocol.Value)
	switch said := s.Spec.Ports[port].Protocol.Value; {
	case protocol == "tcp" && !opaque:
		m.NotCarried(o, "connections go to a port of tcp or tls, and that of "+s.Name+" speaks "+said,
			append(where, "port")...)
		return nil
	case protocol != "tcp" && opaque:
		m.NotCarried(o, "port "+port+" of "+s.Name+" speaks "+said+", and a member is reached by mutual TLS with the "+
			"certificates of the mesh alone: let the application speak HTTP there", append(where, "port")...)
		return nil
	}
	if len(s.Spec.Ports) > 1 {
		out.Port = spec.Written(port)
	}
	return out
}
