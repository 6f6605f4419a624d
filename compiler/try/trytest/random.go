// Package trytest makes random meshes and requests, for tests that compare what is said of a mesh with what it does.
package trytest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

// Random makes meshes and requests.
type Random struct {
	*rand.Rand
	// Keys are those of the issuers of tokens, as CUE.
	Keys string
	// Plain are parts of requests that nothing asks for: "method", "headers", "query" and "jwt".
	Plain []string
	// Hosts has rules and routes ask for the header host.
	Hosts bool
	// Wide has meshes with a port of bytes, probes, callers without TLS and rules about addresses and other identities.
	Wide bool
	// CORS has meshes with it.
	CORS bool
	// Forms has requests in the absolute form, and for services by all their names, with a dot behind too, and services
	// with further names, some of which share a service account.
	Forms bool
	// Upgrades has ports that take upgrades, and requests that offer them.
	Upgrades bool
	// Edge has meshes with CORS and rules about clients' addresses, and a gateway with a listener behind a proxy and
	// one for some hosts.
	Edge bool
}

// Spec is a mesh in parts: a calls b and c, and so does the gateway g for those outside.
type Spec struct {
	Keys string
	// Services are b and c, and Gateway are the routes of g.
	Services [2]Service
	Gateway  []string
	// Clients are the rules of g.
	Clients Rules
	// Uses are whom a and the gateway call.
	Uses [2]string
	// Limits are the bounds of g, which no test reaches.
	Limits string
	// Listeners are those of g, in CUE.
	Listeners string
}

// Rules are those of a member.
type Rules struct{ Allow, Deny []string }

// Service is what is written of one, each rule and route for itself.
type Service struct {
	Allow, Deny, Routes []string
	// Traffic is how it is called, and Doors what stands open besides.
	Traffic, Doors string
}

// Text is the mesh in CUE.
func (s *Spec) Text() string {
	text := "package shop\n\nmesh: {name: \"shop\", trustDomain: \"shop.example\"\n\tsilence: {MC1203: \"-\", MC1307: \"-\", MC1402: \"-\", MC1701: \"-\", MC1702: \"-\", MC1703: \"-\", MC1704: \"-\", MC1705: \"-\", MC1772: \"-\"}\n" +
		"\tjwt: issuers: {accounts: {issuer: \"https://accounts.example\", jwks: inline: " + s.Keys +
		"}, other: {issuer: \"https://other.example\", jwks: inline: " + s.Keys + "}}\n}\n" +
		"services: a: {workload: deployment: \"a\", uses: {" + s.Uses[0] + "}}\n"
	for i, name := range []string{"b", "c"} {
		v := &s.Services[i]
		text += fmt.Sprintf("services: %s: {\n\tworkload: deployment: %q\n\tports: http: {port: 8080, protocol: \"http\"}\n\tversions: {v1: labels: version: \"v1\", v2: labels: version: \"v2\"}\n\tallow: [%s]\n\tdeny: [%s]\n\troutes: [%s]\n%s}\n",
			name, name, strings.Join(v.Allow, ", "), strings.Join(v.Deny, ", "), strings.Join(v.Routes, ", "),
			v.Traffic+v.Doors)
	}
	return text + "gateways: g: {\n\tlisteners: " + s.Listeners + s.Clients.text() + s.Limits + "\n\troutes: [" + strings.Join(s.Gateway, ", ") +
		"]\n\tuses: {" + s.Uses[1] + "}\n}\n"
}

// Spec is a random one.
func (g *Random) Spec() *Spec {
	s := &Spec{Keys: g.Keys, Uses: [2]string{"b: {}, c: {}", "b: {}, c: {}"}, Listeners: "http: port: 8080"}
	if g.Edge {
		s.Listeners = g.listeners()
	}
	s.Services = [2]Service{g.service("b", "c"), g.service("c", "b")}
	if g.Forms && g.chance(3) {
		for i := range s.Services {
			s.Services[i].Doors += "\taccount: \"shared\"\n"
		}
	}
	if g.chance(3) {
		s.Clients = Rules{g.list(0, 3, g.allowsClients), g.list(0, 2, g.deniesClients)}
	}
	if g.Edge && g.chance(3) {
		s.Limits = "\n\trateLimits: " + g.one(`all: requests: 1000000`, `all: {requests: 1000000, by: "address"}`,
			`{all: requests: 1000000, user: {requests: 1000000, header: "x-k"}}, silence: MC1774: "-"`)
	}
	s.Gateway = g.list(1, 5, func() string { return g.route("", g.one("b", "c")) })
	return s
}

