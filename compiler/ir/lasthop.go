package ir

import "time"

// LastHop is how the proxies of a service keep the connections to its own application.
type LastHop struct {
	// IdleTimeout ends one without requests.
	IdleTimeout Duration `json:"idleTimeout"`
}

// applicationIdle is less than the five seconds after which Node.js and uvicorn close a connection, which would lose a
// request that is just on its way.
const applicationIdle = Duration(4 * time.Second)

// LastHopOf is what a service says of its connections, and else what the mesh says where that is stricter than the default:
// the mesh speaks of proxies.
func LastHopOf(service, mesh *Connections) LastHop {
	switch {
	case service.IdleTimeout != nil:
		return LastHop{service.IdleTimeout.Value}
	case mesh.IdleTimeout != nil:
		return LastHop{min(mesh.IdleTimeout.Value, applicationIdle)}
	}
	return LastHop{applicationIdle}
}
