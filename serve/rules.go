package serve

import (
	"time"

	"github.com/meshc/meshc/compiler/ir"
)

// ended is an allow rule of a service that has expired.
type ended struct {
	service *ir.Service
	rule    *ir.Rule
}

// endRules returns the allow rules that have expired since the last call. Deny rules are not returned, because
// removing one would allow more.
func (l *liveMesh) endRules(now time.Time) (over []ended) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ends.IsZero() || now.Before(l.ends) {
		return nil
	}
	for _, s := range l.view.mesh.Services {
		for i := range s.Allow {
			if r := &s.Allow[i]; r.Over(now) && !r.Until.Before(l.ends) {
				over = append(over, ended{s, r})
			}
		}
	}
	l.ends = nextEnd(l.view.mesh, now)
	return over
}

// endRules pushes to the proxies of services whose rules have expired.
func (s *Server) endRules(now time.Time) {
	over := s.live.endRules(now)
	for _, e := range over {
		s.log.Warn("the time of a rule is over; it lets nobody in any more",
			"service", e.service.Name, "rule", e.rule.Name, "until", e.rule.Until, "source", e.rule.Pos)
	}
	if len(over) > 0 {
		s.proxies.refreshAll()
	}
}

// nextEnd returns when the next allow rule expires; zero for never.
func nextEnd(m *ir.Mesh, now time.Time) (next time.Time) {
	for _, s := range m.Services {
		for i := range s.Allow {
			until := s.Allow[i].Until
			if !until.IsZero() && !s.Allow[i].Over(now) && (next.IsZero() || until.Before(next)) {
				next = until
			}
		}
	}
	return next
}
