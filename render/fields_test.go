package render_test

import (
	"bytes"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/render"
	"github.com/meshc/meshc/review/diff"
)

var marks = regexp.MustCompile(`/\*[a-z ]*\*/`)

const (
	partner  = `-----BEGIN CERTIFICATE-----\nMIIBjDCCATGgAwIBAgIUeTKNmkr8/GEjsVZkbHZeZmpIJeEwCgYIKoZIzj0EAwIw\nGjEYMBYGA1UEAwwPcGFydG5lci5leGFtcGxlMCAXDTI2MTEyNDIwNTQyNVoYDzIx\nMjYxMDMxMjA1NDI1WjAaMRgwFgYDVQQDDA9wYXJ0bmVyLmV4YW1wbGUwWTATBgcq\nhkjOPQIBBggqhkjOPQMBBwNCAASE2q0a82fMdPMUV1a7QfUXSFu+cLeC8GY5T5I2\nJdVWvJuLHCSc5GopTSkqfC2c872j27S7P7+Or3d/bgVCfYP+o1MwUTAdBgNVHQ4E\nFgQUrCbs2921hawzaIv6+kDC6J0w1tswHwYDVR0jBBgwFoAUrCbs2921hawzaIv6\n+kDC6J0w1tswDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNJADBGAiEAzwW8\nGxA8M0Le3Vt/7hACzegUiVovaL6/kLoxIqQQXB0CIQCATN6StCeC1nvTavrjLvk0\nRGAD319aeWyWJ6rVykQAYA==\n-----END CERTIFICATE-----`
	partner2 = `-----BEGIN CERTIFICATE-----\nMIIBiDCCAS2gAwIBAgIUA6XC9MaZIg/iqSrG4RJ58Vx4IRIwCgYIKoZIzj0EAwIw\nGDEWMBQGA1UEAwwNb3RoZXIuZXhhbXBsZTAgFw0yNjExMjQyMDU1NTJaGA8yMTI2\nMTAzMTIwNTU1MlowGDEWMBQGA1UEAwwNb3RoZXIuZXhhbXBsZTBZMBMGByqGSM49\nAgEGCCqGSM49AwEHA0IABPx+wMQHDq6sWfUasgdhfmq5CMLNptMTdbYpSgNuoPGW\nC2J4r38/92BrtxNPHJCkxoMLUym9TyIaUuhSvcdypLyjUzBRMB0GA1UdDgQWBBTH\n2fPqXhKj4kF7WuhCo3jf17bKPjAfBgNVHSMEGDAWgBTH2fPqXhKj4kF7WuhCo3jf\n17bKPjAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0kAMEYCIQCjGYHgN43Y\nB5/EfSRyp1qpjFL7oCH0UpDNV21sUK2hmAIhAJxX5Cu8ecdEUu/6DAzooMhOlT4n\nS1ROyDvRdj1P/RjJ\n-----END CERTIFICATE-----`
)

// everything is a mesh in which each field of the language can be changed. Marks
// are where a field is added; CUE does not see them.
const everything = `package shop

mesh: {
	name: "shop"
	trustDomain: "shop.example"
	defaults: {retries: {attempts: 1}/*defaults*/}
	certificates: {issuer: {kind: "ClusterIssuer", name: "ca"}/*certificates*/}
	proxy: {adminPort: 15000/*mesh proxy*/}
	images: {envoy: "envoy:1"/*images*/}
	flux: {url: "https://git.example/mesh"/*flux*/}
	silence: {MC1203: "the first of two meshes", MC1402: "tried"}
	rateLimit: {service: "limiter", port: *"grpc" | string/*limiter*/}
	trustDomains: "partner.example": bundle: "` + partner + `"
	jwt: issuers: {
		one: {issuer: "https://one.example", jwks: {inline: "{\"keys\":[]}"/*keys*/}/*issuer*/}
		two: {issuer: "https://two.example", jwks: {service: "keys", port: *"http" | string/*fetched*/}}
	}
	externalAuthorization: {
		asks: {service: "asks", port: *"http" | string/*asks*/}
		other: {service: "asks", port: "more", failOpen: true}
	}
}
services: {
	tokens: {
		workload: deployment: "tokens"
		ports: http: {port: 92, protocol: "http"}
		allow: [{from: {services: ["d"], identities: ["spiffe://partner.example/a"]}, jwt: {issuer: "one"/*token*/}}, {from: services: ["d"], jwt: issuer: "two"}]
		mtls: "strict"
		externalAuthorization: "asks"
	}
	keys: {workload: deployment: "keys", ports: {http: {port: 93, protocol: "http"}, more: {port: 94, protocol: "http"}}, allow: [{from: services: ["tokens"]}]}
	keys2: {workload: deployment: "keys2", ports: {http: {port: 93, protocol: "http"}}, allow: [{from: services: ["tokens"]}]}
	asks: {workload: deployment: "asks", ports: {http: {port: 95, protocol: "http"}, more: {port: 96, protocol: "http"}}, allow: [{from: {services: ["tokens", "a"], gateways: ["g"]}}]}
	asks2: {workload: deployment: "asks2", ports: {http: {port: 95, protocol: "http"}}, allow: [{from: {services: ["tokens", "a"], gateways: ["g"]}}]}
}
mesh: silence: {MC1701: "tried", MC1702: "tried", MC1703: "tried", MC1736: "tried", MC1741: "tried", MC1704: "tried", MC1705: "tried", MC1730: "tried"}
services: a: {
	workload: deployment: "a"
	ports: {http: {port: 80, protocol: "http"/*port*/}, admin: {port: 90, protocol: "http"}}
	versions: v1: labels: version: "v1"
	uses: {b: {/*use b*/}, e: {/*use e*/}}
	allow: [{from: {gateways: ["g"]/*from*/}/*rule*/}]
	routes: [{match: {path: exact: "/one"/*match*/}, to: [{version: "v1"/*destination*/}, {weight: 2}]/*route*/}]
	retries: {attempts: 1/*retries*/}
	proxy: {adminPort: 15001+10/*service proxy*/}
	/*service*/
}
services: b: {
	workload: endpoints: [{address: "10.0.0.1"/*endpoint*/}, {address: "10.0.0.9", labels: version: "1"}]
	ports: http: {port: 81, protocol: "http"}
	versions: {v1: labels: version: "1", v2: labels: version: "2"}
	routes: [{to: [{version: "v2"}]}]
	silence: MC1307: "it has none yet"
	allow: [{from: services: ["a"]}]
}
services: {
	limiter: {workload: deployment: "limiter", ports: {grpc: {port: 87, protocol: "grpc"}, more: {port: 89, protocol: "grpc"}}, allow: [{from: services: ["y", "x", "limiter2"]}]}
	limiter2: {workload: deployment: "limiter2", ports: {grpc: {port: 87, protocol: "grpc"}}, allow: [{from: services: ["y", "x"]}]}
}
services: [=~"y[23]"]: {
	ports: {p: {port: 5432, protocol: "tcp"}, q: {port: 5433, protocol: "tcp"}}
	versions: v1: labels: version: "v1"
	allow: [{from: gateways: ["g"]}]
}
services: {y2: workload: deployment: "y2", y3: workload: deployment: "y3"}
services: x: {
	workload: endpoints: [{address: "10.0.2.1", zone: "eu-west-1a"}]
	uses: y: {}
}
services: y: {
	workload: endpoints: [
		{address: "10.0.3.1", zone: "eu-west-1a"/*zoned*/}, {address: "10.0.3.2", zone: "eu-west-1b"},
		{address: "10.0.3.3", zone: "us-east-1b"}, {address: "10.0.3.4", zone: "eu-central-1b"},
	]
	ports: {http: {port: 86, protocol: "http2"}, plain: {port: 88, protocol: "http"/*plain port*/}}
	allow: [{from: services: ["x"]}]
	locality: {failover: [{from: "eu-west", to: "eu-central"}]/*locality*/}
	loadBalancer: {/*balancer*/}
	outliers: {interval: "5s"/*outliers*/}
	health: {/*health*/grpc: {}}
	rateLimit: {requests: 5, global: true}
	connections: {max: 5/*connections*/}
}
services: c: {
	workload: dns: "c.internal"
	ports: {x: {port: 82, protocol: "http"}, y: {port: 83, protocol: "http"}}
	allow: [{from: services: ["d"]}]
	silence: MC1307: "none"
}
services: d: {
	workload: deployment: "d"
	ports: http: {port: 84, protocol: "http"}
	uses: c: {/*use c*/}
}
gateways: g: {
	listeners: http: {port: 8080/*listener*/}
	listeners: https: {port: 8443, tls: {secret: "s"/*listener tls*/}/*https*/}
	listeners: tcp: {port: 8444, protocol: "tcp", to: {service: "y2", port: "p"}}
	compression: {minBytes: 100/*compression*/}
	routes: [{to: [{service: "a", port: "http"}]}]
	uses: {a: {/*gateway use*/}, y2: {}, y3: {}}
	proxy: {adminPort: 15002+10}
	/*gateway*/
}
gateways: {exit: {egress: {port: 15443/*egress*/}, uses: {e: {}, f: {}}}, exit2: {egress: {}, uses: f: {}}}
external: f: {
	hosts: ["f2.example"]
	ports: https: {port: 443, protocol: "https"}
	via: "exit"
}
services: d: uses: f: {}
external: e: {
	hosts: ["e.example"]
	ports: https: {port: 443, protocol: "https"}
	/*external*/
}
`

