package ir

import "time"

// LastHop is how the proxies of a service keep the connections to its own application, and those that come in.
type LastHop struct {
	// IdleTimeout ends a connection to the application without requests.
	IdleTimeout Duration `json:"idleTimeout"`
	// OpenIdleTimeout ends a connection to an open port on which nothing moves: no proxy of a caller does.
	OpenIdleTimeout Duration `json:"openIdleTimeout"`
	// Max is how many connections to each port of the application a proxy has open at once, and MaxPending how many
	// requests wait for one; 0 for any number. To an application of HTTP/2 they bound nothing, as requests share
	// connections.
	Max        uint32 `json:"max,omitempty"`
	MaxPending uint32 `json:"maxPending,omitempty"`
	// KeepaliveTime, KeepaliveInterval and KeepaliveProbes are of connections that come in; 0 for the system's.
	KeepaliveTime     Duration `json:"keepaliveTime,omitempty"`
	KeepaliveInterval Duration `json:"keepaliveInterval,omitempty"`
	KeepaliveProbes   uint32   `json:"keepaliveProbes,omitempty"`
}

// applicationIdle is less than the five seconds after which Node.js and uvicorn close a connection, which would lose a
// request that is just on its way.
const applicationIdle = Duration(4 * time.Second)

// LastHopOf is what a service says of its connections, and else the mesh. To the application a connection is kept for
// no longer than the default where the service itself does not say so: the mesh speaks of proxies.
func LastHopOf(service, mesh *Traffic) LastHop {
	p := nearest(service, mesh)
	b := &p.Bounds
	out := LastHop{
		IdleTimeout: b.IdleTimeout.Value, OpenIdleTimeout: b.IdleTimeout.Value,
		KeepaliveTime: b.KeepaliveTime.Value, KeepaliveInterval: b.KeepaliveInterval.Value,
		KeepaliveProbes: b.KeepaliveProbes.Value,
	}
	if service.Connections.IdleTimeout == nil {
		out.IdleTimeout = min(out.IdleTimeout, applicationIdle)
	}
	if b.Max.Pos.IsValid() {
		out.Max, out.MaxPending = b.Max.Value, b.MaxPending.Value
	}
	return out
}

// Bounded reports whether the connections to the application on that port are bounded.
func (h *LastHop) Bounded(port *Port) bool { return h.Max > 0 && !port.Protocol.Multiplexed() }
