package try

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
)

// truth is whether something is so, as far as that can be told.
type truth int

const (
	no truth = iota
	maybe
	yes
)

// refusal is the status with which a proxy refuses a request, 0 for none; transient when that is for load alone.
type refusal struct {
	status    int
	transient bool
}

// letIn is how the proxy of a service refuses a request that comes to one of its ports.
func (r *run) letIn(s *ir.Service, port *ir.Port, q *message) refusal {
	at, d := ir.ServiceRef(s.Name).String(), doorOf(s)
	switch status, decided := r.ruled(d, port, q); {
	case status != 0:
		return refusal{status: status}
	case decided:
		return r.askedToo(at, s)
	}
	if r.isHealthProbe(s, port, q) {
		r.step(at, s.Pos, "allowed as a health check")
		return refusal{}
	}
	r.nobodyAllows(d, port, q)
	return refusal{status: 403}
}

// deciding are the rules of a list that are surely about the request, in the order in which a proxy looks for one that
// matches, so the first of them decides; or else the one that decides of those that ask for what is not known of the
// request, and is content in the branch that is followed. Without a branch such a rule allows, is not sure, and does
// not deny.
func (r *run) deciding(
	d *door, rules []ir.Rule, port *ir.Port, q *message, deny bool,
) (list []*ir.Rule, sure bool) {
	type unsure struct {
		rule  *ir.Rule
		asked []question
	}
	var perhaps []unsure
	for i := range rules {
		switch is, asked := r.matches(d, &rules[i], port, q, deny); is {
		case yes:
			list = append(list, &rules[i])
		case maybe:
			perhaps = append(perhaps, unsure{&rules[i], asked})
		}
	}
	if len(list) > 0 {
		slices.SortFunc(list, asProxiesLook)
		return list, true
	}
	slices.SortFunc(perhaps, func(a, b unsure) int { return asProxiesLook(a.rule, b.rule) })
	for _, u := range perhaps {
		switch {
		case r.branch == nil:
			for i := range u.asked {
				r.undecided("%s", u.asked[i].on)
			}
			if list == nil && !deny {
				list = []*ir.Rule{u.rule}
			}
		case r.settle(u.asked):
			return []*ir.Rule{u.rule}, true
		}
	}
	return list, false
}

// asProxiesLook compares rules by their labels: Envoy keeps the policies of a filter in the order of their names.
func asProxiesLook(a, b *ir.Rule) int { return strings.Compare(a.Label(), b.Label()) }

// decide tells of a rule that decides.
func (r *run) decide(at string, rule *ir.Rule, does string) {
	if r.me.Name != "" && rule.Names(&r.me) && !rule.Says(&r.me) {
		does += ", which names another service with the same service account"
	}
	r.step(at, rule.Pos, does, rule.Name)
	r.Rules = append(r.Rules, rule)
}

// rulesNamed are rules in words: rule "a", or rules "a", "b".
func rulesNamed(rules []*ir.Rule) string {
	var names []string
	for _, rule := range rules {
		names = append(names, strconv.Quote(rule.Name))
	}
	if len(names) == 1 {
		return "rule " + names[0]
	}
	return "rules " + strings.Join(names, ", ")
}

// peers are the sender as a rule names it.
func (r *run) peers() string {
	switch r.me.Kind {
	case Outside:
		return "plaintext: true"
	case ir.KindIdentity:
		return fmt.Sprintf("identities: [%q]", r.me.Identity)
	}
	return fmt.Sprintf("%ss: [%q]", r.me.Kind, r.me.Name)
}

// askedToo is how a request that the rules let in is refused all the same.
func (r *run) askedToo(at string, s *ir.Service) refusal {
	if s.Authorizer != "" {
		r.step(at, s.Pos, "calls %s", s.Authorizer)
		if !r.passes(OnAuthorization, "it allows", "it refuses", guardService+"%s, which %s calls", s.Authorizer,
			s.Name) {
			return refusal{status: 403}
		}
	}
	if s.RateLimit != nil && !r.passes(OnRateLimit, "it is below the limit", "it is at the limit",
		"the current rate of requests to %s", s.Name) {
		return refusal{429, true}
	}
	return refusal{}
}

// token is the status with which the request is refused for its token, 0 for none.
func (r *run) token(at string, d *door, port *ir.Port, issuers []string) int {
	t := r.request.Token
	if r.hasBearer() {
		asked := question{kind: OnToken, key: bearerKey, on: guardToken}
		for _, name := range issuers {
			asked.alternatives = append(asked.alternatives, bearerOf+name)
		}
		if r.request.Partial && d.goesWithout(port) {
			asked.alternatives = append(asked.alternatives, noBearer)
		}
		asked.alternatives = append(asked.alternatives, "it is not")
		if asked.refuses = len(issuers) == 1; r.choose(&asked) == "it is not" {
			return 401
		}
		return 0
	}
	switch {
	case t != nil && !slices.Contains(issuers, t.Issuer):
		r.step(at, d.pos, "refuses its token: no rule accepts tokens of %s", t.Issuer)
		r.Write = fmt.Sprintf("jwt: issuer: %q in a rule of %s.allow, or a token of %s", t.Issuer, d.path,
			strings.Join(issuers, " or "))
		return 401
	case t == nil && !d.goesWithout(port):
		r.step(at, d.pos, "refuses it: every rule requires a token")
		r.Write = "a token of " + strings.Join(issuers, " or ")
		return 401
	}
	return 0
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
		return p.Is(&r.me)
	})
}

