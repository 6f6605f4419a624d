package render_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/render"
	"github.com/meshc/meshc/review/diff"
)

// silent has a change for every field that turns a finding off, or finds something, or is for reviews, or is meshc
// serve's alone (TestInstancesAreBounded and those beside it, TestRenewalsEnd), and changes no output but mesh.json.
var silent = map[string]change{
	"mesh.limits.attempts": replace(`trustDomain: "shop.example"`,
		"trustDomain: \"shop.example\", limits: attempts: 50"),
	"mesh.limits.series": replace(`trustDomain: "shop.example"`,
		"trustDomain: \"shop.example\", limits: series: 100000"),
	"mesh.silence.[]":                          replace(`MC1703: "tried",`, `MC1703: "tried", MC1801: "tried",`),
	"services.[].silence.[]":                   addLine("service", `silence: MC1307: "tried"`),
	"gateways.[].silence.[]":                   addLine("gateway", `silence: MC1307: "tried"`),
	"external.[].silence.[]":                   addLine("external", `silence: MC1307: "tried"`),
	"mesh.server.limits.connectionsPerAddress": served("limits: connectionsPerAddress: 50"),
	"mesh.server.limits.handshakesPerAddress":  served("limits: handshakesPerAddress: 50"),
	"mesh.server.limits.openConnections":       served("limits: openConnections: 50"),
	"mesh.server.limits.openHandshakes":        served("limits: openHandshakes: 50"),
	"mesh.server.limits.instances":             served("limits: instances: 50"),
	"mesh.server.limits.connections":           served("limits: connections: 50"),
	"mesh.server.limits.logLines":              served("limits: logLines: 50"),
	"mesh.server.limits.refusalBytes":          served("limits: refusalBytes: 5000"),
	"mesh.server.except.services.[]":           served(`except: services: a: "gone"`),
	"mesh.server.except.gateways.[]":           served(`except: gateways: g: "gone"`),
	"mesh.certificates.renewFor": {
		from: `issuer: {kind: "ClusterIssuer", name: "ca"}/*certificates*/`,
		to:   `issuer: kind: "embedded", renewFor: "1000h"`, instead: `issuer: kind: "embedded"`,
	},
	"mesh.operators.identities.[]": replace(`trustDomain: "shop.example"`,
		`trustDomain: "shop.example", operators: identities: ["spiffe://shop.example/ops"]`).
		replacing(`trustDomain: "shop.example", operators: identities: ["spiffe://shop.example/all"]`),
	"mesh.operators.kubernetes.users.[]":  operated(`users: ["jane"]`, `users: ["joe"]`),
	"mesh.operators.kubernetes.groups.[]": operated(`groups: ["sre"]`, `groups: ["all"]`),
	"mesh.proxy.privileged.[]":            add("mesh proxy", `privileged: ["app"]`),
	"mesh.owners.[].[]": replace(`trustDomain: "shop.example"`,
		"trustDomain: \"shop.example\", owners: \"mesh.cue\": [\"@shop/all\"]"),
	"services.[].grants.[]":                            addLine("service", `grants: ["@shop/all"]`),
	"gateways.[].grants.[]":                            addLine("gateway", `grants: ["@shop/all"]`),
	"gateways.[].allowedRoutes.[].from.directories.[]": addLine("gateway", `allowedRoutes: [{from: directories: ["teams"], hosts: ["*"]}]`),
	"gateways.[].allowedRoutes.[].from.namespaces.[]":  addLine("gateway", `allowedRoutes: [{from: namespaces: ["shop"], hosts: ["*"]}]`),
	"gateways.[].allowedRoutes.[].hosts.[]": addLine("gateway", `allowedRoutes: [{from: namespaces: ["shop"], hosts: ["*"]}]`).
		replacing(`allowedRoutes: [{from: namespaces: ["shop"], hosts: ["a.example"]}]`),
	"gateways.[].allowedRoutes.[].paths.[]": addLine("gateway", `allowedRoutes: [{from: namespaces: ["shop"], hosts: ["*"], paths: ["/*"]}]`).
		replacing(`allowedRoutes: [{from: namespaces: ["shop"], hosts: ["*"]}]`),
}

// served is a change of how meshc serve treats its proxies.
func served(with string) change {
	return replace(`trustDomain: "shop.example"`, "trustDomain: \"shop.example\", server: {"+with+"}")
}

