package link

import (
	"fmt"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

// pathMatch is how a path is matched, and the template that it was written as.
func (l *linker) pathMatch(here place, m *spec.PathMatch) (ir.PathMatch, template) {
	if m == nil {
		return ir.PathMatch{}, template{}
	}
	var out ir.PathMatch
	var written choice
	for _, alternative := range []struct {
		name  string
		kind  ir.MatchKind
		field spec.Field[string]
	}{{"exact", ir.MatchExact, m.Exact}, {"prefix", ir.MatchPrefix, m.Prefix}, {"regex", ir.MatchRegex, m.Regex}} {
		written.add(alternative.name, alternative.field.IsSet())
		if alternative.field.IsSet() {
			out = ir.PathMatch{Kind: alternative.kind, Value: alternative.field.Value}
		}
	}
	var t template
	written.add("template", m.Template.IsSet())
	if m.Template.IsSet() {
		t = l.template(here.field("template"), m.Template)
		out = ir.PathMatch{Kind: ir.MatchRegex, Value: t.regex}
	}
	if len(written) != 1 {
		l.add(diag.ExactlyOneOf, here,
			fmt.Sprintf("path has %d of exact, prefix, regex and template, and must have exactly one", len(written)),
			here.pos(m.Pos)).
			hint("%s", written.instead(`path: prefix: "/api/"`))
	}
	if m.Regex.IsSet() {
		l.regex(here.field("regex"), m.Regex.Value, here.pos(m.Regex.Pos))
	} else if written := m.Exact.Value + m.Prefix.Value + m.Template.Value; strings.ContainsAny(written, "?#") {
		l.add(diag.BadFormat, here, fmt.Sprintf("%q has a query or a fragment; a path is matched without them",
			written), here.pos(m.Pos)).
			hint("match query parameters with match: query")
	} else {
		l.inOrder(here, written, m.Prefix.IsSet(), m.Template.IsSet(), here.pos(m.Pos))
	}
	return out, t
}

// grpcMatch is the path of calls of gRPC: /SERVICE/METHOD (gRPC over HTTP/2).
func (l *linker) grpcMatch(here place, m *spec.Match) ir.PathMatch {
	service, method := m.GRPC.Service, m.GRPC.Method
	if m.Path != nil {
		l.add(diag.ExactlyOneOf, here, "grpc and path both match the path", here.pos(m.GRPC.Pos), here.pos(m.Path.Pos)).
			hint("remove one of them")
	}
	switch {
	case service.IsSet() && method.IsSet():
		return ir.PathMatch{Kind: ir.MatchExact, Value: "/" + service.Value + "/" + method.Value}
	case service.IsSet():
		return ir.PathMatch{Kind: ir.MatchPrefix, Value: "/" + service.Value + "/"}
	case method.IsSet():
		return ir.PathMatch{Kind: ir.MatchRegex, Value: "/[^/]+/" + method.Value}
	}
	l.add(diag.EmptyList, here, "grpc names neither a service nor a method", here.pos(m.GRPC.Pos)).
		hint(`grpc: service: "shop.Checkout"`)
	return ir.PathMatch{}
}

// headerMatches are matches of headers, whose names requests can carry.
func (l *linker) headerMatches(here place, matches map[string]*spec.StringMatch) []ir.StringMatch {
	for _, name := range sortedKeys(matches) {
		l.sendable(here.field(name), name, here.pos(matches[name].Pos))
	}
	return l.stringMatches(here, matches)
}

// queryMatches are matches of query parameters, which are compared as they are sent.
func (l *linker) queryMatches(here place, matches map[string]*spec.StringMatch) []ir.StringMatch {
	out := l.stringMatches(here, matches)
	for _, m := range out {
		if m.Kind != ir.MatchRegex &&
			strings.ContainsFunc(m.Name+m.Value,
				func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '#' || r == '&' }) {
			l.add(diag.BadFormat, here.field(m.Name),
				fmt.Sprintf("no query can have %s=%s: it has a character that is always sent percent-encoded", m.Name,
					m.Value), here.pos(matches[m.Name].Pos)).
				hint("write it as %%XX, as clients send it")
		}
	}
	return out
}

func (l *linker) stringMatches(here place, matches map[string]*spec.StringMatch) []ir.StringMatch {
	var out []ir.StringMatch
	for _, name := range sortedKeys(matches) {
		m := matches[name]
		at := here.field(name)
		match := ir.StringMatch{Name: name, Invert: m.Invert.Value}
		var written choice
		for _, alternative := range []struct {
			name  string
			kind  ir.MatchKind
			field spec.Field[string]
		}{
			{"exact", ir.MatchExact, m.Exact},
			{"prefix", ir.MatchPrefix, m.Prefix},
			{"suffix", ir.MatchSuffix, m.Suffix},
			{"regex", ir.MatchRegex, m.Regex},
		} {
			written.add(alternative.name, alternative.field.IsSet())
			if alternative.field.IsSet() {
				match.Kind, match.Value = alternative.kind, alternative.field.Value
			}
		}
		written.add("present", m.Present.IsSet())
		if m.Present.IsSet() {
			match.Kind = ir.MatchAbsent
			if m.Present.Value != m.Invert.Value {
				match.Kind = ir.MatchPresent
			}
			match.Invert = false
		}
		if len(written) != 1 {
			l.add(diag.ExactlyOneOf, at,
				fmt.Sprintf("%s has %d of exact, prefix, suffix, regex and present, and must have exactly one", name,
					len(written)), here.pos(m.Pos)).
				hint("%s", written.instead(fmt.Sprintf("%q: present: true", name)))
			continue
		}
		if match.Kind == ir.MatchRegex {
			l.regex(at.field("regex"), match.Value, here.pos(m.Regex.Pos))
		}
		out = append(out, match)
	}
	return out
}

// describe is a match in words: the name of a route that was given none.
func describe(m ir.Match) string {
	var words []string
	if m.Method != "" {
		words = append(words, m.Method)
	}
	words = append(words, m.Host+describePath(m.Path))
	for _, h := range m.Headers {
		words = append(words, "header "+describeString(h))
	}
	for _, q := range m.Query {
		words = append(words, "query "+describeString(q))
	}
	if m.Listeners != nil {
		words = append(words, "at "+strings.Join(m.Listeners, ", "))
	}
	name := strings.TrimSpace(strings.Join(words, " "))
	if name == "" {
		return "default"
	}
	return name
}

func describePath(p ir.PathMatch) string {
	switch p.Kind {
	case ir.MatchPrefix:
		return p.Value + "*"
	case ir.MatchRegex:
		return "~" + p.Value
	}
	return p.Value
}

func describeString(m ir.StringMatch) string {
	equals, like := "=", "~"
	if m.Invert {
		equals, like = "!=", "!~"
	}
	switch m.Kind {
	case ir.MatchExact:
		return m.Name + equals + m.Value
	case ir.MatchPrefix:
		return m.Name + equals + m.Value + "*"
	case ir.MatchSuffix:
		return m.Name + equals + "*" + m.Value
	case ir.MatchRegex:
		return m.Name + like + m.Value
	case ir.MatchAbsent:
		return "no " + m.Name
	}
	return m.Name
}
