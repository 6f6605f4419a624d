package verify

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/try/trytest"
)

// failuresMesh has a service for the settings of each failure, which one client calls.
const failuresMesh = `package m

mesh: {name: "m", trustDomain: "m.example", silence: {MC1402: "-", MC1503: "-"}}
services: client: {workload: deployment: "client", uses: {for n, _ in services if n != "client" {(n): {}}}}
services: [N=!="client"]: {
	workload: deployment: N
	ports: main: {port: *8080 | int, protocol: *"http" | string}
	allow: [{from: services: ["client"]}]
}
`

// behaving are settings that do what they say, each in a service of its own.
var behaving = []struct{ setting, written string }{
	{"timeout", `timeout: "400ms"`},
	{"timeout", `{timeout: "300ms", retries: {attempts: 1, perTryTimeout: "100ms", on: ["5xx"]}}`},
	{"idleTimeout", `idleTimeout: "400ms"`},
	{"retries.perTryTimeout", `retries: perTryTimeout: "400ms"`},
	{"retries.attempts", `retries: {attempts: 2, on: ["5xx"]}`},
	{"retries.on", `retries: {attempts: 1, on: ["5xx"]}`},
	{"retries.on", `retries: {attempts: 1, on: ["gateway-error"]}`},
	{"retries.on", `retries: {attempts: 1, on: ["unavailable"]}`},
	{"retries.on", `retries: {attempts: 1, on: ["retriable-4xx"]}`},
	{"retries.on", `retries: {attempts: 1, on: ["reset"]}`},
	{"retries.backoff.base", `retries: {attempts: 1, on: ["5xx"], backoff: base: "400ms"}`},
	{"retries.backoff.max", `retries: {attempts: 2, on: ["5xx"], backoff: {base: "300ms", max: "350ms"}}`},
	{"retries.hedge", `retries: {attempts: 1, perTryTimeout: "300ms", hedge: true, on: ["5xx"]}`},
	{"retries.budget.percent", `retries: {attempts: 1, on: ["5xx"], budget: percent: 10}`},
	{"retries.budget.minConcurrency", `retries: {attempts: 1, on: ["5xx"], budget: minConcurrency: 5}`},
	{"connections.max", `{ports: main: protocol: "tcp", connections: max: 4}`},
	{"connections.max", `connections: max: 4`},
	{"connections.maxRequests", `connections: maxRequests: 5`},
	{"connections.idleTimeout", `connections: idleTimeout: "500ms"`},
	{"rateLimit", `rateLimit: {requests: 5, per: "10s"}`},
	{"fault", `routes: [{fault: abort: {status: 418, percent: 50}}]`},
	{"fault", `routes: [{fault: delay: {for: "300ms", percent: 50}}]`},
	{"outliers.consecutive5xx", `outliers: consecutive5xx: 3`},
	{"outliers.consecutiveGatewayErrors", `outliers: consecutiveGatewayErrors: 3`},
}

// withServices is a mesh with a service for each text.
func withServices(texts []string) string {
	b := failuresMesh
	for i, text := range texts {
		b += fmt.Sprintf("services: s%02d: %s\nservices: s%02d: ports: main: port: %d\n", i, text, i, 8100+i)
	}
	return b
}

