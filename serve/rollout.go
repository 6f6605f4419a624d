package serve

import (
	"cmp"

	"github.com/meshc/meshc/compiler/ir"
)

// Rollout is how far the proxies of a server are with its mesh.
type Rollout struct {
	// Mesh is the hash of the mesh that is served; empty for none.
	Mesh string
	// Proxies are those that are connected, Behind those of them that have not yet
	// acknowledged everything.
	Proxies, Behind int
	// Refused is what one of them said that refused something; empty when none did.
	Refused string
	// Excepted are those that are behind or have refused something, and for which no change waits (mesh.server.except).
	// They are not among Behind, and not in Refused.
	Excepted int
	// Failure is why a changed mesh is not served; empty when there is none.
	Failure string
}

// Rollout is how far the connected proxies are.
func (s *Server) Rollout() Rollout { return s.staging.rollout() }

// rollout is how far the proxies are with the mesh that was loaded.
func (p *proxies) rollout(goal *ir.Mesh) Rollout {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := Rollout{Proxies: len(p.nodes)}
	for _, n := range p.sortedNodes() {
		behind, refused := len(n.stages) > 0, ""
		for _, url := range sortedKeys(n.types) {
			switch n.state(url) {
			case StateBehind:
				behind = true
			case StateRefused:
				refused = cmp.Or(refused, n.id+": "+n.types[url].refusals[0].Reason)
			}
		}
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
