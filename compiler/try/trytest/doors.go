package trytest

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

// Requests is the port of requests of the services of a mesh.
const Requests = 8080

// BytesOf is the port of bytes of a service of a wide mesh: each has another one, as a caller could not tell them
// apart.
func BytesOf(service string) uint16 { return map[string]uint16{"b": 8090, "c": 8091}[service] }

// Stranger is the identity of nobody in the mesh, whom rules may name.
const Stranger = "spiffe://shop.example/ns/default/sa/stranger"

// doors are what a service of a wide mesh has besides its port of requests.
func (g *Random) doors(service string) string {
	bytes := fmt.Sprint(BytesOf(service))
	return "\tports: tcp: {port: " + bytes + ", protocol: \"tcp\"}\n" + g.one(
		"\tmtls: \"permissive\"\n", "\tmtls: \"permissive\"\n", "\tmtls: \"permissive\"\n\tprobes: [{port: "+bytes+
			", tcp: {}}]\n",
		"", "\tprobes: [{port: 8080, http: path: \"/healthz\"}]\n",
		"\tprobes: [{port: 8080, http: path: \"/a\"}, {port: 8080, http: path: \"/healthz\"}]\n",
	)
}

// randomPeers is whom a rule of a wide mesh is about, of those that are given, or of all sorts; and of which ports.
func (g *Random) randomPeers(who, condition string) string {
	switch g.IntN(10) {
	case 0:
		who = "plaintext: true"
	case 1:
		who = `identities: ["` + Stranger + `"]`
	case 2:
		who = `identities: ["spiffe://shop.example/ns/default/*"]`
	}
	who = strings.TrimSuffix(strings.TrimPrefix(who, "{"), "}")
	if g.chance(3) {
		who += ", ipRanges: " + g.one(`["127.0.0.1"]`, `["127.0.0.0/31"]`, `["127.0.0.2/31"]`, `["127.0.0.0/8"]`,
			`["10.0.0.0/8", "127.0.0.3"]`, `["::/0"]`)
	}
	ports := ""
	switch {
	case !g.chance(3):
	case condition == "" && g.chance(2):
		ports = `, ports: ["tcp"]`
	default:
		ports = `, ports: ["http"]`
	}
	return "{" + who + "}" + ports + condition
}

// Direct is a random request to a wide mesh that is not a request of a or by the gateway: a connection of bytes, or one
// of somebody who comes past proxies, from some address and with some identity, or none.
func (g *Random) Direct(token func(issuer string, claims map[string]any) string) try.Request {
	r, _ := g.Request(token)
	r.Host, r.Port, r.Authority = g.one("b", "c"), Requests, ""
	if g.chance(3) {
		r.Path = g.one("/healthz", "/healthz?x=1", "/healthz/", "/a")
	}
	switch g.IntN(5) {
	case 0:
		r.From = try.Sender{Kind: ir.KindService, Name: "a"}
		r.Port = BytesOf(r.Host)
	case 1:
		r.From = try.Sender{Kind: try.Outside}
		if g.chance(3) {
			r.Port = BytesOf(r.Host)
		}
	default:
		r.From = try.Sender{Kind: ir.KindIdentity, Name: g.one("spiffe://shop.example/ns/default/sa/a",
			"spiffe://shop.example/ns/default/sa/g", "spiffe://shop.example/ns/default/sa/c", Stranger)}
		if g.chance(3) {
			r.Port = BytesOf(r.Host)
		}
	}
	r.IP = Loopback
	if r.From.Kind != ir.KindService {
		r.IP = netip.MustParseAddr(g.one("127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.9"))
	}
	if r.Port != Requests {
		r = try.Request{From: r.From, Method: "GET", Scheme: "http", Host: r.Host, Port: r.Port, Path: "/", IP: r.IP}
	}
	return r
}

// Loopback is where proxies of one machine come from.
var Loopback = netip.MustParseAddr("127.0.0.1")
