package serve

import (
	"context"
	"fmt"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/serve/lever"
)

// frozen is a lever that freezes changes; nil for none.
func (l *levers) frozen() *lever.Lever {
	for _, one := range l.inForce() {
		if one.Kind == lever.Freeze {
			return &one
		}
	}
	return nil
}

// hold keeps a changed mesh back while a lever freezes changes, and reports whether it does. It is called with the lock
// of setting held. The first mesh is taken: a server that begins has no other.
func (s *Server) hold(m *ir.Mesh, hash string) bool {
	by := s.levers.frozen()
	if by == nil || s.staging.mesh() == nil {
		s.held = nil
		return false
	}
	s.held = m
	s.staging.hold(hash, by)
	return true
}

// thaw takes meshes that were held, when no lever freezes changes any more, until the context ends.
func (s *Server) thaw(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.levers.thaw:
		}
		s.setting.Lock()
		if m := s.held; m != nil {
			s.held = nil
			if err := s.setMesh(m); err != nil {
				s.staging.fail(err.Error())
			}
		}
		s.setting.Unlock()
	}
}

// hold records that a changed mesh waits, as a lever freezes changes.
func (s *staging) hold(hash string, by *lever.Lever) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = fmt.Sprintf("changes are frozen until %s (%s: %s)", by.Until.UTC().Format(time.RFC3339), by.By, by.Reason)
	s.log.Warn("changes are frozen; the changed mesh waits", "hash", hash, "lever", by.ID, "until", by.Until)
}