// failuresOf is what real Envoys do in the failures of a mesh.
func failuresOf(t *testing.T, text string) *Failures {
	t.Helper()
	m, _ := compiled(t, text)
	f, err := Provoke(t.Context(), m, FailureOptions{Longest: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// text is a report as a terminal shows it.
func text(t *testing.T, f *Failures) string {
	t.Helper()
	var b strings.Builder
	if err := f.Text(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Settings about failures of each sort do what they say.
func TestFailuresBehave(t *testing.T) {
	var texts []string
	for _, m := range behaving {
		texts = append(texts, m.written)
	}
	f := failuresOf(t, withServices(texts))
	for i, want := range behaving {
		name := fmt.Sprintf("s%02d", i)
		k := slices.IndexFunc(f.Modes, func(m *Mode) bool {
			return m.Setting == want.setting && strings.Contains(m.Way, name)
		})
		if k < 0 || f.Modes[k].Verdict != Behaves {
			t.Errorf("%s in %s: not found to behave", want.setting, want.written)
		}
	}
	if t.Failed() {
		t.Logf("%s", text(t, f))
	}
}

// inserted are settings without effect, each in a service of its own.
var inserted = []struct{ setting, written string }{
	{"timeout", `timeout: "2s", routes: [{match: path: prefix: "/a", timeout: "1s"}, {timeout: "1s"}]`},
	{"retries.perTryTimeout", `timeout: "300ms", retries: perTryTimeout: "300ms"`},
	{"retries.perTryTimeout", `idleTimeout: "300ms", retries: perTryTimeout: "1s"`},
	{"idleTimeout", `timeout: "300ms", idleTimeout: "1s"`},
	{"idleTimeout", `retries: perTryTimeout: "300ms", idleTimeout: "1s"`},
	{"retries.on", `retries: on: ["5xx"]`},
	{"retries.on", `retries: {attempts: 1, on: ["5xx"], budget: {percent: 0, minConcurrency: 0}}`},
	{"retries.attempts", `retries: {attempts: 1, on: ["5xx"], budget: {percent: 0, minConcurrency: 0}}`},
	{"retries.backoff.base", `retries: backoff: base: "400ms"`},
	{"retries.backoff.max", `retries: {attempts: 1, on: ["5xx"], backoff: max: "2s"}`},
	{"outliers.consecutive5xx", `outliers: {consecutive5xx: 3, maxEjected: 0}`},
	{"outliers.consecutiveGatewayErrors", `outliers: {consecutive5xx: 3, consecutiveGatewayErrors: 5}`},
	{"timeout", `routes: [{timeout: "1s", retries: perTryTimeout: "300ms"}], timeout: "2s"`},
	{"retries.budget.percent", `retries: budget: percent: 10`},
	{"retries.budget.minConcurrency", `retries: budget: minConcurrency: 5`},
	{"retries.budget.percent", `retries: {attempts: 1, on: ["5xx"], budget: percent: 100}`},
	{"connections.max", `connections: {max: 4, maxRequests: 3}`},
	{"fault", `routes: [{fault: abort: {status: 418, percent: 0}}]`},
	{"retries.attempts", `retries: attempts: 2, routes: [{retries: attempts: 0}]`},
	{"rateLimit", `rateLimit: {requests: 20, per: "10s"}, routes: [{rateLimit: {requests: 5, per: "10s"}}]`},
}

// Settings without effect are found, each where it is written. Users' reports of such: istio/istio#13167 (a time of
// tries that does nothing without another setting), istio/istio#21137 (tries for which the timeout leaves no time),
// envoyproxy/envoy#3252 (bounds that requests which share connections do not meet).
func TestSettingsWithoutEffectAreFound(t *testing.T) {
	var texts []string
	for _, m := range inserted {
		texts = append(texts, "{"+m.written+"}")
	}
	written := withServices(texts)
	f := failuresOf(t, written)
	for i, want := range inserted {
		line := 1 + slices.IndexFunc(strings.Split(written, "\n"), func(l string) bool {
			return strings.HasPrefix(l, fmt.Sprintf("services: s%02d: {", i))
		})
		if !slices.ContainsFunc(f.Modes, func(m *Mode) bool {
			return m.Setting == want.setting && m.Pos.Line == line && m.Verdict == NoEffect
		}) {
			t.Errorf("line %d, %s in %s: not found to have no effect", line, want.setting, want.written)
		}
	}
	if t.Failed() {
		t.Logf("%s", text(t, f))
	}
}

// The settings of the example that answers within so many seconds do what they say. MESHC_LONGEST is how many; with 12
// it is all of them, within a minute.
func TestFailuresOfTheShop(t *testing.T) {
	longest := time.Duration(trytest.Amount(os.Getenv("MESHC_LONGEST"), 1)) * time.Second
	r, err := compiler.Compile(t.Context(), compiler.Options{Dir: "../../examples/shop"})
	if err != nil || r.Mesh == nil {
		t.Fatal(err)
	}
	f, err := Provoke(t.Context(), r.Mesh, FailureOptions{Longest: longest})
	if err != nil {
		t.Fatal(err)
	}
	late := longest == DefaultLongest && (f.count(NotProvoked) > 0 || f.Time > time.Minute)
	if f.Found() > 0 || len(f.Modes) < 20 || late {
		t.Errorf("%s", text(t, f))
	}
}