// matches reports whether a rule is about the request, and where that cannot be told what it asks for.
func (r *run) matches(
	d *door, rule *ir.Rule, port *ir.Port, q *message, deny bool,
) (is truth, asked []question) {
	if rule.Audit || !rule.Holds(port) || d.service != nil && !r.isFrom(rule, deny) ||
		!deny && rule.Over(r.request.now()) {
		return no, nil
	}
	if len(rule.Hosts) > 0 &&
		!slices.ContainsFunc(rule.Hosts, func(h string) bool { return RuleHost(h, q.host) }) {
		return no, nil
	}
	if len(rule.Methods) > 0 && !slices.Contains(rule.Methods, q.method) {
		return no, nil
	}
	if len(rule.Paths) > 0 && !slices.ContainsFunc(rule.Paths, func(p string) bool { return RulePath(p, q.path) }) {
		return no, nil
	}
	for _, h := range rule.Headers {
		if r.isSet(h.Name, q) {
			asked = append(asked, r.unknownHeader(h))
		} else if !Holds(h, q.values(h.Name)) {
			return no, nil
		}
	}
	if rule.JWT != nil {
		is, claims := r.isToken(rule.JWT)
		if is == no {
			return no, nil
		}
		asked = append(asked, claims...)
	}
	if rule.AsksCertificate() {
		is, shown := r.shows(rule)
		if is == no {
			return no, nil
		}
		asked = append(asked, shown...)
	}
	if rule.AsksClient() {
		is, shown := r.isClient(rule)
		if is == no {
			return no, nil
		}
		asked = append(asked, shown...)
	}
	if len(rule.IPRanges) > 0 {
		within := func(ip netip.Addr) bool {
			return slices.ContainsFunc(rule.IPRanges, func(p netip.Prefix) bool { return p.Contains(ip) })
		}
		if ip, on := r.addressAt(d, port, q); !ip.IsValid() {
			asked = append(asked, unknownAddress(d, on, within))
		} else if !within(ip) {
			return no, nil
		}
	}
	if len(asked) > 0 {
		return maybe, asked
	}
	return yes, nil
}

// isSet reports whether proxies write the header themselves, or it is not known for another reason.
func (r *run) isSet(name string, q *message) bool {
	switch {
	case slices.Contains(r.settled, name):
		return false
	case r.request.Partial && q.values(name) == nil:
		return true
	case !Written(r.mesh, name):
		return false
	}
	return slices.Contains(r.mesh.ClaimHeaders(), name) || header(r.request.Headers, name) == nil ||
		strings.HasPrefix(name, "x-") || name == "authorization"
}

// Written reports whether proxies, or clients by themselves, write a header, so that what a request says there is not
// all.
func Written(m *ir.Mesh, name string) bool {
	for _, prefix := range []string{
		"x-envoy-", "x-forwarded-", "x-request-id", "traceparent", "tracestate",
		"content-length", "transfer-encoding", "connection", "authorization", "user-agent", "accept",
	} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return slices.Contains(m.ClaimHeaders(), name)
}

// isToken reports whether the request's token is as a rule asks, and where that cannot be told what it asks for.
func (r *run) isToken(j *ir.JWTRule) (truth, []question) {
	t := r.request.Token
	if t == nil {
		if !r.hasBearer() || r.branch != nil && r.branch.known[bearerKey] != bearerOf+j.Issuer {
			return no, nil
		}
		return r.unknownClaims(j)
	}
	if t.Issuer != j.Issuer {
		return no, nil
	}
	for _, c := range j.Claims {
		said := t.Claims[c.Name]
		if slices.Contains(ir.SpacedClaims, c.Name) {
			said = strings.Fields(strings.Join(said, " "))
		}
		if !slices.ContainsFunc(c.Values, func(v string) bool { return slices.Contains(said, v) }) {
			return no, nil
		}
	}
	return yes, nil
}

// hasBearer reports whether the request has a token in its headers, or may have one, of which nobody here knows whether
// it is good.
func (r *run) hasBearer() bool {
	return r.request.Partial || strings.Contains(strings.ToLower(strings.Join(header(r.request.Headers, "authorization"), ",")), "bearer")
}

// RulePath reports whether a path is one that a pattern of a rule matches.
func RulePath(pattern, path string) bool {
	if prefix, below := strings.CutSuffix(pattern, "*"); below {
		return strings.HasPrefix(path, prefix)
	}
	return pattern == path
}
