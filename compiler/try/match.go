package try

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
)

// message is a request as a proxy reads it.
type message struct {
	method string
	// host is without the port, and authority as it was sent.
	host, authority string
	path            string
	query           string // with its "?"; "" for none
	headers         []ir.Header
	// upgrade is the protocol of an offer to upgrade that the proxy does not ignore, or several, with commas; "" for
	// none.
	upgrade string
}

// values are those of a header; nil when it is not there. The header host is where the request goes, and is asked for
// with its port and without.
func (m *message) values(name string) []string {
	if name == "host" {
		return []string{m.host, m.authority}
	}
	return header(m.headers, name)
}

// takes is [takes], and asks for headers of which nobody knows here what they say, and for the query where it is not
// known.
func (r *run) takes(m *ir.Match, q *message, path string) bool {
	bare := *m
	bare.Headers = slices.DeleteFunc(slices.Clone(m.Headers), func(h ir.StringMatch) bool { return r.isSet(h.Name, q) })
	unread := r.request.Partial && q.query == ""
	if unread {
		bare.Query = nil
	}
	if !takes(&bare, q, path) {
		return false
	}
	for _, h := range m.Headers {
		if !r.isSet(h.Name, q) {
			continue
		}
		asked := r.unknownHeader(h)
		if !Holds(h, q.values(h.Name)) { // as it is sent comes first
			slices.Reverse(asked.alternatives)
		}
		if !asked.holds(r.choose(&asked)) {
			return false
		}
	}
	for i := 0; unread && i < len(m.Query); i++ {
		asked := unknown(OnQuery, fmt.Sprintf("query %+v", m.Query[i]), "the parameter "+m.Query[i].Name+" of its query")
		if !asked.holds(r.choose(&asked)) {
			return false
		}
	}
	return true
}

// takes reports whether a match of a route takes the request, whose path is the given one for it.
func takes(m *ir.Match, r *message, path string) bool {
	if !m.Path.Takes(path) || m.Method != "" && m.Method != r.method {
		return false
	}
	for _, h := range m.Headers {
		if !Holds(h, r.values(h.Name)) {
			return false
		}
	}
	for _, q := range m.Query {
		if !Holds(q, parameter(strings.TrimPrefix(r.query, "?"), q.Name)) {
			return false
		}
	}
	return true
}

// Holds is for the values of a header or a query parameter, of which one must match. One that is not there matches
// nothing, but that it is absent; or what is inverted, as empty.
func Holds(m ir.StringMatch, values []string) bool {
	switch m.Kind {
	case ir.MatchPresent:
		return values != nil
	case ir.MatchAbsent:
		return values == nil
	}
	if values == nil {
		if !m.Invert {
			return false
		}
		values = []string{""}
	}
	return slices.ContainsFunc(values, m.Takes) != m.Invert
}

// parameter is the first value of a query parameter, as it is written; nil when it is not there.
func parameter(query, name string) []string {
	for pair := range strings.SplitSeq(query, "&") {
		if key, value, _ := strings.Cut(pair, "="); key == name && pair != "" {
			return []string{value}
		}
	}
	return nil
}

// edited are the headers that a route's edits make: what is removed goes first.
func edited(headers []ir.Header, e ir.HeaderEdits) []ir.Header {
	out := slices.DeleteFunc(slices.Clone(headers), func(h ir.Header) bool {
		return slices.Contains(e.Remove, h.Name) ||
			slices.ContainsFunc(e.Set, func(s ir.Header) bool { return s.Name == h.Name })
	})
	return append(append(out, e.Set...), e.Add...)
}

// Arrives is a path as the next proxy reads it, when the request goes by one route, or by a gateway's and then the
// service's own.
func Arrives(by []*ir.Route, path string) string {
	if pattern, substitution, ok := ir.RewrittenPath(by); ok {
		if rewritten, good := substituted(pattern, substitution, path); good {
			path, _, _, _ = normalized(rewritten, true)
		}
	}
	return path
}

// leaves reports whether the routes refuse a path for what their rewriting would leave of it; see [ir.Leaves].
func leaves(by []*ir.Route, path string) bool {
	pattern, possible := ir.Leaves(by)
	if !possible {
		return false
	}
	re, err := regexp.Compile("^(?:" + pattern + ")$")
	return err == nil && re.MatchString(path)
}

// substituted is a path in which a pattern is replaced; "\1" of the substitution is its first group (Envoy,
// RegexMatchAndSubstitute).
func substituted(pattern, substitution, path string) (string, bool) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return "", false
	}
	var b strings.Builder
	for i := 0; i < len(substitution); i++ {
		switch c := substitution[i]; {
		case c == '\\' && i+1 < len(substitution) && '0' <= substitution[i+1] && substitution[i+1] <= '9':
			i++
			b.WriteString("${" + string(substitution[i]) + "}")
		case c == '\\' && i+1 < len(substitution):
			i++
			b.WriteByte(substitution[i])
		case c == '$':
			b.WriteString("$$")
		default:
			b.WriteByte(c)
		}
	}
	return re.ReplaceAllString(path, b.String()), true
}
