package ir

import "github.com/spiffe/go-spiffe/v2/spiffeid"

// Egress is where a gateway takes members' calls to externals.
type Egress struct {
	// Host is a name or an IP address.
	Host string `json:"host"`
	Port uint16 `json:"port"`
	// Externals are those whose calls go via the gateway, sorted by name.
	Externals []EgressExternal `json:"externals,omitempty"`
}

// EgressExternal is an external, and who may call it.
type EgressExternal struct {
	Name string `json:"name"`
	// Callers are sorted by kind and name, and never the gateway itself.
	Callers []Peer `json:"callers,omitempty"`
}

// Via is the gateway that calls to an external go through, as callers see it.
type Via struct {
	Gateway   string      `json:"gateway" member:""`
	Namespace string      `json:"namespace"`
	Identity  spiffeid.ID `json:"identity"`
	Host      string      `json:"host"`
	Port      uint16      `json:"port"`
}

// GoesVia reports whether the member's calls to an external go through a gateway, which is another one than itself.
func (s *Scope) GoesVia(e *External) bool {
	return e.Via != nil && (s.Gateway == nil || s.Gateway.Name != e.Via.Gateway)
}

// EgressService is the name of the Kubernetes Service that members reach the
// gateway's egress by.
func (g *Gateway) EgressService() string { return Label(g.PlainName() + "-egress") }

// EgressHost is the DNS name of [Gateway.EgressService] of a gateway.
func (s *Settings) EgressHost(g *Gateway) string {
	return s.ServiceHost(g.EgressService(), g.Namespace)
}
