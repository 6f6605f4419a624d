package ir

import (
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/source"
)

// Rule lets requests in. A request matches when every field does; an empty
// list matches everything. A rule with Methods or Paths never matches what is
// not HTTP.
type Rule struct {
	// From is who calls. At least one.
	From []Peer `json:"from"`
	// Ports of the service, by name, sorted; empty: all.
	Ports   []string `json:"ports,omitempty"`
	Methods []string `json:"methods,omitempty"`
	// Paths are exact, or end with "/*" and match everything below.
	Paths []string        `json:"paths,omitempty"`
	Pos   source.Position `json:"pos,omitzero"`
}

// Peer is a caller.
type Peer struct {
	// Kind is what the caller is.
	Kind      MemberKind  `json:"kind"`
	Name      string      `json:"name"`
	Namespace string      `json:"namespace"`
	Identity  spiffeid.ID `json:"identity"`
}

// MemberKind is what a member of the mesh is.
type MemberKind string

// The kinds of member.
const (
	KindService MemberKind = "service"
	KindGateway MemberKind = "gateway"
)

// Covers reports whether the rule holds for that port.
func (r *Rule) Covers(port string) bool {
	if len(r.Ports) == 0 {
		return true
	}
	for _, p := range r.Ports {
		if p == port {
			return true
		}
	}
	return false
}