// change replaces a part of everything, or adds something at a mark. What it is
// compared with has instead in that place, or what stood there.
type change struct{ from, to, instead string }

func add(mark, field string) change {
	return change{from: "/*" + mark + "*/", to: ", " + field}
}

func addLine(mark, field string) change { return change{from: "/*" + mark + "*/", to: field} }

func replace(from, to string) change { return change{from: from, to: to} }

// vary adds a field that stands inside of others, and compares it with the others
// without it.
func vary(mark, without, with string) change {
	return change{from: "/*" + mark + "*/", to: ", " + with, instead: ", " + without}
}

// changes has one for every field that is rendered, by its place in the types of
// the spec.
var changes = map[string]change{
	"mesh.telemetry.accessLog.format":  logging("", `format: "text"`),
	"mesh.telemetry.accessLog.when":    logging("", `when: "all"`),
	"mesh.telemetry.accessLog.percent": logging(`when: "sampled"`, `when: "sampled", percent: 5`),
	"mesh.telemetry.accessLog.query":   logging("", `query: true`),
	"mesh.telemetry.accessLog.file":    logging("", `file: "/var/log/access.log"`),
	"mesh.telemetry.collector.service": collecting(`service: "collects"`, `service: "collects2"`),
	"mesh.telemetry.collector.external": collecting(`external: "otel", port: "grpc"`,
		`external: "otel2", port: "grpc"`),
	"mesh.telemetry.collector.port": collecting(`external: "otel", port: "grpc"`, `external: "otel", port: "more"`),
	"mesh.telemetry.tracing.sampling": collecting(`service: "collects"}, tracing: {`,
		`service: "collects"}, tracing: {sampling: 20`),
	"services.[].telemetry.tracing.sampling": {
		"/*service*/", "telemetry: tracing: sampling: 5" + traced("services: a"), traced("services: a"),
	},
	"gateways.[].telemetry.tracing.sampling": {
		"/*gateway*/", "telemetry: tracing: sampling: 5" + traced("gateways: g"), traced("gateways: g"),
	},
	"services.[].routes.[].telemetry.tracing.sampling": {
		"exact: \"/one\"/*match*/}, to: [{version: \"v1\"/*destination*/}, {weight: 2}]/*route*/}]",
		"exact: \"/one\"}, to: [{version: \"v1\"}, {weight: 2}], telemetry: tracing: sampling: 5}]\n" + traced("services: a"),
		"exact: \"/one\"}, to: [{version: \"v1\"}, {weight: 2}]}]\n" + traced("services: a"),
	},
	"services.[].routes.[].telemetry.accessLog.when": add("route", `telemetry: accessLog: when: "all"`),
	"services.[].routes.[].telemetry.accessLog.percent": vary("route", `telemetry: accessLog: when: "sampled"`,
		`telemetry: accessLog: {when: "sampled", percent: 5}`),
	"mesh.name":        replace(`name: "shop"`, `name: "shop2"`),
	"mesh.trustDomain": replace("shop.example", "other.example"),
	"mesh.clusterDomain": replace(`trustDomain: "shop.example"`,
		"trustDomain: \"shop.example\", clusterDomain: \"eu.example\""),
	"mesh.delivery":                 replace(`trustDomain: `, "delivery: \"static\"\n\ttrustDomain: "),
	"mesh.defaults.timeout":         add("defaults", `timeout: "3s"`),
	"mesh.certificates.issuer.kind": replace(`"ClusterIssuer"`, `"Issuer"`),
	"mesh.certificates.issuer.name": replace(`name: "ca"`, `name: "ca2"`),
	"mesh.certificates.issuer.signer": {
		from:    `issuer: {kind: "ClusterIssuer", name: "ca"}/*certificates*/`,
		to:      `issuer: {kind: "CertificateSigningRequest", signer: "a.example/b"}, trustBundle: configMap: "roots"`,
		instead: `issuer: {kind: "CertificateSigningRequest", signer: "a.example/a"}, trustBundle: configMap: "roots"`,
	},
	"mesh.certificates.trustBundle.configMap": add("certificates", `trustBundle: configMap: "roots"`),
	"mesh.certificates.trustBundle.key": vary("certificates", `trustBundle: configMap: "roots"`,
		`trustBundle: {configMap: "roots", key: "bundle.pem"}`),
	"mesh.certificates.lifetime":    add("certificates", `lifetime: "12h"`),
	"mesh.certificates.renewBefore": add("certificates", `renewBefore: "5h"`),
	"mesh.certificates.key":         add("certificates", `key: "rsa-2048"`),
	"mesh.proxy.interception": replace(`uses: {b: {/*use b*/}, e: {/*use e*/}}`,
		`uses: {b: bind: "127.0.0.1:9001", e: bind: "127.0.0.1:9002"}, proxy: interception: "explicit", ports: {http: target: 8081, admin: target: 9091}`),
	"mesh.proxy.inboundPort":      add("mesh proxy", "inboundPort: 15106"),
	"mesh.proxy.outboundPort":     add("mesh proxy", "outboundPort: 15101"),
	"mesh.proxy.healthPort":       add("mesh proxy", "healthPort: 15022"),
	"mesh.proxy.metricsPort":      metered("", `}, proxy: {metricsPort: 9464`),
	"mesh.telemetry.metrics.port": metered("", `port: 9464`),
	"mesh.telemetry.metrics.scraper.namespace": metered(`scraper: identity: "spiffe://shop.example/p"`,
		`scraper: {identity: "spiffe://shop.example/p", namespace: "monitoring"}`),
	"mesh.telemetry.metrics.scraper.pods.[]": metered(`scraper: {ipRanges: ["192.0.2.7"], namespace: "monitoring"}`,
		`scraper: {ipRanges: ["192.0.2.7"], namespace: "monitoring", pods: app: "prometheus"}`),
	"mesh.telemetry.metrics.scraper.ipRanges.[]": metered("", `scraper: ipRanges: ["192.0.2.7"]`),
	"mesh.telemetry.metrics.scraper.identity": metered(`scraper: ipRanges: ["192.0.2.7"]`,
		`scraper: {ipRanges: ["192.0.2.7"], identity: "spiffe://shop.example/p"}`),
	"mesh.proxy.adminPort":            replace("adminPort: 15000", "adminPort: 15100"),
	"mesh.proxy.certificateDirectory": add("mesh proxy", `certificateDirectory: "/certificates"`),
	"mesh.proxy.server":               add("mesh proxy", `server: "serve.example:15010"`),
	"mesh.images.meshc":               add("images", `meshc: "meshc:2"`),
	"mesh.images.envoy":               replace("envoy:1", "envoy:2"),
	"mesh.flux.url":                   replace("https://git.example/mesh", "https://git.example/other"),
	"mesh.flux.branch":                add("flux", `branch: "prod"`),
	"mesh.flux.tag": replace(`"https://git.example/mesh"/*flux*/`,
		`"oci://oci.example/mesh", tag: "v1"`),
	"mesh.flux.verify.secret": replace(`"https://git.example/mesh"/*flux*/`,
		`"oci://oci.example/mesh", tag: "v1", verify: secret: "keys"`),
	"mesh.flux.path":                  add("flux", `path: "./deploy"`),
	"mesh.flux.interval":              add("flux", `interval: "5m"`),
	"mesh.flux.namespace":             add("flux", `namespace: "gitops"`),
	"services.[].namespace":           addLine("service", `namespace: "n"`),
	"services.[].account":             addLine("service", `account: "other"`),
	"services.[].mtls":                replace(`mtls: "strict"`, `mtls: "permissive"`),
	"services.[].timeout":             addLine("service", `timeout: "20s"`),
	"services.[].workload.deployment": replace(`deployment: "a"`, `deployment: "a2"`),
	"services.[].versions.[].workload": replace(`versions: v1: labels: version: "v1"`,
		`versions: v1: {labels: version: "v1", workload: "a-1"}`),
	"services.[].workload.statefulSet": replace(`deployment: "a"`, `statefulSet: "a"`),
	"services.[].workload.daemonSet":   replace(`deployment: "a"`, `daemonSet: "a"`),
	"services.[].workload.job":         replace(`deployment: "a"`, `job: "a"`),
	"services.[].workload.cronJob":     replace(`deployment: "a"`, `cronJob: "a"`),
	"services.[].probes.[].port":       addLine("service", `probes: [{port: 1234, http: path: "/a"}]`),
	"services.[].probes.[].http.path":  addLine("service", `probes: [{port: 1234, http: path: "/b"}]`),
	"services.[].workload.dns":         replace("c.internal", "c2.internal"),
	// with what it allows, without which it is refused
	"services.[].workload.endpoints.[].local": {
		`address: "10.0.0.1"/*endpoint*/`,
		`address: "127.0.0.1", local: true`, "",
	},
	"services.[].workload.endpoints.[].address":   replace("10.0.0.1", "10.0.0.2"),
	"services.[].workload.endpoints.[].port":      add("endpoint", "port: 8181"),
	"services.[].workload.endpoints.[].ports.[]":  add("endpoint", "ports: http: 8181"),
	"services.[].workload.endpoints.[].zone":      add("endpoint", `zone: "z"`),
	"services.[].workload.endpoints.[].weight":    add("endpoint", "weight: 2"),
	"services.[].workload.endpoints.[].labels.[]": add("endpoint", `labels: version: "2"`),
	"services.[].ports.[].port":                   replace("port: 80,", "port: 8000,"),
	"services.[].ports.[].target":                 add("port", "target: 8080"),
	"services.[].ports.[].protocol": replace(`port: 81, protocol: "http"`,
		`port: 81, protocol: "grpc"`),
	"services.[].versions.[].labels.[]":                 replace(`labels: version: "v1"`, `labels: version: "1"`),
	"services.[].uses.[].ports.[]":                      addLine("use c", `ports: ["x"]`),
	"services.[].uses.[].timeout":                       addLine("use b", `timeout: "2s"`),
	"services.[].uses.[].bind":                          addLine("use b", `bind: "127.0.0.1:9001"`),
	"services.[].uses.[].binds.[]":                      addLine("use b", `binds: http: "127.0.0.1:9001"`),
	"services.[].uses.[].retries.attempts":              addLine("use b", `retries: attempts: 4`),
	"services.[].uses.[].retries.perTryTimeout":         addLine("use b", `retries: perTryTimeout: "1s"`),
	"services.[].uses.[].retries.on.[]":                 addLine("use b", `retries: on: ["5xx"]`),
	"services.[].uses.[].retries.budget.percent":        addLine("use b", `retries: budget: percent: 5`),
	"services.[].uses.[].retries.budget.minConcurrency": addLine("use b", `retries: budget: minConcurrency: 1`),
	"services.[].allow.[].from.services.[]":             add("from", `services: ["d"]`),
	"services.[].allow.[].from.gateways.[]": replace(`{gateways: ["g"]/*from*/}`,
		`{gateways: ["g", "exit"]}`),
	"services.[].allow.[].from.namespaces.[]": add("from", `namespaces: ["default"]`),
	"services.[].allow.[].from.identities.[]": add("from", `identities: ["spiffe://shop.example/x"]`),
	"services.[].allow.[].from.anyone":        add("from", `anyone: true`),
	"services.[].allow.[].from.plaintext": {
		"\"two\"}]\n\t\tmtls: \"strict\"",
		"\"two\"}, {from: plaintext: true}]\n\t\tmtls: \"permissive\"", "\"two\"}]\n\t\tmtls: \"permissive\"",
	},
	"services.[].allow.[].from.ipRanges.[]": add("from", `ipRanges: ["10.0.0.0/8"]`),
	"services.[].allow.[].name":             add("rule", `name: "x"`),
	"services.[].allow.[].grpc.service":     add("rule", `grpc: service: "a.B"`),
	"services.[].allow.[].grpc.method": vary("rule", `grpc: service: "a.B"`,
		`grpc: {service: "a.B", method: "C"}`),
	"services.[].allow.[].mode": {
		`mtls: "strict"`,
		`deny: [{from: services: ["d"], mode: "audit"}]`, ``,
	},
	"services.[].allow.[].jwt.issuer": {
		`{issuer: "one"/*token*/}`, `{issuer: "two"}`,
		`{issuer: "one"}`,
	},
	"services.[].allow.[].jwt.claims.[].[]": add("token", `claims: role: ["x"]`),
	"services.[].externalAuthorization": replace(`externalAuthorization: "asks"`,
		`externalAuthorization: "other"`),
	"gateways.[].externalAuthorization": addLine("gateway", `externalAuthorization: "asks"`),
	"mesh.externalAuthorization.[].service": replace(`service: "asks", port: *`,
		`service: "asks2", port: *`),
	"mesh.externalAuthorization.[].port":       vary("asks", `port: "http"`, `port: "more"`),
	"mesh.externalAuthorization.[].pathPrefix": add("asks", `pathPrefix: "/check"`),
	"mesh.externalAuthorization.[].headers.[]": add("asks", `headers: ["x-a"]`),
	"mesh.externalAuthorization.[].forward.[]": add("asks", `forward: ["x-a"]`),
	"mesh.externalAuthorization.[].timeout":    add("asks", `timeout: "3s"`),
	"mesh.externalAuthorization.[].failOpen":   add("asks", `failOpen: true`),
	"mesh.trustDomains.[].bundle":              replace(partner, partner2),
	"mesh.jwt.issuers.[].issuer":               replace("https://one.example", "https://three.example"),
	"mesh.jwt.issuers.[].audiences.[]":         add("issuer", `audiences: ["a"]`),
	"mesh.jwt.issuers.[].jwks.inline": replace(`{\"keys\":[]}`,
		`{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}`),
	"mesh.jwt.issuers.[].jwks.url": replace(`inline: "{\"keys\":[]}"/*keys*/`,
		`url: "https://e.example/keys"`),
	"mesh.jwt.issuers.[].jwks.service":      replace(`service: "keys"`, `service: "keys2"`),
	"mesh.jwt.issuers.[].jwks.port":         vary("fetched", `port: "http"`, `port: "more"`),
	"mesh.jwt.issuers.[].jwks.path":         add("fetched", `path: "/x"`),
	"mesh.jwt.issuers.[].jwks.refresh":      add("fetched", `refresh: "9m"`),
	"mesh.jwt.issuers.[].forward.token":     add("issuer", `forward: token: false`),
	"mesh.jwt.issuers.[].forward.claims.[]": add("issuer", `forward: claims: sub: "x-sub"`),
	"services.[].allow.[].headers.[].exact": vary("rule", `headers: "x-a": exact: "1"`,
		`headers: "x-a": exact: "2"`),
	"services.[].allow.[].headers.[].prefix": vary("rule", `headers: "x-a": exact: "1"`,
		`headers: "x-a": prefix: "1"`),
	"services.[].allow.[].headers.[].suffix": vary("rule", `headers: "x-a": exact: "1"`,
		`headers: "x-a": suffix: "1"`),
	"services.[].allow.[].headers.[].regex": vary("rule", `headers: "x-a": exact: "1"`,
		`headers: "x-a": regex: "1+"`),
	"services.[].allow.[].headers.[].present": vary("rule", `headers: "x-a": exact: "1"`,
		`headers: "x-a": present: true`),
	"services.[].allow.[].headers.[].invert": vary("rule", `headers: "x-a": exact: "1"`,
		`headers: "x-a": {exact: "1", invert: true}`),
	"services.[].allow.[].ports.[]": replace(`{from: services: ["d"]}`,
		`{from: services: ["d"], ports: ["x"]}`),
	"services.[].allow.[].methods.[]": add("rule", `methods: ["GET"]`),
	"services.[].allow.[].paths.[]":   add("rule", `paths: ["/one/*"]`),
	"services.[].routes.[].name":      add("route", `name: "first"`),
	"services.[].routes.[].timeout":   add("route", `timeout: "3s"`),
	"services.[].routes.[].match.host": replace(`routes: [{to: [{service: "a", port`,
		`routes: [{match: host: "shop.example", to: [{service: "a", port`),
	"services.[].routes.[].match.listeners.[]": replace(`routes: [{to: [{service: "a", port`,
		`routes: [{match: listeners: ["http"], to: [{service: "a", port`),
	"services.[].routes.[].match.method":             add("match", `method: "GET"`),
	"services.[].routes.[].match.path.exact":         replace(`exact: "/one"`, `exact: "/two"`),
	"services.[].routes.[].match.path.prefix":        replace(`exact: "/one"`, `prefix: "/one"`),
	"services.[].routes.[].match.path.regex":         replace(`exact: "/one"`, `regex: "/one|/two"`),
	"services.[].routes.[].match.headers.[].exact":   add("match", `headers: "x-a": exact: "1"`),
	"services.[].routes.[].match.headers.[].prefix":  add("match", `headers: "x-a": prefix: "1"`),
	"services.[].routes.[].match.headers.[].regex":   add("match", `headers: "x-a": regex: "1+"`),
	"services.[].routes.[].match.headers.[].present": add("match", `headers: "x-a": present: false`),
	"services.[].routes.[].to.[].service": {`{service: "a", port: "http"}]}]
	uses: {`, `{service: "asks", port: "http"}]}]
	uses: {asks: {}, `, `{service: "a", port: "http"}]}]
	uses: {asks: {}, `},
	"services.[].routes.[].to.[].version": replace(`{weight: 2}`, `{weight: 2, version: "v1"}`),
	"services.[].routes.[].to.[].port":    add("destination", `port: "admin"`),
	"services.[].routes.[].to.[].weight":  replace(`{weight: 2}`, `{weight: 3}`),
	"gateways.[].namespace":               addLine("gateway", `namespace: "n"`),
	"gateways.[].account":                 addLine("gateway", `account: "other"`),
	"gateways.[].listeners.[].port":       replace("port: 8080", "port: 8090"),
	"gateways.[].listeners.[].hosts.[]":   add("listener", `hosts: ["shop.example"]`),
	"external.[].hosts.[]":                replace(`hosts: ["e.example"]`, `hosts: ["f.example"]`),
	"external.[].ports.[].port": replace(
		"port: 443, protocol: \"https\"}\n\t/*external*/", "port: 444, protocol: \"https\"}\n\t/*external*/"),
	"external.[].ports.[].protocol": replace("protocol: \"https\"}\n\t/*external*/",
		"protocol: \"http2\"}\n\t/*external*/"),
	"external.[].timeout":               addLine("external", `timeout: "3s"`),
	"external.[].tls.roots":             addLine("external", `tls: roots: "/roots.pem"`),
	"mesh.defaults.idleTimeout":         add("defaults", `idleTimeout: "3s"`),
	"services.[].idleTimeout":           addLine("service", `idleTimeout: "20s"`),
	"services.[].uses.[].idleTimeout":   addLine("use b", `idleTimeout: "2s"`),
	"external.[].local":                 addLine("external", `local: true`),
	"external.[].idleTimeout":           addLine("external", `idleTimeout: "3s"`),
	"services.[].routes.[].idleTimeout": add("route", `idleTimeout: "3s"`),
	"services.[].uses.[].retries.backoff.base": addLine("use b",
		`retries: {attempts: 1, backoff: base: "30ms"}`),
	"services.[].uses.[].retries.backoff.max": {
		"/*use b*/",
		`retries: {attempts: 1, backoff: {base: "30ms", max: "50ms"}}`,
		`retries: {attempts: 1, backoff: base: "30ms"}`,
	},
	"services.[].uses.[].retries.hedge": {
		"/*use b*/",
		`retries: {attempts: 1, perTryTimeout: "1s", hedge: true}`, `retries: {attempts: 1, perTryTimeout: "1s"}`,
	},
	"services.[].routes.[].match.path.template": replace(`exact: "/one"`, `template: "/{one}"`),
	"services.[].routes.[].match.grpc.service":  replace(`path: exact: "/one"`, `grpc: service: "a.B"`),
	"services.[].routes.[].match.grpc.method": {
		`path: exact: "/one"`,
		`grpc: {service: "a.B", method: "C"}`, `grpc: service: "a.B"`,
	},
	"services.[].routes.[].match.headers.[].suffix": add("match", `headers: "x-a": suffix: "1"`),
	"services.[].routes.[].match.headers.[].invert": vary("match", `headers: "x-a": exact: "1"`,
		`headers: "x-a": {exact: "1", invert: true}`),
	"services.[].routes.[].headers.request.set.[]":    add("route", `headers: request: set: "x-a": "1"`),
	"services.[].routes.[].headers.request.add.[]":    add("route", `headers: request: add: "x-a": "1"`),
	"services.[].routes.[].headers.request.remove.[]": add("route", `headers: request: remove: ["x-a"]`),
	"services.[].routes.[].rewrite.path.prefix":       add("route", `rewrite: path: prefix: "/x"`),
	"services.[].routes.[].rewrite.path.template":     {`{path: exact: "/one"/*match*/}, to: [{version: "v1"/*destination*/}, {weight: 2}]/*route*/`, `{path: template: "/a/{x}"}, rewrite: path: template: "/b/{x}"`, `{path: template: "/a/{x}"}`},
	"services.[].routes.[].rewrite.path.regex.pattern": vary("route",
		`rewrite: path: regex: {pattern: "o", substitution: "b"}`,
		`rewrite: path: regex: {pattern: "n", substitution: "b"}`),
	"services.[].routes.[].rewrite.path.regex.substitution": vary("route",
		`rewrite: path: regex: {pattern: "o", substitution: "b"}`,
		`rewrite: path: regex: {pattern: "o", substitution: "c"}`),
	"services.[].routes.[].rewrite.host":          add("route", `rewrite: host: "x.example"`),
	"services.[].routes.[].redirect.scheme":       redirected(`path: "/x", scheme: "https"`),
	"services.[].routes.[].redirect.host":         redirected(`path: "/x", host: "x.example"`),
	"services.[].routes.[].redirect.port":         redirected(`path: "/x", port: 8443`),
	"services.[].routes.[].redirect.path":         redirected(`path: "/y"`),
	"services.[].routes.[].redirect.prefix":       redirected(`prefix: "/y"`),
	"services.[].routes.[].redirect.status":       redirected(`path: "/x", status: 308`),
	"services.[].routes.[].directResponse.status": answered(`{status: 204}`),
	"services.[].routes.[].directResponse.body":   answered(`{status: 200, body: "x"}`),
	"services.[].routes.[].mirror.service": vary("route", `mirror: {service: "a"}`,
		`mirror: {service: "asks2"}`),
	"services.[].routes.[].mirror.version": vary("route", `mirror: {}`, `mirror: version: "v1"`),
	"services.[].routes.[].mirror.percent": vary("route", `mirror: {}`, `mirror: percent: 5`),
	"services.[].routes.[].fault.delay.for": vary("route", `fault: delay: for: "1s"`,
		`fault: delay: for: "2s"`),
	"services.[].routes.[].fault.delay.percent": vary("route", `fault: delay: for: "1s"`,
		`fault: delay: {for: "1s", percent: 5}`),
	"services.[].routes.[].fault.abort.status": vary("route", `fault: abort: status: 503`,
		`fault: abort: status: 500`),
	"services.[].routes.[].fault.abort.grpcStatus": vary("route", `fault: abort: status: 503`,
		`fault: abort: grpcStatus: 14`),
	"services.[].routes.[].fault.abort.percent": vary("route", `fault: abort: status: 503`,
		`fault: abort: {status: 503, percent: 5}`),
	"services.[].routes.[].cors.origins.[]": add("route", `cors: origins: ["*"]`),
	"services.[].routes.[].cors.methods.[]": vary("route", `cors: origins: ["*"]`,
		`cors: {origins: ["*"], methods: ["PUT"]}`),
	"services.[].routes.[].cors.headers.[]": vary("route", `cors: origins: ["*"]`,
		`cors: {origins: ["*"], headers: ["x-a"]}`),
	"services.[].routes.[].cors.exposeHeaders.[]": vary("route", `cors: origins: ["*"]`,
		`cors: {origins: ["*"], exposeHeaders: ["x-a"]}`),
	"services.[].routes.[].cors.maxAge": vary("route", `cors: origins: ["*"]`,
		`cors: {origins: ["*"], maxAge: "1h"}`),
	"services.[].routes.[].cors.credentials": vary("route", `cors: origins: ["https://a.example"]`,
		`cors: {origins: ["https://a.example"], credentials: true}`),
	"services.[].loadBalancer.policy":         addLine("balancer", `policy: "random"`),
	"services.[].loadBalancer.slowStart":      addLine("balancer", `slowStart: "1m"`),
	"services.[].loadBalancer.panicThreshold": addLine("balancer", `panicThreshold: 10`),
	"services.[].loadBalancer.hash.header":    hashing(`header: "x-b"`),
	"services.[].loadBalancer.hash.cookie":    hashing(`cookie: "b"`),
	"services.[].loadBalancer.hash.query":     hashing(`query: "b"`),
	"services.[].loadBalancer.hash.sourceIP":  hashing(`sourceIP: true`),
	"services.[].loadBalancer.hash.ttl": {
		"/*balancer*/",
		`policy: "maglev", hash: {cookie: "b", ttl: "1h"}`, `policy: "maglev", hash: {cookie: "b"}`,
	},
	"services.[].locality.prefer":                   add("locality", `prefer: "zone"`),
	"services.[].locality.failover.[].from":         replace(`from: "eu-west"`, `from: "eu-north"`),
	"services.[].locality.failover.[].to":           replace(`to: "eu-central"`, `to: "us-east"`),
	"services.[].workload.endpoints.[].region":      add("zoned", `region: "other"`),
	"services.[].outliers.consecutiveLocalFailures": add("outliers", `consecutiveLocalFailures: 7`),
	"services.[].outliers.consecutive5xx":           add("outliers", `consecutive5xx: 7`),
	"services.[].outliers.consecutiveGatewayErrors": add("outliers", `consecutiveGatewayErrors: 7`),
	"services.[].outliers.successRate.stdevFactor": vary("outliers", `successRate: {}`,
		`successRate: stdevFactor: 2`),
	"services.[].outliers.successRate.minInstances": vary("outliers", `successRate: {}`,
		`successRate: minInstances: 2`),
	"services.[].outliers.successRate.minRequests": vary("outliers", `successRate: {}`,
		`successRate: minRequests: 2`),
	"services.[].outliers.failurePercentage.threshold": vary("outliers", `failurePercentage: {}`,
		`failurePercentage: threshold: 2`),
	"services.[].outliers.failurePercentage.minInstances": vary("outliers", `failurePercentage: {}`,
		`failurePercentage: minInstances: 2`),
	"services.[].outliers.failurePercentage.minRequests": vary("outliers", `failurePercentage: {}`,
		`failurePercentage: minRequests: 2`),
	"services.[].outliers.interval":   replace(`interval: "5s"`, `interval: "6s"`),
	"services.[].outliers.ejectFor":   add("outliers", `ejectFor: "1m"`),
	"services.[].outliers.maxEjected": add("outliers", `maxEjected: 50`),
	"services.[].health.http.path": {
		"/*health*/grpc: {}", `http: path: "/b"`,
		`http: path: "/a"`,
	},
	"services.[].health.grpc.service":              replace("grpc: {}", `grpc: service: "a"`),
	"services.[].health.interval":                  addLine("health", `interval: "5s", `),
	"services.[].health.timeout":                   addLine("health", `timeout: "5s", `),
	"services.[].health.unhealthyAfter":            addLine("health", `unhealthyAfter: 5, `),
	"services.[].health.healthyAfter":              addLine("health", `healthyAfter: 5, `),
	"mesh.defaults.connections.max":                replace("max: 5", "max: 6"),
	"mesh.defaults.connections.maxPending":         add("connections", `maxPending: 6`),
	"mesh.defaults.connections.maxRequests":        add("connections", `maxRequests: 6`),
	"mesh.defaults.connections.connectTimeout":     add("connections", `connectTimeout: "6s"`),
	"mesh.defaults.connections.idleTimeout":        add("connections", `idleTimeout: "6s"`),
	"mesh.defaults.connections.keepalive.time":     add("connections", `keepalive: time: "6s"`),
	"mesh.defaults.connections.keepalive.interval": add("connections", `keepalive: interval: "6s"`),
	"mesh.defaults.connections.keepalive.probes":   add("connections", `keepalive: probes: 6`),
	"mesh.rateLimit.service":                       replace(`service: "limiter"`, `service: "limiter2"`),
	"mesh.rateLimit.port":                          vary("limiter", `port: "grpc"`, `port: "more"`),
	"mesh.rateLimit.timeout":                       add("limiter", `timeout: "1s"`),
	"mesh.rateLimit.failClosed":                    add("limiter", `failClosed: true`),
	"services.[].ports.[].mtls":                    add("plain port", `mtls: "off"`),
	"services.[].ports.[].upgrades.[]":             add("plain port", `upgrades: ["websocket"]`),
	"services.[].routes.[].rateLimit.requests":     replace("requests: 5, global", "requests: 6, global"),
	"services.[].routes.[].rateLimit.per": replace("requests: 5, global",
		`requests: 5, per: "1m", global`),
	"services.[].routes.[].rateLimit.burst": {
		"requests: 5, global: true", `requests: 5, burst: 1`,
		`requests: 5`,
	},
	"services.[].routes.[].rateLimit.by": {
		"requests: 5, global: true",
		`requests: 5, by: "caller"`, `requests: 5`,
	},
	"services.[].routes.[].rateLimit.global": {
		"requests: 5, global: true",
		"requests: 5, global: true", "requests: 5",
	},
	"mesh.proxy.excludeInboundPorts.[]":  add("mesh proxy", "excludeInboundPorts: [22]"),
	"mesh.proxy.excludeOutboundPorts.[]": add("mesh proxy", "excludeOutboundPorts: [22]"),
	"mesh.proxy.excludeOutboundRanges.[]": add("mesh proxy",
		`excludeOutboundRanges: ["10.96.0.0/12"]`),
	"mesh.proxy.requests.encodedSlashes": add("mesh proxy", `requests: encodedSlashes: "keep"`),
	"mesh.proxy.requests.underscores":    add("mesh proxy", `requests: underscores: "drop"`),
	"mesh.proxy.requests.http10":         add("mesh proxy", `requests: http10: true`),
	"mesh.proxy.requests.headerCase":     add("mesh proxy", `requests: headerCase: "preserve"`),
	"mesh.proxy.ipFamilies.[]":           add("mesh proxy", `ipFamilies: ["IPv4"]`),
	"mesh.proxy.secretDirectory":         add("mesh proxy", `secretDirectory: "/secrets"`),
	"gateways.[].listeners.[].protocol": {
		`protocol: "tcp", to: {service: "y2", port: "p"}`,
		`protocol: "tls", to: {service: "y2", port: "p"}`, "",
	},
	"gateways.[].listeners.[].tls.secret":                    replace(`secret: "s"`, `secret: "t"`),
	"gateways.[].listeners.[].tls.minVersion":                add("listener tls", `minVersion: "1.3"`),
	"gateways.[].listeners.[].tls.clientCertificates.secret": add("listener tls", `clientCertificates: secret: "c"`),
	"gateways.[].listeners.[].tls.clientCertificates.optional": vary("listener tls", `clientCertificates: secret: "c"`,
		`clientCertificates: {secret: "c", optional: true}`),
	"gateways.[].listeners.[].http3":      add("https", `http3: true`),
	"gateways.[].listeners.[].redirectTo": add("listener", `redirectTo: "https"`),
	"gateways.[].listeners.[].to.service": replace(`to: {service: "y2", port`,
		`to: {service: "y3", port`),
	"gateways.[].listeners.[].to.port":        replace(`port: "p"}`, `port: "q"}`),
	"gateways.[].listeners.[].to.version":     replace(`port: "p"}`, `port: "p", version: "v1"}`),
	"gateways.[].compression.algorithms.[]":   add("compression", `algorithms: ["zstd"]`),
	"gateways.[].compression.minBytes":        replace("minBytes: 100", "minBytes: 200"),
	"gateways.[].compression.contentTypes.[]": add("compression", `contentTypes: ["text/html"]`),
	"services.[].workload.file":               replace(`dns: "c.internal"`, `file: "c.json"`),
	"external.[].via":                         replace(`via: "exit"`, `via: "exit2"`),
	"gateways.[].egress.port":                 replace("port: 15443", "port: 15444"),
	"gateways.[].replicas.min":                addLine("gateway", "replicas: min: 3"),
	"gateways.[].replicas.max":                addLine("gateway", "replicas: max: 3"),
	"gateways.[].replicas.cpu":                addLine("gateway", "replicas: cpu: 50"),
	"gateways.[].egress.host":                 add("egress", `host: "exit.internal"`),
	"mesh.proxy.drainTime":                    add("mesh proxy", `drainTime: "5s"`),
	"services.[].routes.[].maxRequestBytes":   add("route", `maxRequestBytes: 5`),

	"gateways.[].listeners.[].clientIPDetection.numTrustedHops": add("listener",
		`clientIPDetection: numTrustedHops: 1`),
	"gateways.[].listeners.[].clientIPDetection.proxyProtocol": add("listener",
		`clientIPDetection: proxyProtocol: true`),
	"gateways.[].listeners.[].clientIPDetection.trustedCIDRs.[]": vary("listener",
		`clientIPDetection: numTrustedHops: 1`, `clientIPDetection: {numTrustedHops: 1, trustedCIDRs: ["10.0.0.0/8"]}`),
}

