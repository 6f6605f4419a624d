package serve

import (
	"time"

	"github.com/meshc/meshc/compiler/ir"
)

const (
	// stageTime is how long proxies may take for a stage of a change, until the next begins without those that have
	// not taken it; narrowTime is for a change that takes rights back, which are good for so long as it is on its way.
	stageTime  = 15 * time.Second
	narrowTime = 2 * time.Second
	// stageRest is how long a stage is served at least: a proxy says that it has taken something before its workers
	// act by it.
	stageRest = 500 * time.Millisecond
)

// advance begins to serve what is ahead.
func (s *Server) advance() {
	s.mesh, s.ahead, s.staged = s.ahead[0], s.ahead[1:], time.Now()
	s.live.setMesh(s.mesh, s.staged)
	s.refreshAll()
}

// refreshAll renders every node anew, and pushes what changed.
func (s *Server) refreshAll() {
	for _, n := range s.sortedNodes() {
		s.refresh(n)
	}
}

// advanceWhenTaken begins with the next stage of a change once every proxy has this one.
func (s *Server) advanceWhenTaken(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ahead) == 0 || now.Sub(s.staged) < stageRest {
		return
	}
	for _, n := range s.sortedNodes() {
		s.settle(n)
	}
	late := s.late()
	if len(late) > 0 && now.Sub(s.staged) < s.patience {
		return
	}
	for _, n := range late {
		n.silent = true
		s.logger(n.identity).Warn("a proxy has not taken a stage of the change; going on without it", "node", n.id)
	}
	s.advance()
}

// late are the proxies that have not taken all that they are to have, and for which a change waits. It does not wait for
// those that were late before and have acknowledged nothing since, nor for those that refused: they say nothing more.
func (s *Server) late() (out []*node) {
	for _, n := range s.sortedNodes() {
		if n.gone || n.silent || s.exception(n) != nil {
			continue
		}
		for url := range n.types {
			if n.state(url) == StateBehind {
				out = append(out, n)
				break
			}
		}
	}
	return out
}

// exception is that of the node's member; nil for none.
func (s *Server) exception(n *node) *ir.Exception {
	if m := s.goal(); m != nil {
		return m.Server.Excepted(n.memberKind, n.member)
	}
	return nil
}

// goal is the mesh that was loaded, and is served or on its way; nil for none.
func (s *Server) goal() *ir.Mesh {
	if n := len(s.ahead); n > 0 {
		return s.ahead[n-1]
	}
	return s.mesh
}
