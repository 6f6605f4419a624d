package diff

import (
	"slices"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/compiletest"
	"github.com/meshc/meshc/compiler/ir"
)

const base = `package shop

mesh: {
	name: "shop", trustDomain: "shop.example"
	silence: {MC1203: "-", MC1307: "-", MC1402: "-", MC1701: "-", MC1702: "-", MC1703: "-", MC1704: "-", MC1705: "-"}
	jwt: issuers: accounts: {issuer: "https://accounts.example", audiences: ["shop"], jwks: inline: "{\"keys\": []}"}
	externalAuthorization: az: {service: "az"}
}
services: a: {workload: deployment: "a", uses: {b: {}, t: {}}}
services: b: {
	workload: deployment: "b"
	ports: {http: {port: 8080, protocol: "http"}, admin: {port: 9090, protocol: "http"}}
	versions: {v1: labels: version: "v1", v2: labels: version: "v2"}
	allow: [{from: services: ["a"], ports: ["http"], methods: ["GET"]}, {from: gateways: ["g"], ports: ["http"]}]
	routes: [{name: "hello", match: path: exact: "/hello", directResponse: {status: 200, body: "hello"}}]
}
services: t: {workload: deployment: "t", ports: tcp: {port: 5000, protocol: "tcp"}, allow: [{from: services: ["a"]}]}
services: az: {workload: deployment: "az", ports: grpc: {port: 9000, protocol: "grpc"}, allow: [{from: services: ["b"]}]}
gateways: g: {
	listeners: {plain: {port: 80, redirectTo: "https"}, https: {port: 443, hosts: ["*.shop.example"], tls: secret: "shop"}}
	routes: [{name: "shop", to: [{service: "b"}]}]
	uses: b: {}
}
`

// allowing adds a rule to those of b, and routing a route before the one that it has.
func allowing(rule string) [2]string {
	return [2]string{`{from: gateways: ["g"], ports: ["http"]}]`, `{from: gateways: ["g"], ports: ["http"]}, ` +
		rule + `]`}
}

func routing(route string) [2]string {
	return [2]string{`routes: [{name: "hello"`, `routes: [` + route + `, {name: "hello"`}
}

// hiddenChange is a change that is easily missed, and what is to be told of it.
type hiddenChange struct {
	name string
	// change is what replaces what, and before what is replaced on either side of it.
	change [][2]string
	before [][2]string
	kind   Kind
	to     string
}

