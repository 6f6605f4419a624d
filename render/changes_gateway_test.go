package render_test

import "strings"

// gatewayChanges are those of fields of gateways and externals.
var gatewayChanges = map[string]change{
	"gateways.[].telemetry.tracing.sampling": {
		"/*gateway*/", "telemetry: tracing: sampling: 5" + traced("gateways: g"), traced("gateways: g"),
	},
	"gateways.[].externalAuthorization": addLine("gateway", `externalAuthorization: "asks"`),
	"gateways.[].namespace":             addLine("gateway", `namespace: "n"`),
	"gateways.[].account":               addLine("gateway", `account: "other"`),
	"gateways.[].listeners.[].port":     replace("port: 8080", "port: 8090"),
	"gateways.[].listeners.[].hosts.[]": add("listener", `hosts: ["shop.example"]`),
	"external.[].hosts.[]":              replace(`hosts: ["e.example"]`, `hosts: ["f.example"]`),
	"external.[].ports.[].port": replace(
		"port: 443, protocol: \"https\"}\n\t/*external*/", "port: 444, protocol: \"https\"}\n\t/*external*/"),
	"external.[].ports.[].protocol": replace("protocol: \"https\"}\n\t/*external*/",
		"protocol: \"http2\"}\n\t/*external*/"),
	"external.[].ports.[].target": replace("port: 443, protocol: \"https\"}\n\t/*external*/",
		"port: 443, protocol: \"https\", target: 8443}\n\t/*external*/"),
	"external.[].ports.[].upgrades.[]": replace("port: 443, protocol: \"https\"}\n\t/*external*/",
		"port: 443, protocol: \"https\", upgrades: [\"websocket\"]}\n\t/*external*/"),
	"external.[].tls.serverName": addLine("external", `tls: serverName: "f.example"`),
	"external.[].tls.secret":     addLine("external", `tls: secret: "partner"`),
	"external.[].timeout":        addLine("external", `timeout: "3s"`),
	"external.[].tls.roots":      addLine("external", `tls: roots: "/roots.pem"`),
	"external.[].local":          addLine("external", `local: true`),
	"external.[].idleTimeout":    addLine("external", `idleTimeout: "3s"`),
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
	"external.[].via":                         replace(`via: "exit"`, `via: "exit2"`),
	"gateways.[].egress.port":                 replace("port: 15443", "port: 15444"),
	"gateways.[].replicas.min":                addLine("gateway", "replicas: min: 3"),
	"gateways.[].replicas.max":                addLine("gateway", "replicas: max: 3"),
	"gateways.[].replicas.cpu":                addLine("gateway", "replicas: cpu: 50"),
	"gateways.[].egress.host":                 add("egress", `host: "exit.internal"`),
	"services.[].expose.[].gateway":           addLine("service", "expose: ["+exposedRoute+"]"),
	"services.[].expose.[].name":              exposing(`name: "other"`),
	"services.[].expose.[].port": addLine("service", "expose: ["+strings.Replace(exposedRoute, `port: "http"`, `port: "admin"`, 1)+"]").
		replacing("expose: [" + exposedRoute + "]"),
	"gateways.[].rateLimits.[].requests":         bounded("requests: 6"),
	"gateways.[].rateLimits.[].per":              bounded(`requests: 5, per: "2s"`),
	"gateways.[].rateLimits.[].burst":            bounded("requests: 5, burst: 2"),
	"gateways.[].rateLimits.[].by":               bounded(`requests: 5, by: "address"`),
	"gateways.[].rateLimits.[].header":           bounded(`requests: 5, header: "x-tenant"`),
	"gateways.[].rateLimits.[].global":           bounded("requests: 5, global: true"),
	"gateways.[].clients.[].apiKeys.[].secret":   known(`apiKeys: [{secret: "keys2"}]`),
	"gateways.[].clients.[].apiKeys.[].key":      known(`apiKeys: [{secret: "keys", key: "k"}]`),
	"gateways.[].clients.[].passwords.[].secret": known(`passwords: [{secret: "keys"}]`),
	"gateways.[].clients.[].passwords.[].key": known(`passwords: [{secret: "keys", key: "k"}]`).
		replacing(knownClient(`passwords: [{secret: "keys"}]`)),
	"gateways.[].apiKeyHeader": addLine("gateway", knownClient(`apiKeys: [{secret: "keys"}]`)+`, apiKeyHeader: "x-key"`).
		replacing(knownClient(`apiKeys: [{secret: "keys"}]`)),
	"gateways.[].listeners.[].clientIPDetection.numTrustedHops": add("listener",
		`clientIPDetection: numTrustedHops: 1`),
	"gateways.[].listeners.[].clientIPDetection.proxyProtocol": add("listener",
		`clientIPDetection: proxyProtocol: true`),
	"gateways.[].listeners.[].clientIPDetection.trustedCIDRs.[]": vary("listener",
		`clientIPDetection: numTrustedHops: 1`, `clientIPDetection: {numTrustedHops: 1, trustedCIDRs: ["10.0.0.0/8"]}`),
}

// bounded is a change of the bound of the gateway's requests.
func bounded(to string) change {
	return addLine("gateway", "rateLimits: all: {"+to+"}").replacing("rateLimits: all: requests: 5")
}

// known is a change of what a client of the gateway shows.
func known(to string) change {
	return addLine("gateway", knownClient(to)).replacing(knownClient(`apiKeys: [{secret: "keys"}]`))
}

// knownClient is a client of the gateway, whom it lets in.
func knownClient(shows string) string {
	return `allow: [{from: clients: ["c"]}], clients: c: {` + shows + `}`
}

// exposedRoute is a route that a service has at the gateway.
const exposedRoute = `{gateway: "g", match: host: "shop.example", port: "http"}`

// exposing is a change of that route.
func exposing(to string) change {
	return addLine("service", "expose: ["+exposedRoute+" & {"+to+"}]").replacing("expose: [" + exposedRoute + "]")
}