func (g *Random) one(list ...string) string { return list[g.IntN(len(list))] }
func (g *Random) chance(n int) bool         { return g.IntN(n) == 0 }

// asks reports, by chance, whether something asks for that part of requests.
func (g *Random) asks(part string, n int) bool { return g.chance(n) && !slices.Contains(g.Plain, part) }

func (g *Random) list(from, to int, one func() string) []string {
	var out []string
	for range from + g.IntN(to-from+1) {
		out = append(out, one())
	}
	return out
}

func (g *Random) service(name, other string) Service {
	allow := []string{"{from: {services: [\"a\"], gateways: [\"g\"]}" + g.condition() + "}"}
	if g.chance(2) {
		allow = []string{
			"{from: services: [\"a\"]" + g.condition() + "}",
			"{from: gateways: [\"g\"]" + g.condition() + "}",
		}
	}
	s := Service{
		Allow: allow, Deny: g.list(0, 2, g.deny),
		Routes: g.list(0, 4, func() string { return g.route(name, other) }),
	}
	if g.Forms {
		s.Doors = fmt.Sprintf("\thosts: [\"%s.Internal.example\", \"old-%[1]s\"]\n", name)
	}
	if g.Edge && g.chance(3) {
		s.Doors += "\texpose: [" + g.exposed() + "]\n"
	}
	if g.Upgrades && g.chance(2) {
		s.Doors += "\tports: http: upgrades: " + g.one(`["spdy/3.1"]`, `["spdy/3.1", "tls/1.2"]`) + "\n"
	}
	if g.Wide {
		s.Allow, s.Doors = append(s.Allow, g.list(0, 3, g.allow)...), s.Doors+g.doors(name)
	}
	return s
}

func (g *Random) allow() string {
	from, condition := g.one(`services: ["a"]`, `gateways: ["g"]`, `{services: ["a"], gateways: ["g"]}`,
		"anyone: true"), g.condition()
	if g.Wide {
		return "{from: " + g.randomPeers(from, condition) + "}"
	}
	return "{from: " + from + condition + "}"
}

func (g *Random) deny() string {
	condition := strings.NewReplacer(`, methods: ["GET"]`, "", `, methods: ["GET", "POST"]`, "").Replace(g.condition())
	from := g.one(`services: ["a"]`, `gateways: ["g"]`, `namespaces: ["default"]`, "anyone: true")
	if g.Wide && g.chance(3) {
		return "{from: {" + g.one(`anyone: true, ipRanges: ["127.0.0.2/31"]`, `identities: ["`+Stranger+`"]`,
			`gateways: ["g"], ipRanges: ["127.0.0.3"]`) + "}" + g.one("", `, ports: ["tcp"]`) + "}"
	}
	return "{from: " + from + `, methods: ["DELETE"]` + condition + "}"
}

// condition is what a rule asks for besides.
func (g *Random) condition() string {
	out := g.edgeCondition()
	if g.asks("method", 3) {
		out += ", methods: " + g.one(`["GET"]`, `["GET", "POST"]`)
	}
	if g.chance(3) {
		out += ", paths: " + g.one(`["/a"]`, `["/a/*"]`, `["/a", "/u/*"]`, `["/*"]`)
	}
	if g.asks("headers", 5) {
		out += ", headers: " + g.headerMatch()
	}
	if g.asks("jwt", 4) {
		out += ", jwt: " + g.one(`issuer: "accounts"`, `{issuer: "accounts", claims: role: ["buyer", "admin"]}`,
			`{issuer: "accounts", claims: {role: ["buyer"], team: ["x"]}}`, `issuer: "other"`)
	}
	return out
}

func (g *Random) stringMatch() string {
	return `"x-k": ` + g.one(`exact: "v"`, `prefix: "v"`, `suffix: "w"`, `regex: "v[0-9]*"`, "present: true",
		"present: false", `{exact: "v", invert: true}`)
}

