package try

import (
	"net/http"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
)

// clientKey is the question whose a key or a password in a request is, and clientOf the beginning of the answers that
// name a client; noClient is the answer of a request without one.
const (
	clientKey = "client"
	clientOf  = "it is that of "
	noClient  = "it has none"
)

// clientIsKnown reports whether a gateway takes the key or the password of a request, and answers it otherwise.
func (r *run) clientIsKnown(g *ir.Gateway, l *ir.Listener, q *message) bool {
	if len(g.Clients) == 0 {
		return true
	}
	at, wants := ir.GatewayRef(g.Name).String(), g.WantsClient(l.Door())
	keys, passwords := credentials(g, q.headers)
	switch {
	case keys+passwords > 1:
		r.step(at, l.Pos, "refuses it: it has several keys or passwords")
	case keys+passwords == 1 || r.request.Partial:
		asked := question{kind: OnClient, key: clientKey, on: guardClient}
		for i := range g.Clients {
			c := &g.Clients[i]
			if keys > 0 && len(c.APIKeys) > 0 || passwords > 0 && len(c.Passwords) > 0 || keys+passwords == 0 {
				asked.alternatives = append(asked.alternatives, clientOf+c.Name)
			}
		}
		if keys+passwords == 0 && !wants {
			asked.alternatives = append(asked.alternatives, noClient)
		}
		asked.alternatives = append(asked.alternatives, "it belongs to no client")
		asked.refuses = len(asked.alternatives) == 2
		r.mayBeClient = true
		if r.choose(&asked) != "it belongs to no client" {
			return true
		}
		r.step(at, l.Pos, "refuses its key or password, which belongs to no client")
	case wants:
		r.step(at, l.Pos, "refuses it: every rule requires a client with a key or a password")
		r.Write = "a key or a password of one of the clients in gateways." + g.Name + ".clients"
	default:
		return true
	}
	r.answer(at, http.StatusUnauthorized)
	return false
}

// isClient reports whether the request comes from a client that a rule names, and where that cannot be told what it
// asks for.
func (r *run) isClient(rule *ir.Rule) (truth, []question) {
	switch {
	case r.branch != nil && slices.ContainsFunc(rule.From, func(p ir.Peer) bool {
		return p.Kind == ir.KindClient && r.branch.known[clientKey] == clientOf+p.Pattern
	}):
		return yes, nil
	case r.branch == nil && r.mayBeClient: // nobody has said whose it is
		var names []string
		for i := range rule.From {
			names = append(names, rule.From[i].Pattern)
		}
		return maybe, []question{{kind: OnClient, on: guardClient + ", and whether that is " + strings.Join(names, " or ")}}
	}
	return no, nil
}

// credentials is how many keys and passwords of clients a request has; of a password beside other credentials it is
// two.
func credentials(g *ir.Gateway, headers []ir.Header) (keys, passwords int) {
	others := 0
	for _, h := range headers {
		switch {
		case h.Name == g.APIKeyHeader:
			keys++
		case h.Name == "authorization" && isBasic(h.Value):
			passwords++
		case h.Name == "authorization":
			others++
		}
	}
	if !g.ByPassword() {
		return keys, 0
	}
	if passwords > 0 {
		passwords += others
	}
	return keys, passwords
}

// isBasic reports whether credentials are those of basic authentication, whose name has no case (RFC 9110, section
// 11.1).
func isBasic(value string) bool {
	words := strings.Fields(value)
	return len(words) > 0 && strings.EqualFold(words[0], "basic")
}

// withoutCredentials are headers as a gateway sends them on.
func withoutCredentials(g *ir.Gateway, headers []ir.Header) []ir.Header {
	if len(g.Clients) == 0 {
		return headers
	}
	return slices.DeleteFunc(slices.Clone(headers), func(h ir.Header) bool {
		return h.Name == g.APIKeyHeader || g.ByPassword() && h.Name == "authorization" && isBasic(h.Value)
	})
}
