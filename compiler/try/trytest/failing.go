package trytest

import (
	"fmt"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
)

// Failing is a service of a mesh whose applications fail. Each has one instance.
type Failing struct {
	Name string
	Port int
	// Protocol is what it speaks.
	Protocol ir.Protocol
	// Always is how it fails always: "gone" where nothing listens, "refuses" where it refuses every stream; "" for one
	// that a test plays.
	Always string
}

// FailingServices are those of [Random.FailingMesh].
var FailingServices = []Failing{
	{"plain", 8081, ir.HTTP, ""},
	{"streams", 8082, ir.HTTP2, ""},
	{"rpc", 8083, ir.GRPC, ""},
	{"gone", 8084, ir.HTTP, "gone"},
	{"rpc-gone", 8085, ir.GRPC, "gone"},
	{"refuses", 8086, ir.HTTP2, "refuses"},
	{"rpc-refuses", 8087, ir.GRPC, "refuses"},
}

// FailingRoutes is how many routes each of them has, by the prefixes "/r0/", "/r1/" and so on.
const FailingRoutes = 4

// FailingOutliers is after how many failures in a row an instance of theirs is ejected, for longer than a test takes.
const FailingOutliers = 4

// FailingMesh is a mesh in CUE where the service "client" and the gateway "edge", which knows each service by its name
// as the host, call the failing services, with times and retries that are written at random, and at random places.
func (g *Random) FailingMesh() string {
	var b, hosts strings.Builder
	uses := map[string]*strings.Builder{"client": {}, "edge": {}}
	fmt.Fprintf(&b, `package m

mesh: {
	name: "m", trustDomain: "m.example", silence: {MC1402: "-"}
	defaults: {%s}
}
`, g.tries(3))
	for _, f := range FailingServices {
		var routes []string
		for i := range FailingRoutes {
			routes = append(routes, fmt.Sprintf("{match: path: prefix: \"/r%d/\", %s}", i, g.tries(1)))
		}
		fmt.Fprintf(&b, `services: %q: {
	workload: deployment: %q
	ports: main: {port: %d, protocol: %q}
	allow: [{from: {services: ["client"], gateways: ["edge"]}}]
	outliers: {consecutiveLocalFailures: %d, interval: "100ms", ejectFor: "1h"}
	routes: [%s]
	%s
}
`, f.Name, f.Name, f.Port, f.Protocol, FailingOutliers, strings.Join(routes, ", "), g.tries(3))
		fmt.Fprintf(&hosts, "\t\t{match: host: %q, to: [{service: %q}], %s},\n", f.Name, f.Name, g.tries(3))
		for _, w := range uses {
			fmt.Fprintf(w, "%q: {%s}, ", f.Name, g.tries(3))
		}
	}
	fmt.Fprintf(&b, "services: client: {workload: deployment: \"client\", uses: {%s}}\n", uses["client"])
	fmt.Fprintf(&b, `gateways: edge: {
	listeners: plain: port: 8080
	routes: [
%s	]
	uses: {%s}
}
`, hosts.String(), uses["edge"])
	return b.String()
}

// tries are fields about times and retries, in one of n cases. The times of all tries fit into the timeout.
func (g *Random) tries(n int) string {
	if !g.chance(n) {
		return ""
	}
	var fields, retries []string
	if g.chance(3) {
		fields = append(fields, "timeout: "+g.one(`"3s"`, `"none"`))
	}
	if !g.chance(3) {
		retries = append(retries, "attempts: "+g.one("0", "1", "2"))
	}
	if g.chance(2) {
		retries = append(retries, `perTryTimeout: "300ms"`)
	}
	if g.chance(2) {
		on := []string{g.retryCondition()}
		if g.chance(2) {
			on = append(on, g.retryCondition())
		}
		if len(on) == 2 && on[0] == on[1] {
			on = on[:1]
		}
		retries = append(retries, "on: ["+strings.Join(on, ", ")+"]")
	}
	if len(retries) > 0 {
		retries = append(retries, `backoff: base: "1ms"`)
		fields = append(fields, "retries: {"+strings.Join(retries, ", ")+"}")
	}
	return strings.Join(fields, ", ")
}

func (g *Random) retryCondition() string {
	return g.one(`"5xx"`, `"gateway-error"`, `"reset"`, `"reset-before-request"`, `"connect-failure"`,
		`"refused-stream"`,
		`"retriable-4xx"`, `"unavailable"`, `"cancelled"`, `"deadline-exceeded"`, `"internal"`, `"resource-exhausted"`)
}
