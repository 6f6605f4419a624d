package serve

import (
	"time"

	"github.com/meshc/meshc/compiler/ir"
)

const (
	// stageTime is how long proxies may take for a stage of a change, until the next begins without those that have
	// not taken it.
	stageTime = 15 * time.Second
	// stageRest is how long a stage is served at least: a proxy says that it has taken something before its workers
	// act by it.
	stageRest = 500 * time.Millisecond
)

// advance begins to serve what is ahead.
func (s *Server) advance() {
	s.mesh, s.ahead, s.staged = s.ahead[0], s.ahead[1:], time.Now()
	s.serveAll()
}

// serveAll brings what is served up to the mesh as it is in force now, for every node.
func (s *Server) serveAll() {
	s.overlay()
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
	if late := s.late(); late != "" {
		if now.Sub(s.staged) < stageTime {
			return
		}
		s.log.Warn("a proxy has not taken a stage of the change; going on without it", "node", late)
	}
	s.advance()
}

// late is a proxy that has not taken all that it is to have; "" for none.
func (s *Server) late() string {
	for _, n := range s.sortedNodes() {
		if n.gone {
			continue
		}
		for url := range n.types {
			if n.state(url) != StateCurrent {
				return n.id
			}
		}
	}
	return ""
}

// goal is the mesh that was loaded, and is served or on its way; nil for none.
func (s *Server) goal() *ir.Mesh {
	if n := len(s.ahead); n > 0 {
		return s.ahead[n-1]
	}
	return s.mesh
}