var hiddenChanges = []hiddenChange{
	{
		name:   "a value with a space",
		change: [][2]string{allowing(`{from: services: ["t"], headers: "x-tenant": exact: "big corp"}`)},
		kind:   NewlyAllowed, to: "service b",
	},
	{
		name: "three values of one header", before: [][2]string{
			{
				`{from: gateways: ["g"], ports: ["http"]}]`,
				`{from: gateways: ["g"], ports: ["http"]}, {from: services: ["a"], methods: ["PUT"], headers: "x-k": exact: "two"}]`,
			},
			{
				"\tversions:",
				"\tdeny: [{from: services: [\"a\"], methods: [\"PUT\"], headers: \"x-k\": exact: \"three\"}, {from: services: [\"a\"], headers: \"x-k\": {exact: \"one\", invert: true}}]\n\tversions:",
			},
		},
		change: [][2]string{{`{from: services: ["a"], methods: ["PUT"], headers: "x-k": exact: "three"}, `, ``}},
		kind:   NewlyAllowed, to: "service b",
	},
	{
		name:   "a value with a tab",
		change: [][2]string{allowing(`{from: services: ["t"], headers: "x-tenant": exact: "a\tb"}`)},
		kind:   NewlyAllowed, to: "service b",
	},
	{
		name:   "a value in no ASCII",
		change: [][2]string{routing(`{match: headers: "x-name": exact: "Zoë", to: [{version: "v2"}]}`)},
		kind:   Rerouted, to: "service b",
	},
	{
		name:   "a query with escapes",
		change: [][2]string{routing(`{match: query: q: exact: "a%20b/c", to: [{version: "v2"}]}`)}, kind: Rerouted,
		to: "service b",
	},
	{
		name: "an odd path", change: [][2]string{allowing(`{from: services: ["a"], paths: ["/v1/items[0]"]}`)},
		kind: NewlyAllowed, to: "service b",
	},
	{
		name:   "a path with an escaped bar",
		change: [][2]string{routing(`{match: path: exact: "/a%7Cb", to: [{version: "v2"}]}`)}, kind: Rerouted,
		to: "service b",
	},
	{
		name:   "where a word ends",
		before: [][2]string{allowing(`{from: services: ["a"], headers: "x-k": regex: "a\\b.*"}`)},
		change: [][2]string{{`"a\\b.*"`, `"a.*"`}}, kind: NewlyAllowed, to: "service b",
	},
	{
		name:   "a probe beside the ports",
		change: [][2]string{{"versions:", "probes: [{port: 9999, http: path: \"/healthz\"}]\n\tversions:"}},
		kind:   NewlyAllowed, to: "service b",
	},
	{
		name:   "addresses of the other kind",
		before: [][2]string{allowing(`{from: {services: ["a"], ipRanges: ["0.0.0.0/0"]}, methods: ["PUT"]}`)},
		change: [][2]string{{`{services: ["a"], ipRanges: ["0.0.0.0/0"]}`, `services: ["a"]`}}, kind: NewlyAllowed,
		to: "service b",
	},
	{
		name: "an identity behind a denied one", change: [][2]string{
			allowing(`{from: identities: ["spiffe://shop.example/ns/ops/*"]}`),
			{"\tversions:", "\tdeny: [{from: identities: [\"spiffe://shop.example/ns/ops/x\"]}]\n\tversions:"},
		}, kind: NewlyAllowed, to: "service b",
	},
	{
		name: "a host behind another",
		before: [][2]string{{
			`routes: [{name: "shop"`,
			`routes: [{match: host: "any.shop.example", directResponse: status: 404}, {name: "shop"`,
		}},
		change: [][2]string{{
			`{name: "shop", to: [{service: "b"}]`,
			`{name: "shop", to: [{service: "b", version: "v2"}]`,
		}}, kind: Rerouted, to: "gateway g",
	},
	{
		name:   "the methods nobody names",
		before: [][2]string{{`methods: ["GET"]`, `methods: ["GET", "PATCH", "X"]`}},
		change: [][2]string{{`, methods: ["GET", "PATCH", "X"]`, ``}}, kind: NewlyAllowed, to: "service b",
	},
	{
		name:   "a header that proxies write",
		before: [][2]string{allowing(`{from: services: ["a"], headers: "x-forwarded-proto": exact: "https"}`)},
		change: [][2]string{{`exact: "https"`, `exact: "http"`}}, kind: NewlyAllowed, to: "service b",
	},
	{name: "another port of one that is called", change: [][2]string{
		{`ports: ["http"], methods`, `methods`},
		{`uses: {b: {}, t: {}}`, `uses: {b: ports: ["http"], t: {}}`},
	}, kind: NewlyAllowed, to: "service b"},
	{
		name: "swapped accounts",
		before: [][2]string{
			{`workload: deployment: "a", uses`, `account: "one", workload: deployment: "a", uses`},
			{`services: t: {workload`, `services: t: {account: "two", workload`},
		},
		change: [][2]string{
			{`account: "one"`, `account: "three"`},
			{`account: "two"`, `account: "one"`},
			{`account: "three"`, `account: "two"`},
		}, kind: NewlyAllowed, to: "service b",
	},
	{
		name:   "an authorization service that is not asked any more",
		before: [][2]string{{"versions:", "externalAuthorization: \"az\"\n\tversions:"}},
		change: [][2]string{{"externalAuthorization: \"az\"\n", "\n"}}, kind: NewlyAllowed, to: "service b",
	},
	{
		name: "a client certificate that is not asked for any more",
		before: [][2]string{{
			`tls: secret: "shop"`,
			`tls: {secret: "shop", clientCertificates: secret: "clients"}`,
		}},
		change: [][2]string{{`, clientCertificates: secret: "clients"`, ``}}, kind: NewlyAllowed, to: "gateway g",
	},
	{
		name: "plain requests that are redirected no more", change: [][2]string{{`, redirectTo: "https"`, ``}},
		kind: NewlyAllowed, to: "gateway g",
	},
	{
		name: "a service that becomes an external",
		before: [][2]string{{
			"gateways: g: {",
			"services: pay: {workload: deployment: \"pay\", ports: http: {port: 80, protocol: \"http\"}, allow: [{from: services: [\"a\"], methods: [\"POST\"]}]}\ngateways: g: {",
		}, {`uses: {b: {}, t: {}}`, `uses: {b: {}, t: {}, pay: {}}`}},
		change: [][2]string{
			{`services: pay: {workload: deployment: "pay", ports: http: {port: 80, protocol: "http"}, allow: [{from: services: ["a"], methods: ["POST"]}]}`, `external: pay: {hosts: ["pay"], ports: http: {port: 80, protocol: "http"}}`},
		},
		kind: NewlyAllowed, to: "external pay",
	},
	{
		name: "tokens for others", change: [][2]string{{`audiences: ["shop"]`, `audiences: ["shop", "others"]`}},
		kind: Identity, to: "mesh shop",
	},
	{
		name: "a rewrite by a pattern",
		before: [][2]string{{
			`to: [{service: "b"}]}]`,
			`to: [{service: "b", version: "v1"}], rewrite: path: regex: {pattern: "^/v([0-9])", substitution: "/\\1"}}]`,
		}}, change: [][2]string{{`"^/v([0-9])"`, `"^/v([0-9]+)"`}}, kind: Rerouted, to: "gateway g",
	},
	{
		name:   "preflights that a gateway answers",
		before: [][2]string{{`{name: "shop", to`, `{name: "shop", cors: origins: ["https://a.example"], to`}},
		change: [][2]string{{`cors: origins: ["https://a.example"], `, ``}}, kind: Rerouted, to: "gateway g",
	},
	{
		name:   "preflights that a caller's proxy answers",
		change: [][2]string{routing(`{match: path: exact: "/page", cors: origins: ["https://a.example"], to: [{}]}`)},
		kind:   Answered, to: "service b",
	},
	{
		name: "the headers of an answer",
		change: [][2]string{{
			`body: "hello"}}`,
			`body: "hello"}, headers: response: set: "x-frame-options": "DENY"}`,
		}}, kind: Handled, to: "service b",
	},
	{
		name: "connections of bytes", change: [][2]string{{`t: {}}}`, `t: connections: max: 5}}`}}, kind: Timing,
		to: "service t",
	},
	{
		name: "rules of one name",
		before: [][2]string{
			allowing(`{name: "x", from: services: ["t"], mode: "audit"}, {name: "x", from: services: ["az"], mode: "audit"}`),
		},
		change: [][2]string{{
			`{name: "x", from: services: ["t"]`,
			`{name: "x", from: services: ["t"], methods: ["GET"]`,
		}}, kind: Setting, to: "service b",
	},
}

