package serve

import (
	"context"
	"slices"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/serve/lever"
)

// openPoll is how often it is asked whether the proxies of a service that is opened have acknowledged it.
const openPoll = 20 * time.Millisecond

// opened is a service with what levers let in for a time.
func (l *levers) opened(m *ir.Mesh, s *ir.Service) *ir.Service {
	return lever.Opened(l.inForce(), m, s)
}

// opens has the proxies of services take the rules of levers that open them, whenever those change, until the context
// ends.
func (s *Server) opens(ctx context.Context) {
	var before []lever.Lever
	for {
		now := s.levers.inForce()
		if m := s.live.now().mesh; m != nil && !slices.Equal(now, before) {
			for _, one := range slices.Concat(before, now) {
				if one.Kind == lever.Open {
					s.proxies.refreshLevered(m, &one)
				}
			}
			before = now
		}
		select {
		case <-ctx.Done():
			return
		case <-s.levers.reopen:
		}
	}
}

// openTaken waits until the proxies of a service that is opened, or closed again, have acknowledged it, and not longer
// than leverTime. It returns which have.
func (s *Server) openTaken(ctx context.Context, m *ir.Mesh, one *lever.Lever) map[string]bool {
	ctx, cancel := context.WithTimeout(ctx, leverTime)
	defer cancel()
	s.proxies.refreshLevered(m, one)
	for {
		nodes, all := map[string]bool{}, true
		for _, n := range s.proxies.sortedNodes() {
			if one.Concerns(m, n.memberKind, n.member, n.identity) {
				behind, refused := n.progress()
				nodes[n.id] = !behind && refused == ""
				all = all && nodes[n.id]
			}
		}
		if all || ctx.Err() != nil {
			return nodes
		}
		select {
		case <-ctx.Done():
		case <-time.After(openPoll):
		}
	}
}
