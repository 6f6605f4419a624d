package link

import (
	"fmt"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

const defaultAPIKeyHeader = "x-api-key"

// knownClients links the clients of a gateway.
func (l *linker) knownClients(h home[spec.Gateway], g *ir.Gateway) {
	keys := false
	for _, name := range sortedKeys(h.spec.Clients) {
		s, here := h.spec.Clients[name], h.field("clients."+name)
		out := ir.Client{Name: name, Pos: here.pos(s.Pos)}
		for _, list := range []struct {
			field  string
			values []*spec.SecretValue
			out    *[]ir.SecretValue
		}{{"apiKeys", s.APIKeys, &out.APIKeys}, {"passwords", s.Passwords, &out.Passwords}} {
			for i, v := range list.values {
				*list.out = append(*list.out, secretValue(here.field(list.field).index(i), v, name))
			}
		}
		if len(out.APIKeys)+len(out.Passwords) == 0 {
			l.add(diag.EmptyList, here, fmt.Sprintf("%s has neither a key nor a password, so nobody is this client", name),
				out.Pos).hint(`apiKeys: [{secret: "NAME"}]`)
			continue
		}
		keys = keys || len(out.APIKeys) > 0
		g.Clients = append(g.Clients, out)
	}
	header := h.spec.APIKeyHeader
	switch at := h.field("apiKeyHeader"); {
	case !keys && header.IsSet():
		l.unread(at, header.Pos, "no client has an API key")
	case slices.Contains(ofTheConnection, header.Value) || ofProxies(header.Value) ||
		slices.Contains([]string{"host", "authorization", ir.ClientHeader}, header.Value):
		l.add(diag.NoEffect, at, fmt.Sprintf("the header %s has another meaning, and cannot carry keys", header.Value),
			at.pos(header.Pos)).hint("write a header of its own: %q", defaultAPIKeyHeader)
	case keys:
		l.sendable(at, header.Value, at.pos(header.Pos))
		g.APIKeyHeader = header.Or(defaultAPIKeyHeader)
	}
}

// clientsAreAsked finds clients of whom no rule says anything, and readers of the headers that their keys and passwords
// are taken out of. The rules of the gateway are linked.
func (l *linker) clientsAreAsked(h home[spec.Gateway], g *ir.Gateway) {
	named := map[string]bool{}
	taken := func(header string) bool {
		return header != "" && header == g.APIKeyHeader || header == "authorization" && g.ByPassword()
	}
	for _, r := range slices.Concat(g.Allow, g.Deny) {
		for _, p := range r.From {
			named[p.Pattern] = named[p.Pattern] || p.Kind == ir.KindClient
		}
		for _, m := range r.Headers {
			if taken(m.Name) {
				l.add(diag.NoEffect, h.field("allow"), fmt.Sprintf(
					"a rule about the header %s cannot take effect: keys and passwords of clients are taken out before",
					m.Name), r.Pos, h.pos).hint("from: clients: [\"NAME\"]")
			}
		}
	}
	for i := range g.Clients {
		if c := &g.Clients[i]; !named[c.Name] {
			l.add(diag.NoEffect, h.field("clients."+c.Name), fmt.Sprintf(
				"the client %s cannot take effect: no rule of %s is about it", c.Name, g.Name), c.Pos).
				hint("write from: clients: [%q] in a rule of gateways.%s.allow, or remove the client", c.Name, g.Name)
		}
	}
	for i := range g.RateLimits {
		if r := &g.RateLimits[i]; taken(r.Header) {
			here := h.field("rateLimits." + r.Name + ".header")
			l.add(diag.NoEffect, here, fmt.Sprintf(
				"header cannot take effect: the keys and passwords of clients in %s are taken out before", r.Header),
				here.pos(h.spec.RateLimits[r.Name].Header.Pos), h.pos).hint(`by: "address"`)
		}
	}
}

// clientPeers are the clients that a rule of a gateway names.
func (l *linker) clientPeers(here place, d *door, names []spec.Field[string]) (out []ir.Peer) {
	for i, f := range names {
		if d.gateway.Client(f.Value) == nil {
			var known []string
			for _, c := range d.gateway.Clients {
				known = append(known, c.Name)
			}
			l.add(diag.UnknownCaller, here.index(i), fmt.Sprintf("the gateway %s has no client %q", d.name, f.Value),
				here.pos(f.Pos), d.pos).hint("%s", l.didYouMean(f.Value, known))
			continue
		}
		out = append(out, ir.Peer{Kind: ir.KindClient, Pattern: f.Value})
	}
	return out
}
