package trytest

import "strings"

// text are the rules in CUE; a list that is empty is not written.
func (r *Rules) text() string {
	out := ""
	if len(r.Allow) > 0 {
		out += "\n\tallow: [" + strings.Join(r.Allow, ", ") + "]"
	}
	if len(r.Deny) > 0 {
		out += "\n\tdeny: [" + strings.Join(r.Deny, ", ") + "]"
	}
	return out
}

// allowsClients and deniesClients are rules of a gateway.
func (g *Random) allowsClients() string {
	return "{from: anyone: true" + g.ofClients() + g.condition() + "}"
}

func (g *Random) deniesClients() string {
	return "{from: anyone: true" + g.ofClients() +
		g.one(`, methods: ["DELETE"]`, `, paths: ["/a/*"]`, `, paths: ["/u/*", "/"]`) +
		"}"
}

// ofClients is what only rules of a gateway ask for.
func (g *Random) ofClients() string {
	out := g.one("", "", `, mode: "audit"`)
	if g.chance(3) {
		out += ", hosts: " + g.one(`["one.example"]`, `["*.example"]`, `["*.two.example", "elsewhere.test"]`, `["*"]`)
	}
	if g.Edge && g.chance(3) {
		out += ", listeners: " + g.one(`["http"]`, `["lb"]`, `["http", "lb"]`)
	}
	return out
}
