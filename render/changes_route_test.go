package render_test

// routeChanges are those of fields of routes, which services and gateways have.
var routeChanges = map[string]change{
	"services.[].routes.[].telemetry.tracing.sampling": {
		"exact: \"/one\"/*match*/}, to: [{version: \"v1\"/*destination*/}, {weight: 2}]/*route*/}]",
		"exact: \"/one\"}, to: [{version: \"v1\"}, {weight: 2}], telemetry: tracing: sampling: 5}]\n" + traced("services: a"),
		"exact: \"/one\"}, to: [{version: \"v1\"}, {weight: 2}]}]\n" + traced("services: a"),
	},
	"services.[].routes.[].telemetry.accessLog.when": add("route", `telemetry: accessLog: when: "all"`),
	"services.[].routes.[].telemetry.accessLog.percent": vary("route", `telemetry: accessLog: when: "sampled"`,
		`telemetry: accessLog: {when: "sampled", percent: 5}`),
	"services.[].routes.[].name":    add("route", `name: "first"`),
	"services.[].routes.[].timeout": add("route", `timeout: "3s"`),
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
	"services.[].routes.[].to.[].version":       replace(`{weight: 2}`, `{weight: 2, version: "v1"}`),
	"services.[].routes.[].to.[].port":          add("destination", `port: "admin"`),
	"services.[].routes.[].to.[].weight":        replace(`{weight: 2}`, `{weight: 3}`),
	"services.[].routes.[].idleTimeout":         add("route", `idleTimeout: "3s"`),
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
	"services.[].routes.[].rateLimit.requests": replace("requests: 5, global", "requests: 6, global"),
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
	"services.[].routes.[].maxRequestBytes": add("route", `maxRequestBytes: 5`),
}

// redirected puts a redirect in place of the first route's destinations.
func redirected(with string) change {
	return answering("redirect: {"+with+"}", `redirect: {path: "/x"}`)
}

func answered(with string) change {
	return answering("directResponse: "+with, "directResponse: status: 200")
}

func answering(with, without string) change {
	const to = `to: [{version: "v1"/*destination*/}, {weight: 2}]/*route*/`
	return change{to, with, without}
}
