package render_test

// meshChanges are those of fields of the mesh.
var meshChanges = map[string]change{
	"mesh.telemetry.accessLog.format":  logging("", `format: "text"`),
	"mesh.telemetry.accessLog.when":    logging("", `when: "all"`),
	"mesh.telemetry.accessLog.percent": logging(`when: "sampled"`, `when: "sampled", percent: 5`),
	"mesh.telemetry.accessLog.query":   logging("", `query: true`),
	"mesh.telemetry.accessLog.file":    logging("", `file: "/var/log/access.log"`),
	"mesh.telemetry.collector.service": collecting(`service: "collects"`, `service: "collects2"`),
	"mesh.telemetry.collector.external": collecting(`external: "otel", port: "grpc"`,
		`external: "otel2", port: "grpc"`),
	"mesh.telemetry.collector.port":              collecting(`external: "otel", port: "grpc"`, `external: "otel", port: "more"`),
	"mesh.telemetry.collector.headers.[].secret": collecting(withHeader(`secret: "a"`), withHeader(`secret: "b"`)),
	"mesh.telemetry.collector.headers.[].key":    collecting(withHeader(`secret: "a"`), withHeader(`secret: "a", key: "b"`)),
	"mesh.telemetry.tracing.sampling": collecting(`service: "collects"}, tracing: {`,
		`service: "collects"}, tracing: {sampling: 20`),
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
	"mesh.flux.path":      add("flux", `path: "./deploy"`),
	"mesh.flux.interval":  add("flux", `interval: "5m"`),
	"mesh.flux.namespace": add("flux", `namespace: "gitops"`),
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
	"mesh.jwt.issuers.[].jwks.service":             replace(`service: "keys"`, `service: "keys2"`),
	"mesh.jwt.issuers.[].jwks.port":                vary("fetched", `port: "http"`, `port: "more"`),
	"mesh.jwt.issuers.[].jwks.path":                add("fetched", `path: "/x"`),
	"mesh.jwt.issuers.[].jwks.refresh":             add("fetched", `refresh: "9m"`),
	"mesh.jwt.issuers.[].forward.token":            add("issuer", `forward: token: false`),
	"mesh.jwt.issuers.[].forward.claims.[]":        add("issuer", `forward: claims: sub: "x-sub"`),
	"mesh.defaults.idleTimeout":                    add("defaults", `idleTimeout: "3s"`),
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
	"mesh.proxy.excludeInboundPorts.[]":            add("mesh proxy", "excludeInboundPorts: [22]"),
	"mesh.proxy.excludeOutboundPorts.[]":           add("mesh proxy", "excludeOutboundPorts: [22]"),
	"mesh.proxy.excludeOutboundRanges.[]": add("mesh proxy",
		`excludeOutboundRanges: ["10.96.0.0/12"]`),
	"mesh.proxy.undeclaredCalls": {
		`trustDomain: "shop.example"`,
		`trustDomain: "shop.example", silence: MC1757: "adoption", proxy: undeclaredCalls: "pass"`,
		`trustDomain: "shop.example", silence: MC1757: "adoption"`,
	},
	"mesh.proxy.requests.encodedSlashes": add("mesh proxy", `requests: encodedSlashes: "keep"`),
	"mesh.proxy.requests.underscores":    add("mesh proxy", `requests: underscores: "drop"`),
	"mesh.proxy.requests.http10":         add("mesh proxy", `requests: http10: true`),
	"mesh.proxy.requests.headerCase":     add("mesh proxy", `requests: headerCase: "preserve"`),
	"mesh.proxy.ipFamilies.[]":           add("mesh proxy", `ipFamilies: ["IPv4"]`),
	"mesh.proxy.secretDirectory":         add("mesh proxy", `secretDirectory: "/secrets"`),
	"mesh.proxy.drainTime":               add("mesh proxy", `drainTime: "5s"`),
	"mesh.proxy.image":                   add("mesh proxy", `image: "envoy:next"`),
	"mesh.proxy.concurrency":             add("mesh proxy", `concurrency: 4`),
	"mesh.proxy.logLevel":                add("mesh proxy", `logLevel: "debug"`),
	"mesh.proxy.resources.requests.cpu": add("mesh proxy",
		`resources: requests: cpu: "100m"`),
	"mesh.proxy.resources.requests.memory": add("mesh proxy", `resources: requests: memory: "128Mi"`),
	"mesh.proxy.resources.limits.cpu":      add("mesh proxy", `resources: limits: cpu: "2"`),
	"mesh.proxy.resources.limits.memory":   add("mesh proxy", `resources: limits: memory: "1Gi"`),
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
external: [=~"^otel"]: {hosts: [string, ...], ports: {grpc: {port: 4317, protocol: "grpc"}, more: {port: 4318, protocol: "grpc"}, tls: {port: 4319, protocol: "https"}}}
external: {otel: hosts: ["otel.example"], otel2: hosts: ["otel2.example"]}
services: [=~"^collects"]: {ports: grpc: {port: 4319, protocol: "grpc"}, allow: [{from: namespaces: ["default"]}]}
services: {collects: workload: deployment: "collects", collects2: workload: deployment: "collects2"}
mesh: {`
	}
	return change{from: at, to: to(with), instead: to(instead)}
}

// withHeader is a collector with a header.
func withHeader(value string) string {
	return `external: "otel", port: "tls", headers: "x-api-key": {` + value + "}"
}

// metered is a change of how metrics are read.
func metered(without, with string) change {
	const from = `trustDomain: "shop.example"`
	return change{from, from + ", telemetry: metrics: {" + with + "}", from + ", telemetry: metrics: {" + without + "}"}
}

// operated is a change of which people of the cluster are operators.
func operated(with, instead string) change {
	const issued = `certificates: {issuer: kind: "embedded"}, operators: kubernetes: `
	return change{
		from: `certificates: {issuer: {kind: "ClusterIssuer", name: "ca"}/*certificates*/}`,
		to:   issued + "{" + with + "}", instead: issued + "{" + instead + "}",
	}
}

// replacing is the change in place of that one.
func (c change) replacing(instead string) change {
	c.instead = instead
	return c
}
