package serve

import (
	"cmp"

	"github.com/meshc/meshc/compiler/ir"
)

// Rollout is the progress with which the proxies of a server get its mesh.
type Rollout struct {
	// Mesh is the hash of the mesh that is served; empty for none.
	Mesh string
	// Proxies is the number of connected proxies, and Behind that of connected proxies that have not acknowledged
	// everything yet.
	Proxies, Behind int
	// Refused is the message of a proxy that refused something; empty if none did.
	Refused string
	// Excepted is the number of proxies that are behind or have refused something, and for which no change waits
	// (mesh.server.except). They are not counted in Behind, and their messages are not in Refused.
	Excepted int
	// Failure is the reason why a changed mesh is not served; empty if there is none.
	Failure string
}

// Rollout returns the progress of the connected proxies.
func (s *Server) Rollout() Rollout { return s.staging.rollout() }

// rollout is how far the proxies are with the mesh that was loaded.
func (p *proxies) rollout(goal *ir.Mesh) Rollout {
	nodes := p.sortedNodes()
	r := Rollout{Proxies: len(nodes)}
	for _, n := range nodes {
		behind, refused := n.progress()
		switch {
		case !behind && refused == "":
		case exception(goal, n) != nil:
			r.Excepted++
		default:
			r.Refused = cmp.Or(r.Refused, refused)
			if behind {
				r.Behind++
			}
		}
	}
	return r
}

// progress reports whether the node must still acknowledge something, and what it refused; "" for nothing.
func (n *node) progress() (behind bool, refused string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	behind = n.built == nil || len(n.stages) > 0
	for _, url := range sortedKeys(n.types) {
		switch n.state(url) {
		case StateBehind:
			behind = true
		case StateRefused:
			refused = cmp.Or(refused, n.id+": "+n.types[url].refusals[0].Reason)
		}
	}
	return behind, refused
}
