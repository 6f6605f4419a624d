package ir

import "github.com/meshc/meshc/compiler/source"

// Test is a request and what must become of it.
type Test struct {
	Title string
	// From is the service that sends it, or the gateway that somebody outside sends it to.
	FromKind MemberKind
	From     string `member:""`
	// Scheme, Host and Port are where it goes: "https", without a port, the number.
	Scheme, Host string
	Port         uint16
	Method       string
	// Path is with its query.
	Path string
	// Headers are sorted by name, in lower case.
	Headers []Header
	// Issuer of the good token that it carries, by its name in the mesh; empty for no token.
	Issuer string
	Claims map[string][]string
	Expect Expectation
	Pos    source.Position
}

// Expectation is what must become of a request: whether it is let in, and by which service and version; empty for
// any.
type Expectation struct {
	Allowed bool
	Service string `member:""`
	Version string
	// Unless is what may refuse the request all the same: "rateLimit", "fault", "authorization", "certificate".
	Unless []string
	Pos    source.Position
}
