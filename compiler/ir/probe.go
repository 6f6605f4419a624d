package ir

import "github.com/meshc/meshc/compiler/source"

// Probe is a request of somebody without an identity, as the kubelet, that is let in
// without mutual TLS.
type Probe struct {
	// Port is the number that is probed on the instance's host.
	Port uint16     `json:"port"`
	Kind HealthKind `json:"kind"`
	// Path is asked for by HTTP.
	Path string          `json:"path,omitempty"`
	Pos  source.Position `json:"pos,omitzero"`
}

// ProbesOf are the probes that are requests to the port of that number, in the order
// written.
func (s *Service) ProbesOf(number uint16) []Probe {
	var out []Probe
	for _, p := range s.Probes {
		if p.Port == number && p.Kind != HealthTCP {
			out = append(out, p)
		}
	}
	return out
}

// PortAt is the port of the service that an instance has at that number; nil for
// none.
func (u *Upstream) PortAt(number uint16) *Port {
	for i := range u.Ports {
		if u.InstancePort(&u.Ports[i]) == number {
			return &u.Ports[i]
		}
	}
	return nil
}
