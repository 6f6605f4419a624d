package ir

import "github.com/meshc/meshc/compiler/source"

// Route is where requests go that match.
type Route struct {
	// Name is stable and readable, and unique among its neighbours.
	Name  string `json:"name"`
	Match Match  `json:"match,omitzero"`
	// To is where they go, in the order written. At least one, and the weights
	// sum to more than 0.
	To []Destination `json:"to"`
	// Traffic is what the route says; see [Nearest].
	Traffic Traffic         `json:"traffic,omitzero"`
	Pos     source.Position `json:"pos,omitzero"`
}

// Match is which requests a route takes: those that every field matches. The
// zero value takes all.
type Match struct {
	// Host is exact or "*.DOMAIN", lower case, without a port. Gateways only.
	Host   string    `json:"host,omitempty"`
	Path   PathMatch `json:"path,omitzero"`
	Method string    `json:"method,omitempty"`
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
}

// MatchKind is how a string is matched.
type MatchKind string

// The kinds of match. A regex is RE2 and matches the whole string.
const (
	MatchExact   MatchKind = "exact"
	MatchPrefix  MatchKind = "prefix"
	MatchRegex   MatchKind = "regex"
	MatchPresent MatchKind = "present"
	MatchAbsent  MatchKind = "absent"
)

// Destination is a share of a route's requests.
type Destination struct {
	// Service is always set; Version is empty for any instance.
	Service string `json:"service"`
	Version string `json:"version,omitempty"`
	// Port by name; empty for the port that the request came for.
	Port   string          `json:"port,omitempty"`
	Weight uint32          `json:"weight"`
	Pos    source.Position `json:"pos,omitzero"`
}
