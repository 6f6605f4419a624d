package ir

// Health is how calling proxies probe the instances of a service.
type Health struct {
	Kind HealthKind `json:"kind"`
	// Path is asked for by HTTP, and Service of the gRPC health service; empty
	// for the whole server.
	Path           string   `json:"path,omitempty"`
	Service        string   `json:"service,omitempty"`
	Interval       Duration `json:"interval"`
	Timeout        Duration `json:"timeout"`
	UnhealthyAfter uint32   `json:"unhealthyAfter"`
	HealthyAfter   uint32   `json:"healthyAfter"`
}

// HealthKind is what a probe speaks.
type HealthKind string

// The kinds of probe.
const (
	HealthHTTP HealthKind = "http"
	HealthGRPC HealthKind = "grpc"
	HealthTCP  HealthKind = "tcp"
)

// GRPCHealthPath is the method that probes call (gRPC health checking protocol).
const GRPCHealthPath = "/grpc.health.v1.Health/Check"

// Probes reports whether instances are probed on the port.
func (h *Health) Probes(p *Port) bool {
	switch {
	case h == nil:
		return false
	case h.Kind == HealthHTTP:
		return p.Protocol.IsHTTP() && p.Protocol != GRPC
	case h.Kind == HealthGRPC:
		return p.Protocol.Multiplexed()
	}
	return true
}
