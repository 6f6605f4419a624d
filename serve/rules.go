package serve

import (
	"time"

	"github.com/meshc/meshc/compiler/ir"
)

// ended is an allow rule of a member that has expired.
type ended struct {
	member ir.Ref
	rule   *ir.Rule
}

// allowed calls yield with the allow rules of each member.
func allowed(m *ir.Mesh, yield func(member ir.Ref, rules []ir.Rule)) {
	for _, s := range m.Services {
		yield(ir.ServiceRef(s.Name), s.Allow)
	}
	for _, g := range m.Gateways {
		yield(ir.GatewayRef(g.Name), g.Allow)
	}
}

// endRules returns the allow rules that have expired since the last call. Deny rules are not returned, because
// removing one would allow more.
func (l *liveMesh) endRules(now time.Time) (over []ended) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ends.IsZero() || now.Before(l.ends) {
		return nil
	}
	allowed(l.view.mesh, func(member ir.Ref, rules []ir.Rule) {
		for i := range rules {
			if r := &rules[i]; r.Over(now) && !r.Until.Before(l.ends) {
				over = append(over, ended{member, r})
			}
		}
	})
	l.ends = nextEnd(l.view.mesh, now)
	return over
}

// endRules pushes to the proxies of members whose rules have expired.
func (s *Server) endRules(now time.Time) {
	over := s.live.endRules(now)
	for _, e := range over {
		s.log.Warn("the time of a rule is over; it lets nobody in any more",
			string(e.member.Kind), e.member.Name, "rule", e.rule.Name, "until", e.rule.Until, "source", e.rule.Pos)
	}
	if len(over) > 0 {
		s.proxies.refreshAll()
	}
}

// nextEnd returns when the next allow rule expires; zero for never.
func nextEnd(m *ir.Mesh, now time.Time) (next time.Time) {
	allowed(m, func(_ ir.Ref, rules []ir.Rule) {
		for i := range rules {
			until := rules[i].Until
			if !until.IsZero() && !rules[i].Over(now) && (next.IsZero() || until.Before(next)) {
				next = until
			}
		}
	})
	return next
}
