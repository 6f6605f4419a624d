package review

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
)

// Caller is a rule that lets somebody in, or takes that back.
type Caller struct {
	Rule string          `json:"rule,omitempty"`
	From []string        `json:"from"`
	For  string          `json:"for"`
	Pos  source.Position `json:"source,omitzero"`
}

// sameAccount is said of whom a rule is about without naming it.
const sameAccount = " (the same service account)"

// sharing names the other services that have the identity of one, for whom its rules hold too.
func sharing(m *ir.Mesh, p *ir.Peer) []string {
	var out []string
	if p.Name != "" {
		for _, other := range m.Sharing(p) {
			out = append(out, other.Ref().String())
		}
	}
	return out
}

func callers(m *ir.Mesh, rules []ir.Rule) []Caller {
	var out []Caller
	for i := range rules {
		r := &rules[i]
		c := Caller{Rule: r.Name, For: permission(r), Pos: r.Pos}
		for _, p := range r.From {
			c.From = append(c.From, p.String())
		}
		for k := range r.From {
			for _, other := range sharing(m, &r.From[k]) {
				if !slices.Contains(c.From, other) && !slices.Contains(c.From, other+sameAccount) {
					c.From = append(c.From, other+sameAccount)
				}
			}
		}
		out = append(out, c)
	}
	return out
}

// permission is what a rule is about, in words.
func permission(r *ir.Rule) string {
	words := []string{"all requests"}
	if len(r.Methods) > 0 || len(r.Paths) > 0 {
		words = append(slices.Clone(r.Methods), r.Paths...)
	}
	if len(r.Ports) > 0 {
		words = append(words, "on "+strings.Join(r.Ports, ", "))
	}
	for _, h := range r.Headers {
		text := fmt.Sprintf("with %s %s %q", h.Name, h.Kind, h.Value)
		if h.Kind == ir.MatchPresent || h.Kind == ir.MatchAbsent {
			text = fmt.Sprintf("with %s %s", h.Name, h.Kind)
		}
		if h.Invert {
			text = "not " + text
		}
		words = append(words, text)
	}
	if r.JWT != nil {
		text := "with a token of " + r.JWT.Issuer
		for _, c := range r.JWT.Claims {
			text += fmt.Sprintf(" that says %s=%s", c.Name, strings.Join(c.Values, "|"))
		}
		words = append(words, text)
	}
	for i, prefix := range r.IPRanges {
		words = append(words, map[bool]string{true: "from ", false: "or "}[i == 0]+prefix.String())
	}
	if !r.Until.IsZero() {
		words = append(words, "until "+r.Until.Format(time.RFC3339))
	}
	if r.Audit {
		words = append(words, "(audited, not enforced)")
	}
	return strings.Join(words, " ")
}
