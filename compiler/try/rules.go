package try

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
)

// truth is whether something is so, as far as that can be told.
type truth int

const (
	no truth = iota
	maybe
	yes
)

// letIn is the status with which the proxy of a service refuses a request that comes to one of its ports, 0 for none.
func (r *run) letIn(s *ir.Service, port *ir.Port, q *message) int {
	at := "service " + s.Name
	if issuers := s.TokenIssuers(port); len(issuers) > 0 {
		if status := r.token(at, s, port, issuers); status != 0 {
			return status
		}
	}
	doubt := false
	for i := range s.Deny {
		rule := &s.Deny[i]
		switch r.matches(s, rule, port, q, true) {
		case yes:
			r.decide(at, rule, "denies it by the rule %q")
			r.Write = fmt.Sprintf("take it out of the rule %q of services.%s.deny", rule.Name, s.Name)
			return 403
		case maybe:
			doubt = true
		}
	}
	for i := range s.Allow {
		rule := &s.Allow[i]
		switch r.matches(s, rule, port, q, false) {
		case yes:
			r.decide(at, rule, "lets it in by the rule %q")
			r.askedToo(at, s)
			return 0
		case maybe:
			doubt = true
		}
	}
	if r.isHealthProbe(s, port, q) {
		r.step(at, s.Pos, "lets it in as a health check")
		return 0
	}
	if doubt {
		r.step(at, s.Pos, "lets it in or not: its rules ask for what is not known of the request")
		return 0
	}
	r.step(at, s.Pos, "lets it not in: no rule allows it")
	r.Write = fmt.Sprintf("add {from: %s, ports: [%q], methods: [%q], paths: [%q]} to services.%s.allow", r.peers(), port.Name, q.method, q.path, s.Name)
	return 403
}

// decide tells of a rule that decides.
func (r *run) decide(at string, rule *ir.Rule, does string) {
	r.step(at, rule.Pos, does, rule.Name)
	r.Rules = append(r.Rules, rule)
}

// peers are the sender as a rule names it.
func (r *run) peers() string {
	switch r.me.Kind {
	case Outside:
		return "plaintext: true"
	case Identity:
		return fmt.Sprintf("identities: [%q]", r.me.Identity)
	}
	return fmt.Sprintf("%ss: [%q]", r.me.Kind, r.me.Name)
}

// askedToo tells of what may still refuse a request that the rules let in.
func (r *run) askedToo(at string, s *ir.Service) {
	if s.Authorizer != "" {
		r.step(at, s.Pos, "asks %s", s.Authorizer)
		r.undecided("the answer of the authorization service %s, which %s asks", s.Authorizer, s.Name)
	}
	if s.RateLimit != nil {
		r.undecided("how many requests %s takes at the time: it bounds them", s.Name)
	}
}

// token is the status with which the request is refused for its token, 0 for none.
func (r *run) token(at string, s *ir.Service, port *ir.Port, issuers []string) int {
	t := r.request.Token
	if r.hasBearer() {
		r.undecided("whether the token in its header authorization is good")
		return 0
	}
	switch {
	case t != nil && !slices.Contains(issuers, t.Issuer):
		r.step(at, s.Pos, "refuses its token: no rule asks for one of %s", t.Issuer)
		r.Write = fmt.Sprintf("jwt: issuer: %q in a rule of services.%s.allow, or a token of %s", t.Issuer, s.Name, strings.Join(issuers, " or "))
		return 401
	case t == nil && !goesWithout(s, port):
		r.step(at, s.Pos, "refuses it: every rule asks for a token")
		r.Write = "a token of " + strings.Join(issuers, " or ")
		return 401
	}
	return 0
}

// goesWithout reports whether something is let in without a token.
func goesWithout(s *ir.Service, port *ir.Port) bool {
	probes := s.Health.Probes(port) && s.Health.Kind != ir.HealthTCP
	return probes || slices.ContainsFunc(s.Allow, func(r ir.Rule) bool { return !r.Audit && r.JWT == nil && r.Holds(port) })
}

// isHealthProbe reports whether the request is what callers probe the service by, of one who may call.
func (r *run) isHealthProbe(s *ir.Service, port *ir.Port, q *message) bool {
	h := s.Health
	if !h.Probes(port) || h.Kind == ir.HealthTCP {
		return false
	}
	method, path := "GET", h.Path
	if h.Kind == ir.HealthGRPC {
		method, path = "POST", ir.GRPCHealthPath
	}
	path, _, _ = strings.Cut(path, "?")
	return q.method == method && q.path == path && slices.ContainsFunc(s.Allow, func(rule ir.Rule) bool {
		return !rule.Audit && rule.Holds(port) && r.isFrom(&rule, false)
	})
}