// redirected puts a redirect in place of the first route's destinations.
func redirected(with string) change {
	return answering("redirect: {"+with+"}", `redirect: {path: "/x"}`)
}

func hashing(by string) change {
	return change{"/*balancer*/", `policy: "maglev", hash: {` + by + `}`, `policy: "maglev", hash: header: "x-a"`}
}

func answered(with string) change {
	return answering("directResponse: "+with, "directResponse: status: 200")
}

func answering(with, without string) change {
	const to = `to: [{version: "v1"/*destination*/}, {weight: 2}]/*route*/`
	return change{to, with, without}
}

// silent has a change for every field that turns a finding off, or finds something, or is for reviews, or is meshc
// serve's alone (TestInstancesAreBounded and those beside it, TestRenewalsEnd), and changes no output but mesh.json.
var silent = map[string]change{
	"mesh.limits.attempts": replace(`trustDomain: "shop.example"`,
		"trustDomain: \"shop.example\", limits: attempts: 50"),
	"mesh.silence.[]":                 replace(`MC1703: "tried",`, `MC1703: "tried", MC1801: "tried",`),
	"services.[].silence.[]":          addLine("service", `silence: MC1307: "tried"`),
	"gateways.[].silence.[]":          addLine("gateway", `silence: MC1307: "tried"`),
	"external.[].silence.[]":          addLine("external", `silence: MC1307: "tried"`),
	"services.[].allow.[].until":      add("rule", `until: "2050-01-01T00:00:00Z"`),
	"mesh.server.limits.instances":    served("limits: instances: 50"),
	"mesh.server.limits.connections":  served("limits: connections: 50"),
	"mesh.server.limits.logLines":     served("limits: logLines: 50"),
	"mesh.server.limits.refusalBytes": served("limits: refusalBytes: 5000"),
	"mesh.server.except.services.[]":  served(`except: services: a: "gone"`),
	"mesh.server.except.gateways.[]":  served(`except: gateways: g: "gone"`),
	"mesh.certificates.renewFor": {
		from: `issuer: {kind: "ClusterIssuer", name: "ca"}/*certificates*/`,
		to:   `issuer: kind: "embedded", renewFor: "1000h"`, instead: `issuer: kind: "embedded"`,
	},
	"mesh.proxy.privileged.[]": add("mesh proxy", `privileged: ["app"]`),
	"mesh.owners.[].[]": replace(`trustDomain: "shop.example"`,
		"trustDomain: \"shop.example\", owners: \"mesh.cue\": [\"@shop/all\"]"),
	"services.[].grants.[]": addLine("service", `grants: ["@shop/all"]`),
	"gateways.[].grants.[]": addLine("gateway", `grants: ["@shop/all"]`),
}