// TestWhatHides changes what is easily missed: values that are not plain words, identities, hosts and methods that look
// like any other, ports and probes beside, guards that go, what proxies answer themselves. Each must be told, and as
// what it is.
func TestWhatHides(t *testing.T) {
	for _, c := range hiddenChanges {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			text, before := compiledWith(t, base, c.before)
			_, after := compiledWith(t, text, c.change)
			d := Of(before, after)
			wanted := func(e *Effect) bool { return e.Kind == c.kind && e.To.String() == c.to }
			if !slices.ContainsFunc(d.Effects, wanted) {
				t.Errorf("no %s of %s:", c.kind, c.to)
				for _, e := range d.Effects {
					t.Logf("%s: %s: %s -> %s", e.Kind, e.subject(), e.Was, e.Is)
				}
			}
		})
	}
}

// compiledWith is a spec with parts of it replaced, and what it compiles to.
func compiledWith(t *testing.T, text string, changes [][2]string) (string, *ir.Mesh) {
	t.Helper()
	for _, change := range changes {
		if !strings.Contains(text, change[0]) {
			t.Fatalf("no %q", change[0])
		}
		text = strings.Replace(text, change[0], change[1], 1)
	}
	r := compiletest.Compile(t, t.TempDir(), map[string]string{"mesh.cue": text})
	if r.Mesh == nil {
		t.Fatalf("%+v\n%s", r.Diagnostics, text)
	}
	return text, r.Mesh
}
