package ir

import (
	"cmp"
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
		p, _ := outer.Preimage(first.Match.Path, last.Match.Path)
		pattern, substitution = p.rewrite(own)
	}
	return pattern, substitution, true
}

// Regex is the rewriting of the paths that m takes as a pattern and its
// substitution.
func (r *PathRewrite) Regex(m PathMatch) (pattern, substitution string) {
	if r.Pattern != "" {
		return r.Pattern, r.Substitution
	}
	substitution = escaped(r.Prefix)
	switch m.Kind {
	case "":
		return "^/", substitution
	case MatchPrefix:
		pattern = "^" + regexp.QuoteMeta(m.Value)
		if endsSegment(m.Value, r.Prefix) {
			pattern += "/?"
		}
		return pattern, substitution
	}
	return wholePath, substitution
}

// Readable reports whether [PathRewrite.Preimage] can tell of every match which paths it takes.
func (r *PathRewrite) Readable(m PathMatch, behind PathMatch) bool {
	return behind == (PathMatch{}) || r.Prefix != "" && m.Kind != MatchRegex && behind.Kind != MatchRegex
}

// Preimage describes the paths that a second route takes once a first one has rewritten them.
type Preimage struct {
	// Match are those paths before the first route rewrites them.
	Match PathMatch
	// own is the match of the second route.
	own PathMatch
	// taken is a pattern of what the second route's new prefix and rest replace in such a path; rest is the end of the
	// first route's new prefix, as far as the second route does not take it.
	taken, rest string
}

// wholePath is the pattern of a path that is replaced as a whole.
const wholePath = "^.*$"

// Preimage returns which paths own takes of those that m takes and r rewrites to a new prefix; false if there are none.
func (r *PathRewrite) Preimage(m, own PathMatch) (Preimage, bool) {
	from, to := cmp.Or(m.Value, "/"), r.Prefix
	if own.Kind == "" {
		own = PathMatch{MatchPrefix, "/"}
	}
	more, inside := strings.CutPrefix(own.Value, to)
	rest, around := strings.CutPrefix(to, own.Value)
	around = around && (own.Kind == MatchPrefix || rest == "")
	if m.Kind == MatchExact {
		return Preimage{m, own, wholePath, rest}, around
	}
	taken, slash := "^"+regexp.QuoteMeta(from), m.Kind == MatchPrefix && endsSegment(from, to)
	if slash {
		taken += "/?"
	}
	p := Preimage{own: own, taken: taken + regexp.QuoteMeta(more)}
	switch {
	case inside && slash && own.Kind == MatchExact: // with that slash and without
		p.Match = PathMatch{MatchRegex, strings.TrimPrefix(p.taken, "^")}
	case inside && slash && more != "":
		p.Match = PathMatch{MatchRegex, strings.TrimPrefix(p.taken, "^") + ".*"}
	case inside:
		p.Match = PathMatch{own.Kind, from + more}
	case around:
		p.Match, p.taken, p.rest = PathMatch{MatchPrefix, from}, taken, rest
	default:
		return Preimage{}, false
	}
	if own.Kind == MatchExact {
		p.taken = wholePath
	}
	return p, true
}

// rewrite is what the second route makes of such a path, before the first one has rewritten it, as a pattern that is
// replaced, and its substitution.
func (p *Preimage) rewrite(r *PathRewrite) (pattern, substitution string) {
	pattern, rest := p.taken, p.rest
	if p.own.Kind == MatchPrefix && endsSegment(p.own.Value, r.Prefix) {
		if rest == "" && pattern != wholePath {
			pattern += "/?"
		}
		rest = strings.TrimPrefix(rest, "/")
	}
	return pattern, escaped(r.Prefix + rest)
}

// endsSegment reports whether a new prefix ends a segment that the old one leaves open. A slash behind the old one is
// replaced with it then, so that there is one slash between the new prefix and the rest.
func endsSegment(old, prefix string) bool {
	return strings.HasSuffix(prefix, "/") && !strings.HasSuffix(old, "/")
}

// escaped is a text as a substitution that has no groups.
func escaped(text string) string { return strings.ReplaceAll(text, `\`, `\\`) }