// logging writes what the mesh logs, in place of what it did.
func logging(instead, with string) change {
	const at = `trustDomain: "shop.example"`
	return change{
		from: at, to: at + ", telemetry: accessLog: {" + with + "}",
		instead: at + ", telemetry: accessLog: {" + instead + "}",
	}
}

// collecting has everything logged by a collector, in place of another.
func collecting(instead, with string) change {
	const at = `trustDomain: "shop.example"`
	to := func(collector string) string {
		return at + ", telemetry: {accessLog: format: \"otlp\", collector: {" + collector + `}}
}
external: [=~"^otel"]: {hosts: [string, ...], ports: {grpc: {port: 4317, protocol: "grpc"}, more: {port: 4318, protocol: "grpc"}}}
external: {otel: hosts: ["otel.example"], otel2: hosts: ["otel2.example"]}
services: [=~"^collects"]: {ports: grpc: {port: 4319, protocol: "grpc"}, allow: [{from: namespaces: ["default"]}]}
services: {collects: workload: deployment: "collects", collects2: workload: deployment: "collects2"}
mesh: {`
	}
	return change{from: at, to: to(with), instead: to(instead)}
}

// traced has all members of the mesh send spans, where that member is written.
func traced(member string) string {
	return `
}
mesh: telemetry: {tracing: {}, collector: service: "collects"}
services: collects: {workload: deployment: "collects", ports: grpc: {port: 4319, protocol: "grpc"}, allow: [{from: namespaces: ["default"]}]}
` + member + `: {`
}

