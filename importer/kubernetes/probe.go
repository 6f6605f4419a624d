package kubernetes

import "github.com/meshc/meshc/importer"

// ownPorts are the ports of a service, by the numbers on which its application listens.
func (m *reader) ownPorts(s *importer.Service) map[int]importer.OwnPort {
	out := map[int]importer.OwnPort{}
	a := m.access[s.Name]
	for name, p := range s.Spec.Ports {
		kind := importer.Strict
		switch {
		case a == nil || a.ranges[everywhere][name]:
			kind = importer.Ruled
		case len(a.ranges) > 0:
			kind = importer.Bounded
		case p.Protocol.Value == "http":
			kind = importer.StrictHTTP
		}
		out[p.Target.Or(p.Port.Value)] = kind
	}
	return out
}
