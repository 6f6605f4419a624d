package serve

import (
	"slices"
	"time"

	"github.com/meshc/meshc/compiler/ir"
)

// endRules takes the rules of allow out whose time is over, and tells the proxies. Rules
// of deny stay: that one is over opens nothing.
func (s *Server) endRules(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.nextEnd.IsZero() || now.Before(s.nextEnd) {
		return
	}
	for _, service := range s.mesh.Services {
		for i := range service.Allow {
			if r := &service.Allow[i]; r.Over(now) && !r.Until.Before(s.nextEnd) {
				s.log.Warn("the time of a rule is over; it lets nobody in any more", "service", service.Name, "rule", r.Name, "until", r.Until, "source", r.Pos)
			}
		}
	}
	s.serveAll()
}

// inForce is the service without the rules of allow that are over, and when the next
// one will be; zero for never.
func inForce(s *ir.Service, now time.Time) (*ir.Service, time.Time) {
	var next time.Time
	over := false
	for i := range s.Allow {
		switch until := s.Allow[i].Until; {
		case until.IsZero():
		case s.Allow[i].Over(now):
			over = true
		case next.IsZero() || until.Before(next):
			next = until
		}
	}
	if !over {
		return s, next
	}
	copied := *s
	copied.Allow = slices.DeleteFunc(slices.Clone(s.Allow), func(r ir.Rule) bool { return r.Over(now) })
	return &copied, next
}
