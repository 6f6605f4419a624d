package ir

import (
	"regexp"
	"strings"
)

// Rewrite changes what a request asks for. What is empty stays.
type Rewrite struct {
	Path *PathRewrite `json:"path,omitempty"`
	Host string       `json:"host,omitempty"`
}

// PathRewrite changes a path; the query stays. Exactly one of Prefix and Pattern
// is set.
type PathRewrite struct {
	// Prefix takes the place of what the route matched.
	Prefix string `json:"prefix,omitempty"`
	// Pattern (RE2) is replaced wherever it matches, by Substitution, in which
	// "\1" is its first group.
	Pattern      string `json:"pattern,omitempty"`
	Substitution string `json:"substitution,omitempty"`
}

// PathRewrite is how the route rewrites a path; nil for not at all.
func (r *Route) PathRewrite() *PathRewrite {
	if r.Rewrite == nil {
		return nil
	}
	return r.Rewrite.Path
}

// RewrittenPath is what happens to the paths of requests that go by one route, or by a gateway's
// and then the service's own, as a pattern that is replaced; false when they stay. Two
// rewrites of prefixes are made one, as Envoy rewrites once.
func RewrittenPath(by []*Route) (pattern, substitution string, ok bool) {
	first, last := by[0], by[len(by)-1]
	outer, own := first.PathRewrite(), last.PathRewrite()
	switch {
	case len(by) == 1 || outer == nil:
		if own == nil {
			return "", "", false
		}
		pattern, substitution = own.Regex(last.Match.Path)
	case own == nil:
		pattern, substitution = outer.Regex(first.Match.Path)
	default:
		before, rest, _ := outer.Behind(first.Match.Path, last.Match.Path)
		both := &PathRewrite{Prefix: own.Prefix + rest}
		if last.Match.Path.Kind == MatchExact {
			both.Prefix = own.Prefix
		}
		pattern, substitution = both.Regex(before)
	}
	return pattern, substitution, true
}

// Regex is the rewriting of the paths that m takes as a pattern and its
// substitution.
func (r *PathRewrite) Regex(m PathMatch) (pattern, substitution string) {
	if r.Pattern != "" {
		return r.Pattern, r.Substitution
	}
	substitution = strings.ReplaceAll(r.Prefix, `\`, `\\`)
	switch m.Kind {
	case "":
		return "^/", substitution
	case MatchPrefix:
		pattern = "^" + regexp.QuoteMeta(m.Value)
		if strings.HasSuffix(r.Prefix, "/") && !strings.HasSuffix(m.Value, "/") {
			pattern += "/?" // so that there is one slash between the new prefix and the rest
		}
		return pattern, substitution
	}
	return "^.*$", substitution
}

// Readable reports whether [PathRewrite.Behind] can tell of every match which
// paths it takes.
func (r *PathRewrite) Readable(m PathMatch, behind PathMatch) bool {
	return behind == (PathMatch{}) || r.Prefix != "" && m.Kind != MatchRegex && behind.Kind != MatchRegex
}

// Behind is what own takes of the paths that m takes and r rewrites, as a match
// of the path before it is rewritten; false when that is nothing. Rest is what
// stands before the part that is not rewritten, once own is taken away in front.
func (r *PathRewrite) Behind(m, own PathMatch) (before PathMatch, rest string, possible bool) {
	from, to := m.Value, r.Prefix
	if m.Kind == "" {
		from = "/"
	}
	own0 := own.Value
	if own.Kind == "" {
		own0 = "/"
	}
	if m.Kind == MatchExact {
		taken := to == own0 || own.Kind != MatchExact && strings.HasPrefix(to, own0)
		return m, strings.TrimPrefix(to, own0), taken
	}
	if more, longer := strings.CutPrefix(own0, to); longer {
		kind := own.Kind
		if kind == "" {
			kind = MatchPrefix
		}
		return PathMatch{kind, from + more}, "", true
	}
	if own.Kind != MatchExact && strings.HasPrefix(to, own0) {
		return PathMatch{MatchPrefix, from}, to[len(own0):], true
	}
	return PathMatch{}, "", false
}
