package render_test

// serviceChanges are those of fields of services, but for their routes (routeChanges).
var serviceChanges = map[string]change{
	"services.[].objectives.availability": {
		"/*service*/", "objectives: availability: 99" + scraped("services: a"), scraped("services: a"),
	},
	"services.[].objectives.latency.[]": {
		"/*service*/", `objectives: latency: "300ms": 99` + scraped("services: a"), scraped("services: a"),
	},
	"services.[].uses.[].objectives.availability": promising("objectives: availability: 99"),
	"services.[].uses.[].objectives.latency.[]":   promising(`objectives: latency: "300ms": 99`),
	"services.[].telemetry.tracing.sampling": {
		"/*service*/", "telemetry: tracing: sampling: 5" + traced("services: a"), traced("services: a"),
	},
	"services.[].namespace": addLine("service", `namespace: "n"`),
	"services.[].account":   addLine("service", `account: "other"`),
	"services.[].hosts.[]": replace("services: b: {", `services: b: {
	hosts: ["further.example"]`),
	"services.[].createService":       addLine("service", `createService: true`),
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
	"services.[].scrape.[].port": {
		"/*service*/", "scrape: [{port: 9091}]" + scraped("services: a"), scraped("services: a"),
	},
	"services.[].scrape.[].path": {
		"/*service*/", `scrape: [{port: 9091, path: "/m"}]` + scraped("services: a"),
		"scrape: [{port: 9091}]" + scraped("services: a"),
	},
	"services.[].workload.dns": replace("c.internal", "c2.internal"),
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
	"services.[].allow.[].from.certificates.[]": {
		"/*gateway*/",
		certificateRule + `"DNS:b.example"]}]`, certificateRule + `"DNS:a.example"]}]`,
	},
	"services.[].allow.[].from.clients.[]": addLine("gateway", knownClients+`allow: [{from: clients: ["c", "d"]}]`).
		replacing(knownClients + `allow: [{from: clients: ["c"]}], deny: [{from: clients: ["d"], paths: ["/x"]}]`),
	"services.[].allow.[].listeners.[]": {
		"/*gateway*/", `deny: [{from: ipRanges: ["10.0.0.0/8"], listeners: ["http"]}]`,
		`deny: [{from: ipRanges: ["10.0.0.0/8"]}]`,
	},
	"services.[].allow.[].hosts.[]": {
		"/*gateway*/", `allow: [{from: anyone: true, hosts: ["shop.example"]}]`, `allow: [{from: anyone: true}]`,
	},
	"services.[].allow.[].until":        add("rule", `until: "2050-01-01T00:00:00Z"`),
	"services.[].allow.[].name":         add("rule", `name: "x"`),
	"services.[].allow.[].grpc.service": add("rule", `grpc: service: "a.B"`),
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
	"services.[].idleTimeout":         addLine("service", `idleTimeout: "20s"`),
	"services.[].uses.[].idleTimeout": addLine("use b", `idleTimeout: "2s"`),
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
	"services.[].health.grpc.service":   replace("grpc: {}", `grpc: service: "a"`),
	"services.[].health.interval":       addLine("health", `interval: "5s", `),
	"services.[].health.timeout":        addLine("health", `timeout: "5s", `),
	"services.[].health.unhealthyAfter": addLine("health", `unhealthyAfter: 5, `),
	"services.[].health.healthyAfter":   addLine("health", `healthyAfter: 5, `),
	"services.[].ports.[].mtls":         add("plain port", `mtls: "off"`),
	"services.[].ports.[].upgrades.[]":  add("plain port", `upgrades: ["websocket"]`),
	"services.[].workload.file":         replace(`dns: "c.internal"`, `file: "c.json"`),
}

// traced has all members of the mesh send spans, where that member is written.
func traced(member string) string {
	return `
}
mesh: telemetry: {tracing: {}, collector: service: "collects"}
services: collects: {workload: deployment: "collects", ports: grpc: {port: 4319, protocol: "grpc"}, allow: [{from: namespaces: ["default"]}]}
` + member + `: {`
}

func hashing(by string) change {
	return change{"/*balancer*/", `policy: "maglev", hash: {` + by + `}`, `policy: "maglev", hash: header: "x-a"`}
}

// scraped has somebody read the metrics, where that member is written.
func scraped(member string) string {
	return "\n}\nmesh: telemetry: metrics: scraper: ipRanges: [\"192.0.2.7\"]\n" + member + ": {"
}

// promising has a service promise something of a call.
func promising(objectives string) change {
	calls := func(b string) string { return "uses: {b: {" + b + "}, e: {}}" + scraped("services: a") }
	return change{"uses: {b: {/*use b*/}, e: {/*use e*/}}", calls(objectives), calls("")}
}

// knownClients are two clients of the gateway.
const knownClients = `clients: {c: apiKeys: [{secret: "keys"}], d: apiKeys: [{secret: "keys"}]}
	`

// certificateRule begins a rule of a gateway about certificates, with a listener that asks for them.
const certificateRule = `listeners: https: tls: clientCertificates: secret: "c"
	allow: [{from: anyone: true, listeners: ["http", "tcp"]}, {from: certificates: [`