func (g *Random) headerMatch() string {
	if g.Hosts && g.chance(4) {
		return g.hostMatch()
	}
	return g.stringMatch()
}

// hostMatch asks for the host, of which the port is not a part, but may be asked for too.
func (g *Random) hostMatch() string {
	return `host: ` + g.one(`exact: "b"`, `exact: "one.example"`, `prefix: "b"`, `suffix: ".example"`,
		`suffix: ":8080"`, `exact: "c:1"`, `regex: "[a-z]|.*example"`, `{exact: "b", invert: true}`)
}

// host is one that a gateway's route matches.
func (g *Random) host() string {
	return "host: " + g.one(`"one.example"`, `"*.example"`, `"*.two.example"`)
}

// exposed are the routes that a service has at the gateway.
func (g *Random) exposed() string {
	return strings.Join(g.list(1, 3, func() string {
		match, _ := g.match()
		return `{gateway: "g", match: {` + strings.Join(append(match, g.host()), ", ") + "}" +
			g.one("", "", `, rewrite: path: prefix: "/z"`) + "}"
	}), ", ")
}

// match is what a route asks for, but for the host, and what it asks of the path.
func (g *Random) match() (match []string, path string) {
	if !g.chance(3) {
		path = g.one(`exact: "/a"`, `exact: "/a/b"`, `prefix: "/a"`, `prefix: "/a/"`, `prefix: "/"`,
			`regex: "/[a-z]+/b"`, `template: "/u/{id}/x"`, `template: "/a/**"`, `exact: "/a%20b"`)
		match = append(match, "path: "+path)
	}
	if g.asks("method", 4) {
		match = append(match, "method: "+g.one(`"GET"`, `"POST"`))
	}
	if g.asks("headers", 3) {
		match = append(match, "headers: "+g.headerMatch())
	}
	if g.asks("query", 4) {
		match = append(match, "query: q: "+g.one(`exact: "1"`, `prefix: "1"`, "present: true", "present: false",
			`regex: "[0-9]+"`))
	}
	return match, path
}

// route is one of a service, or with an empty name of the gateway.
func (g *Random) route(of, other string) string {
	var match []string
	if of == "" && g.chance(2) {
		match = append(match, g.host())
	}
	rest, path := g.match()
	match = append(match, rest...)
	out := ""
	if match != nil {
		out = "match: {" + strings.Join(match, ", ") + "}, "
	}
	to := func(service string) string {
		head := fmt.Sprintf("service: %q, ", service)
		if service == of {
			head = ""
		}
		return g.one(
			fmt.Sprintf("{%sversion: %q}", head, g.one("v1", "v2")),
			fmt.Sprintf("{%sversion: \"v1\", weight: %d}, {%sversion: \"v2\", weight: %d}", head, g.IntN(2), head,
				1+g.IntN(3)),
			"{"+strings.TrimSuffix(head, ", ")+"}",
		)
	}
	switch g.IntN(8) {
	case 0:
		return "{" + out + "directResponse: {status: " + g.one("200", "404", "503") + `, body: "said"}}`
	case 1:
		return "{" + out + "redirect: " + g.one(`path: "/moved"`, `{host: "new.example", status: 302}`,
			`{scheme: "https", port: 8443}`, `prefix: "/n/"`, `scheme: "https"`) + "}"
	}
	service := of
	if of == "" || g.chance(5) {
		service = other
	}
	out += "to: [" + to(service) + "]"
	if g.chance(3) {
		rewrite := []string{`path: prefix: "/z"`, `path: prefix: "/a/"`, `host: "rewritten.example"`}
		if !strings.HasPrefix(path, "template") && of != "" {
			rewrite = append(rewrite, `path: regex: {pattern: "/([a-z])", substitution: "/\\1\\1"}`)
		}
		out += ", rewrite: " + g.one(rewrite...)
	}
	if g.chance(5) {
		out += ", headers: request: " + g.one(`set: "x-k": "v"`, `remove: ["x-k"]`, `add: "x-k": "w"`)
	}
	if (g.Edge || g.CORS) && g.chance(3) {
		out += cors
	}
	if g.chance(12) {
		out += ", fault: abort: status: 418"
	}
	return "{" + out + "}"
}

