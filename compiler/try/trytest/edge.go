package trytest

import (
	"net/netip"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

// Behind is the port of the listener of g that has a proxy in front, in a mesh with an edge.
const Behind = 8081

const cors = `, cors: {origins: ["https://a.example"], methods: ["GET", "PUT"]}`

// listeners are those of g in a mesh with an edge: for all hosts or some, and behind a proxy.
func (g *Random) listeners() string {
	return `{http: {port: 8080` + g.one("", `, hosts: ["*.example"]`, `, hosts: ["one.example", "*.two.example"]`) +
		`}, lb: {port: 8081, clientIPDetection: ` + g.one("numTrustedHops: 1", "numTrustedHops: 2",
		`{numTrustedHops: 1, trustedCIDRs: ["127.0.0.2/31"]}`) + `}}`
}

// edgeCondition is what a rule asks of addresses.
func (g *Random) edgeCondition() string {
	if !g.Edge || !g.chance(3) {
		return ""
	}
	return ", from: ipRanges: " + g.one(`["127.0.0.1"]`, `["127.0.0.2/31"]`, `["127.0.0.0/8"]`,
		`["10.0.0.0/8", "127.0.0.3"]`, `["2001:db8::/32", "127.0.0.1"]`)
}

// edge makes a request one of somebody at an address, who may say to be at another one, or a browser's question.
func (g *Random) edge(r *try.Request) {
	if !g.Edge {
		return
	}
	r.IP = Loopback
	if r.From.Kind == ir.KindGateway {
		r.IP = netip.MustParseAddr(g.one("127.0.0.1", "127.0.0.2", "127.0.0.3"))
		if g.chance(2) {
			r.Port = Behind
		}
	}
	add := func(name string, values ...string) {
		r.Headers = append(r.Headers, ir.Header{Name: name, Value: g.one(values...)})
	}
	if g.chance(2) {
		add("x-forwarded-for", "127.0.0.1", "127.0.0.2", "127.0.0.3", "10.0.0.1", "127.0.0.2, 127.0.0.1",
			"10.0.0.1,127.0.0.3", "2001:db8::1", "nobody", "127.0.0.3,", "127.0.0.1:80",
			"10.0.0.1, 127.0.0.1, 127.0.0.2")
	}
	if g.chance(3) {
		add("x-forwarded-proto", "https", "http", "HTTPS", "gopher")
	}
	if g.chance(4) {
		r.Method = "OPTIONS"
		if !g.chance(4) {
			add("origin", "https://a.example", "https://b.example", "null")
		}
		if !g.chance(4) {
			add("access-control-request-method", "GET", "DELETE")
		}
	}
}
