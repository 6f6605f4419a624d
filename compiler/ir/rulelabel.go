package ir

import (
	"fmt"
	"strings"
)

// HealthRule is the label of the rule that lets callers probe a service; no rule's name is like it.
const HealthRule = "(health)"

// Label names a rule in metrics and logs, with its place in the spec: "frontend services/cart/service.cue:18:10".
func (r *Rule) Label() string {
	if !r.Pos.IsValid() {
		return r.Name
	}
	return r.Name + " " + r.Pos.String()
}

// LabelledRule is a rule by the label that it has at a proxy, where no two have the same.
type LabelledRule struct {
	Label string
	*Rule
}

// RulesOn are those of the rules that can match anything on a port: those that are only audited, or the others.
func RulesOn(rules []Rule, port *Port, audit bool) []LabelledRule {
	var out []LabelledRule
	taken := map[string]bool{}
	for i := range rules {
		r := &rules[i]
		if r.Audit != audit || !r.Holds(port) {
			continue
		}
		label := r.Label()
		for n := 2; taken[label]; n++ {
			label = fmt.Sprintf("%s (%d)", r.Label(), n)
		}
		taken[label] = true
		out = append(out, LabelledRule{label, r})
	}
	return out
}

// PeersOn are those whom some of the rules lets in on a port, each once.
func PeersOn(allow []Rule, port *Port) []Peer {
	var out []Peer
	known := map[string]bool{}
	for _, r := range RulesOn(allow, port, false) {
		for _, p := range r.From {
			key := p.String()
			if !p.Identity.IsZero() {
				key = p.Identity.String() // services with one account are one caller
			}
			if !known[key] {
				known[key] = true
				out = append(out, p)
			}
		}
	}
	return out
}

// Foreign reports whether the peer is one of another trust domain, or several.
func (s *Settings) Foreign(p *Peer) bool {
	return p.Kind == KindIdentity && !strings.HasPrefix(p.Pattern, s.Domain())
}

// ForeignPatterns are those of the peers that stand for all callers of another trust domain below a path. Metrics have
// the pattern in the place of such a caller: the other domain signs as many identities as it likes.
func (s *Settings) ForeignPatterns(peers []Peer) []string {
	var out []string
	for i := range peers {
		if p := &peers[i]; strings.HasSuffix(p.Pattern, "*") && s.Foreign(p) {
			out = append(out, p.Pattern)
		}
	}
	return out
}