// Request is a random one, and the lines of its head that r has not: those of its token, which token makes.
func (g *Random) Request(token func(issuer string, claims map[string]any) string) (r try.Request, raw string) {
	r = try.Request{
		Method: g.one("GET", "GET", "POST", "PUT", "DELETE", "PURGE", "TAKE", "get"), Scheme: "http",
		Port: 8080,
	}
	r.From, r.Host = try.Sender{Kind: ir.KindService, Name: "a"}, g.one("b", "c")
	if g.Forms {
		forms := []string{"", "", ".", ".default", ".default.", ".default.svc.", ".default.svc.cluster.local."}
		r.Host = g.one(r.Host+g.one(forms...), r.Host+g.one(forms...), r.Host+".internal.example",
			r.Host+".INTERNAL.example.", "old-"+r.Host, "OLD-"+r.Host+".")
	}
	if g.chance(2) {
		r.From, r.Host = try.Sender{Kind: ir.KindGateway, Name: "g"}, g.one("one.example", "ONE.example.", "x.example",
			"y.two.example", "elsewhere.test")
	}
	r.Path = g.one("/a", "/a", "/a/b", "/a/", "/", "/u/7/x", "/u/7/8/x", "/A", "/a//b", "/a/./b", "/b/../a", "/a/b/..",
		"/%61", "/a%2fb", "/a%2Eb", "/b/%2e%2e/a", "/a%20b", "/a;x", "/a%00", "/a/..%2f", "/x/b", `/a\b`, "/a/b/.",
		"/..", "/a%7Eb", "/%e4/b")
	if g.chance(4) {
		r.Path = g.Path()
	}
	if g.chance(3) {
		r.Path += g.one("?q=1", "?q=12&r=2", "?r=1", "?q", "?q=", "?q=%31", "?q=1&q=2", "?/../a")
	}
	r.Authority = r.Host + g.one("", "", ":8080", ":1")
	g.edge(&r)
	head := ""
	values := 0 // of the header, up to five
	switch g.IntN(6) {
	case 0, 1:
		values = 1
	case 2:
		values = 2 + g.IntN(4)
	}
	for range values {
		r.Headers = append(r.Headers, ir.Header{Name: "x-k", Value: g.one("v", "v1", "vw", "w", "", "second", "v,w")})
	}
	if g.Upgrades && g.chance(3) {
		r.Headers = append(r.Headers, ir.Header{Name: "upgrade", Value: g.one("SPDY/3.1", "spdy/3.1", "spdy/3.1",
			"tls/1.2", "h2c", "spdy/3.1, tls/1.2")})
		if !g.chance(6) {
			r.Headers = append(r.Headers, ir.Header{Name: "connection", Value: g.one("Upgrade", "x-y , upgrade")})
		}
	}
	for _, h := range r.Headers {
		head += h.Name + ": " + h.Value + "\r\n"
	}
	if g.chance(2) {
		r.Token = &try.Token{Issuer: g.one("accounts", "accounts", "other"), Claims: map[string][]string{}}
		said := map[string]any{}
		if role := g.one("", "buyer", "admin", "cook"); role != "" {
			said["role"], r.Token.Claims["role"] = role, []string{role}
		}
		if g.chance(3) {
			said["team"], r.Token.Claims["team"] = []string{"w", "x"}, []string{"w", "x"}
		}
		head += "authorization: Bearer " + token(r.Token.Issuer, said) + "\r\n"
	}
	if slices.Contains([]string{"POST", "PUT"}, r.Method) {
		head += "content-length: 0\r\n"
	}
	target, host := r.Path, r.Authority
	// Beside the absolute form the header host does not count.
	if g.Forms && g.chance(4) {
		target, host = g.one("http://", "HTTP://")+r.Authority+r.Path, g.one(r.Authority, "elsewhere.test", "c", "")
	}
	return r, fmt.Sprintf("%s %s HTTP/1.1\r\nhost: %s\r\n%sconnection: close\r\n\r\n", r.Method, target, host,
		head)
}
