package ir

import "slices"

// ClientGateways are the gateways by which requests from outside come to a service whose rules ask for addresses:
// sorted by name, and none for a service without such rules. Of a request that one of them sends on, IPRanges of a
// [Rule] are about the client's address, as the gateway saw it and says in x-forwarded-for; of every other caller's,
// and of all connections below HTTP, about the address that the connection comes from.
func (m *Mesh) ClientGateways(s *Service) []Peer {
	var out []Peer
	for _, g := range m.Gateways {
		peer := g.Peer()
		if len(g.Listeners) > 0 &&
			slices.ContainsFunc(s.Guards.all(), func(r *Rule) bool { return len(r.IPRanges) > 0 && r.Names(&peer) }) {
			out = append(out, peer)
		}
	}
	return out
}

// all are the rules of allow, and then those of deny.
func (g *Guards) all() []*Rule {
	var out []*Rule
	for _, list := range [][]Rule{g.Allow, g.Deny} {
		for i := range list {
			out = append(out, &list[i])
		}
	}
	return out
}
