package ir

import (
	"regexp"
	"slices"
	"strings"
)

// Match is which requests a route takes: those that every field matches. The
// zero value takes all.
type Match struct {
	// Host is exact or "*.DOMAIN", lower case, without a port. Gateways only.
	Host string `json:"host,omitempty"`
	// Listeners are those whose requests are taken, sorted; nil for all. Gateways only.
	Listeners []string  `json:"listeners,omitempty"`
	Path      PathMatch `json:"path,omitzero"`
	Method    string    `json:"method,omitempty"`
	// Headers have lower case names; Headers and Query are sorted by name.
	Headers []StringMatch `json:"headers,omitempty"`
	Query   []StringMatch `json:"query,omitempty"`
}

// PathMatch matches the path without the query. The zero value matches all.
type PathMatch struct {
	Kind MatchKind `json:"kind,omitempty"`
	// Value begins with "/" unless Kind is MatchRegex.
	Value string `json:"value,omitempty"`
}

// StringMatch matches a header or a query parameter of that name.
type StringMatch struct {
	Name  string    `json:"name"`
	Kind  MatchKind `json:"kind"`
	Value string    `json:"value,omitempty"`
	// Invert takes what does not match; a header that is not there is empty.
	Invert bool `json:"invert,omitempty"`
}

// MatchKind is how a string is matched.
type MatchKind string

// The kinds of match. A regex is RE2 and matches the whole string.
const (
	MatchExact   MatchKind = "exact"
	MatchPrefix  MatchKind = "prefix"
	MatchSuffix  MatchKind = "suffix"
	MatchRegex   MatchKind = "regex"
	MatchPresent MatchKind = "present"
	MatchAbsent  MatchKind = "absent"
)

// At reports whether requests of a gateway's listener are among those that it takes.
func (m *Match) At(listener string) bool {
	return m.Listeners == nil || slices.Contains(m.Listeners, listener)
}

// Takes reports whether the path is one that it matches.
func (m PathMatch) Takes(path string) bool {
	return m.Kind == "" || takes(m.Kind, m.Value, path)
}

// Takes reports whether a value that is there is one that it matches, before it is inverted.
func (m StringMatch) Takes(value string) bool {
	return m.Kind == MatchPresent || takes(m.Kind, m.Value, value)
}

func takes(kind MatchKind, pattern, text string) bool {
	switch kind {
	case MatchExact:
		return text == pattern
	case MatchPrefix:
		return strings.HasPrefix(text, pattern)
	case MatchSuffix:
		return strings.HasSuffix(text, pattern)
	case MatchRegex:
		re, err := regexp.Compile(`^(?:` + pattern + `)$`)
		return err == nil && re.MatchString(text)
	}
	return false
}