// isFrom reports whether the sender is one of a rule's callers.
func (r *run) isFrom(rule *ir.Rule, deny bool) bool {
	return slices.ContainsFunc(rule.From, func(p ir.Peer) bool {
		switch {
		case p.Kind == ir.KindPlaintext:
			return r.me.Kind == Outside
		case p.Kind == ir.KindAnyone && deny:
			return true
		case r.me.Kind == Outside:
			return false
		case p.Kind == ir.KindAnyone:
			return strings.HasPrefix(r.me.Identity.String(), r.mesh.Domain())
		}
		return p.Is(r.me.Kind, r.me.Name, r.me.Identity)
	})
}

// matches reports whether a rule is about the request.
func (r *run) matches(s *ir.Service, rule *ir.Rule, port *ir.Port, q *message, deny bool) truth {
	if rule.Audit || !rule.Holds(port) || !r.isFrom(rule, deny) || !deny && rule.Over(r.request.now()) {
		return no
	}
	if len(rule.Methods) > 0 && !slices.Contains(rule.Methods, q.method) {
		return no
	}
	if len(rule.Paths) > 0 && !slices.ContainsFunc(rule.Paths, func(p string) bool { return RulePath(p, q.path) }) {
		return no
	}
	out := yes
	for _, h := range rule.Headers {
		if r.isSet(h.Name) {
			r.undecided("the header %s, which proxies or applications on the way write", h.Name)
			out = min(out, maybe)
			continue
		}
		if !Holds(h, q.values(h.Name)) {
			return no
		}
	}
	if rule.JWT != nil {
		if is := r.isToken(rule.JWT); is == no {
			return no
		} else {
			out = min(out, is)
		}
	}
	if len(rule.IPRanges) > 0 {
		if !r.request.IP.IsValid() {
			r.undecided("the address that it comes from (--ip), for the rule %q of %s", rule.Name, s.Name)
			return min(out, maybe)
		}
		if !slices.ContainsFunc(rule.IPRanges, func(p netip.Prefix) bool { return p.Contains(r.request.IP) }) {
			return no
		}
	}
	return out
}

// isSet reports whether proxies write the header themselves.
func (r *run) isSet(name string) bool {
	if !Written(r.mesh, name) {
		return false
	}
	return slices.Contains(r.mesh.ClaimHeaders(), name) || header(r.request.Headers, name) == nil || strings.HasPrefix(name, "x-") || name == "authorization"
}

// Written reports whether proxies, or clients by themselves, write a header, so that what a request says there is not all.
func Written(m *ir.Mesh, name string) bool {
	for _, prefix := range []string{"x-envoy-", "x-forwarded-", "x-request-id", "traceparent", "tracestate", "content-length", "transfer-encoding", "connection", "authorization", "user-agent", "accept"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return slices.Contains(m.ClaimHeaders(), name)
}

func (r *run) isToken(j *ir.JWTRule) truth {
	t := r.request.Token
	if t == nil {
		if r.hasBearer() {
			return maybe
		}
		return no
	}
	if t.Issuer != j.Issuer {
		return no
	}
	for _, c := range j.Claims {
		said := t.Claims[c.Name]
		if slices.Contains(ir.SpacedClaims, c.Name) {
			said = strings.Fields(strings.Join(said, " "))
		}
		if !slices.ContainsFunc(c.Values, func(v string) bool { return slices.Contains(said, v) }) {
			return no
		}
	}
	return yes
}

// hasBearer reports whether the request has a token in its headers, of which nobody here knows whether it is
// good.
func (r *run) hasBearer() bool {
	return strings.Contains(strings.ToLower(strings.Join(header(r.request.Headers, "authorization"), ",")), "bearer")
}

// RulePath reports whether a path is one that a pattern of a rule matches.
func RulePath(pattern, path string) bool {
	if prefix, below := strings.CutSuffix(pattern, "*"); below {
		return strings.HasPrefix(path, prefix)
	}
	return pattern == path
}

// letsConnect reports whether a connection below HTTP is let in.
func (r *run) letsConnect(s *ir.Service, port *ir.Port) bool {
	at, q := "service "+s.Name, &message{}
	for i := range s.Deny {
		if rule := &s.Deny[i]; r.matches(s, rule, port, q, true) == yes {
			r.decide(at, rule, "denies it by the rule %q")
			return false
		}
	}
	for i := range s.Allow {
		if rule := &s.Allow[i]; r.matches(s, rule, port, q, false) == yes {
			r.decide(at, rule, "lets the connection in by the rule %q")
			return true
		}
	}
	r.step(at, source.Position{}, "closes the connection: no rule allows it")
	return false
}
