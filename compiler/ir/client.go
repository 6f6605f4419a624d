package ir

import (
	"slices"

	"github.com/meshc/meshc/compiler/source"
)

// Client is a client of a gateway, by what it alone knows: each of its keys and passwords is good.
type Client struct {
	Name      string          `json:"name"`
	APIKeys   []SecretValue   `json:"apiKeys,omitempty"`
	Passwords []SecretValue   `json:"passwords,omitempty"`
	Pos       source.Position `json:"pos,omitzero"`
}

// Client is the client of that name, or nil.
func (g *Gateway) Client(name string) *Client {
	for i := range g.Clients {
		if g.Clients[i].Name == name {
			return &g.Clients[i]
		}
	}
	return nil
}

// ByPassword reports whether some client has a password, so that credentials of basic authentication are the gateway's.
func (g *Gateway) ByPassword() bool {
	return slices.ContainsFunc(g.Clients, func(c Client) bool { return len(c.Passwords) > 0 })
}

// WantsClient reports whether the gateway lets nobody in on the port of a listener who does not say which client it is.
func (g *Gateway) WantsClient(port *Port) bool {
	asks := false
	for i := range g.Allow {
		if r := &g.Allow[i]; !r.Audit && r.Holds(port) {
			if !r.AsksClient() {
				return false
			}
			asks = true
		}
	}
	return asks
}

// AsksClient reports whether the rule is about clients that a gateway knows by a secret of theirs.
func (r *Rule) AsksClient() bool {
	return slices.ContainsFunc(r.From, func(p Peer) bool { return p.Kind == KindClient })
}