// told are fields of which the Scopes of some members tell though their proxies do not read them there, with the
// reason. Such a proxy is rendered once more for nothing, and is not sent anything.
var told = map[string]string{
	"mesh.certificates.issuer.kind":               "with the embedded issuer the server sends the roots",
	"mesh.certificates.issuer.name":               "it is a part of the issuer",
	"mesh.certificates.issuer.signer":             "it is a part of the issuer",
	"mesh.clusterDomain":                          "it is read where somebody is called by a name in the cluster",
	"mesh.defaults.timeout":                       "members whose proxies alone ask somebody have uses too",
	"mesh.defaults.idleTimeout":                   "members whose proxies alone ask somebody have uses too",
	"mesh.proxy.healthPort":                       "it is read where a probe is by TCP",
	"mesh.proxy.inboundPort":                      "gateways have none",
	"mesh.proxy.outboundPort":                     "gateways have none",
	"mesh.proxy.secretDirectory":                  "it is read where a listener ends TLS",
	"mesh.proxy.requests":                         "it is read where requests are",
	"mesh.proxy.interception":                     "gateways are never redirected to",
	"mesh.telemetry":                              "it is read where there are requests, or connections that are let in",
	"mesh.trustDomains.[].bundle":                 "it is read where the mesh's TLS is ended, which a member without ports does not do",
	"services.[].health":                          "the proxy lets the health checks of callers in by their kind and path",
	"services.[].account":                         "the identity is made of it: the certificate is another",
	"gateways.[].account":                         "the identity is made of it: the certificate is another",
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
	"external.[].tls.roots":                       "an egress gateway passes the callers' TLS on",
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

// served is a change of how meshc serve treats its proxies.
func served(with string) change {
	return replace(`trustDomain: "shop.example"`, "trustDomain: \"shop.example\", server: {"+with+"}")
}

// metered is a change of how metrics are read.
func metered(without, with string) change {
	const from = `trustDomain: "shop.example"`
	return change{from, from + ", telemetry: metrics: {" + with + "}", from + ", telemetry: metrics: {" + without + "}"}
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
	outputsBefore, readBefore, describedBefore := effective(t, everywhere), render.ReadBy(t, everywhere),
		described(t, everywhere)
	effects := map[string]string{}
	try := func(field string, c change, loud bool) {
		t.Run(field, func(t *testing.T) {
			if !fields[field] && !isRendered(field) {
				t.Errorf("there is no field %s", field)
			}
			if !strings.Contains(everything, c.from) {
				t.Fatalf("%q is not there to be changed", c.from)
			}
			before, was, read, words := everywhere, outputsBefore, readBefore, describedBefore
			if c.instead != "" {
				before = compiled(t, strings.Replace(everything, c.from, c.instead, 1))
				was, read, words = effective(t, before), render.ReadBy(t, before), described(t, before)
			}
			after := compiled(t, strings.Replace(everything, c.from, c.to, 1))
			if same(was, effective(t, after)) == loud {
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

// effective are the outputs of a mesh that do something: where things stand says nothing of that.
func effective(t *testing.T, m *ir.Mesh) map[string][]byte {
	t.Helper()
	out := outputs(t, m)
	for name := range out {
		if name == "mesh.json" || strings.HasSuffix(name, "-system/mesh.yaml") {
			delete(out, name)
		}
	}
	return out
}

func same(a, b map[string][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for name, data := range a {
		if !bytes.Equal(data, b[name]) {
			return false
		}
	}
	return true
}
