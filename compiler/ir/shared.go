package ir

import (
	"slices"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// Members are those with that identity, by their names: several where services share a service account, and none for
// an identity that no member has.
func (m *Mesh) Members(id spiffeid.ID) []Peer {
	var out []Peer
	for _, s := range m.Services {
		if s.Identity == id {
			out = append(out, s.Peer())
		}
	}
	for _, g := range m.Gateways {
		if g.Identity == id {
			out = append(out, g.Peer())
		}
	}
	return out
}

// Sharing are the other members with the identity of a service or a gateway.
func (m *Mesh) Sharing(p *Peer) []Peer {
	return slices.DeleteFunc(m.Members(p.Identity), func(other Peer) bool { return other.Ref() == p.Ref() })
}