// told are fields of which the Scopes of some members tell though their proxies do not read them there, with the
// reason. Such a proxy is rendered once more for nothing, and is not sent anything.
var told = map[string]string{
	"mesh.certificates.issuer.kind":               "with the embedded issuer the server sends the roots",
	"mesh.certificates.issuer.name":               "it is a part of the issuer",
	"mesh.certificates.issuer.signer":             "it is a part of the issuer",
	"mesh.clusterDomain":                          "it is read where somebody is called by a name in the cluster",
	"mesh.defaults.timeout":                       "members whose proxies alone ask somebody have uses too",
	"mesh.defaults.connections.max":               "it is read where requests do not share connections",
	"mesh.defaults.idleTimeout":                   "members whose proxies alone ask somebody have uses too",
	"mesh.proxy.healthPort":                       "it is read where a probe is by TCP",
	"mesh.proxy.inboundPort":                      "gateways have none",
	"mesh.proxy.outboundPort":                     "gateways have none",
	"mesh.proxy.secretDirectory":                  "it is read where a listener ends TLS",
	"mesh.proxy.requests":                         "it is read where requests are",
	"mesh.proxy.interception":                     "gateways are never redirected to",
	"mesh.telemetry":                              "it is read where there are requests, or connections that are let in",
	"services.[].objectives.availability":         "objectives of latency are read, and both are in one place",
	"services.[].uses.[].objectives.availability": "objectives of latency are read, and both are in one place",
	"mesh.trustDomains.[].bundle":                 "it is read where the mesh's TLS is ended, which a member without ports does not do",
	"services.[].health":                          "the proxy lets the health checks of callers in by their kind and path",
	"services.[].account":                         "the identity is made of it: the certificate is another",
	"gateways.[].account":                         "the identity is made of it: the certificate is another",
	"services.[].hosts.[]":                        "gateways go by the hosts of their listeners",
	"services.[].createService":                   "it is the Service that stands for the service itself",
	"services.[].versions.[].labels.[]":           "callers read those of versions to which routes lead",
	"services.[].workload.endpoints.[].labels.[]": "it is the place of the instance itself",
	"services.[].workload.endpoints.[].region":    "it is the place of the instance itself",
	"services.[].workload.endpoints.[].weight":    "it is the place of the instance itself",
	"services.[].workload.endpoints.[].zone":      "it is the place of the instance itself",
	"services.[].routes.[].rateLimit.requests":    "the rate limit service counts what is global",
	"services.[].routes.[].rateLimit.per":         "the rate limit service counts what is global",
	"gateways.[].egress.host":                     "it is where the callers find the gateway",
	"gateways.[].egress.port":                     "it is read where an external is behind the gateway",
	"external.[].hosts.[]":                        "an egress gateway passes the callers' TLS on",
	"external.[].local":                           "the calls of an egress gateway have rules of their own",
	"external.[].ports":                           "an egress gateway that no calls to it go via uses it too",
	"external.[].tls":                             "an egress gateway passes the callers' TLS on",
	"external.[].timeout":                         "an egress gateway passes the callers' TLS on",
	"external.[].idleTimeout":                     "an egress gateway passes the callers' TLS on",
}

// isTold reports whether a field, or what it is a part of, is among those.
func isTold(field string) bool {
	for at := range told {
		if field == at || strings.HasPrefix(field, at+".") {
			return true
		}
	}
	return false
}

// TestFieldsTakeEffect changes each field of the language in turn and wants an output to change, and meshc diff to
// tell what that does: a field that is ignored is the worst that a compiler can do, and one that is not told the worst
// that a review can.
func TestFieldsTakeEffect(t *testing.T) {
	fields := map[string]bool{}
	leaves(reflect.TypeFor[spec.Repository](), "", fields, map[reflect.Type]string{})
	for field := range fields {
		_, loud := changes[field]
		_, quiet := silent[field]
		if !loud && !quiet && !strings.HasPrefix(field, "tests.") {
			t.Errorf("no change of %s is tried", field)
		}
	}
	everywhere := compiled(t, everything)
	readBefore, describedBefore := render.ReadBy(t, everywhere), described(t, everywhere)
	outputs := render.NewRenditions(t)
	effects := map[string]string{}
	try := func(field string, c change, loud bool) {
		t.Run(field, func(t *testing.T) {
			if !fields[field] && !isRendered(field) {
				t.Errorf("there is no field %s", field)
			}
			if !strings.Contains(everything, c.from) {
				t.Fatalf("%q is not there to be changed", c.from)
			}
			before, read, words := everywhere, readBefore, describedBefore
			if c.instead != "" {
				before = compiled(t, strings.Replace(everything, c.from, c.instead, 1))
				read, words = render.ReadBy(t, before), described(t, before)
			}
			after := compiled(t, strings.Replace(everything, c.from, c.to, 1))
			if outputs.Differ(before, after) != loud {
				t.Errorf("that %s becomes %s changes outputs: %v", c.from, c.to, !loud)
			}
			more := read.Tell(t, render.ReadBy(t, after))
			if !isTold(field) && len(more) > 0 {
				t.Errorf("the Scopes of %v tell of %s, which their proxies do not read", more, field)
			}
			if told := words != described(t, after); !told && !isNotDescribed(field) {
				t.Errorf("meshc describe says the same when %s becomes %s", c.from, c.to)
			}
			d := diff.Of(before, after)
			effects[field] = kinds(d)
			if len(d.Effects) == 0 {
				t.Errorf("nothing is told of that %s becomes %s", c.from, c.to)
			}
		})
	}
	for field, c := range changes {
		try(field, c, true)
	}
	for field, c := range silent {
		try(field, c, false)
	}
	if len(effects) == len(changes)+len(silent) { // all were run
		keepKinds(t, effects)
	}
}

// leaves collects the fields of a type that hold values. A type that was seen
// before, like the retries of a service after those of a use, is the same again.
func leaves(typ reflect.Type, path string, found map[string]bool, seen map[reflect.Type]string) {
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	switch {
	case typ == reflect.TypeFor[spec.Unsupported]():
	case typ.Kind() == reflect.Map || typ.Kind() == reflect.Slice:
		leaves(typ.Elem(), path+".[]", found, seen)
	case typ.Kind() == reflect.Struct && typ.NumField() > 0 && typ.Field(0).Name == "Value":
		found[strings.TrimPrefix(path, ".")] = true
	case typ.Kind() == reflect.Struct:
		_, again := seen[typ]
		if again && !strings.HasSuffix(path, ".match.headers.[]") && !strings.HasSuffix(path, ".match.grpc") ||
			path == ".mesh.defaults.retries" {
			return
		}
		seen[typ] = path
		for i := range typ.NumField() {
			if tag := typ.Field(i).Tag.Get("cue"); tag != "" {
				leaves(typ.Field(i).Type, path+"."+tag, found, seen)
			}
		}
	}
}

func compiled(t *testing.T, source string) *ir.Mesh {
	t.Helper()
	m, found := linked(evaluated(t, source))
	if len(found) > 0 {
		t.Fatal(found)
	}
	return m
}
