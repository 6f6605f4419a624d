package ir

import "time"

// LastHop is how the proxies of a service keep the connections to its own application, and those that come in.
type LastHop struct {
	// IdleTimeout ends a connection to the application without requests.
	IdleTimeout Duration `json:"idleTimeout"`
	// OpenIdleTimeout ends a connection to an open port on which nothing moves: no proxy of a caller does.
	OpenIdleTimeout Duration `json:"openIdleTimeout"`
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
	return out
}
