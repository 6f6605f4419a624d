package local

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/ir"
)

// causesMesh logs what fails, and traces everything.
const causesMesh = `package shop

mesh: {
	name: "shop", trustDomain: "shop.example"
	silence: {MC1307: "-", MC1701: "-", MC1704: "-", MC1736: "-"}
	telemetry: {accessLog: {}, collector: service: "otel", tracing: sampling: 100}
}
services: [string]: namespace: "shop"
services: [N=!~"^(client|otel)$"]: {workload: deployment: N, allow: [{from: services: ["client"]}]}
services: [=~"gone|calls|late"]: outliers: consecutiveLocalFailures: 0
services: {
	client: {
		workload: deployment: "client"
		uses: {gone: {}, calls: {}, late: {}, pages: {}, ejected: {}, narrow: {}, bytes: {}, silent: {}}
	}
	otel: {workload: deployment: "otel", ports: grpc: {port: 4317, protocol: "grpc"}, allow: [{from: namespaces: ["shop"]}]}
	gone: {
		ports: http: {port: 8081, protocol: "http"}
		health: {http: path: "/healthz", interval: "100ms", timeout: "1s", unhealthyAfter: 1, healthyAfter: 1}
		loadBalancer: panicThreshold: 0
		routes: [{name: "to nobody", match: path: prefix: "/"}]
	}
	calls: {
		ports: grpc: {port: 8082, protocol: "grpc"}
		deny: [{name: "no secret calls", from: services: ["client"], paths: ["/shop.Secret/*"]}]
		routes: [
			{name: "to slow calls", match: path: prefix: "/shop.Slow/", timeout: "100ms"},
			{name: "to broken calls", match: path: prefix: "/shop.Broken/"},
			{name: "to calls", match: path: prefix: "/"},
		]
	}
	late: {ports: http: {port: 8083, protocol: "http"}, routes: [{name: "to late", match: path: prefix: "/"}]}
	pages: {
		ports: http: {port: 8084, protocol: "http"}
		deny: [{name: "no secret pages", from: services: ["client"], paths: ["/secret/*"]}]
		routes: [
			{name: "slow", match: path: prefix: "/slow", timeout: "100ms"},
			{name: "limited", match: path: prefix: "/limited", rateLimit: {requests: 1, per: "1h"}},
			{name: "tried", match: path: prefix: "/tried", retries: {attempts: 1, on: ["5xx"]}},
			{name: "left", match: path: prefix: "/left"},
		]
	}
	ejected: {
		ports: http: {port: 8085, protocol: "http"}
		outliers: {consecutiveLocalFailures: 2, interval: "100ms", ejectFor: "1h"}
		loadBalancer: panicThreshold: 0
		routes: [{name: "to the ejected", match: path: prefix: "/"}]
	}
	narrow: {
		ports: http: {port: 8086, protocol: "http"}
		connections: maxRequests: 1
		routes: [{name: "one", match: path: prefix: "/"}]
	}
	bytes: {
		ports: tcp: {port: 9000, protocol: "tcp"}
		deny: [{name: "not from here", from: {anyone: true, ipRanges: ["127.0.0.0/8"]}}]
	}
	silent: ports: tcp: {port: 9001, protocol: "tcp"}
}
`

// oneCause is something that goes wrong, and what names it: the line of the log, the series, the span, and what the
// live page, meshc edges and meshc top show of the edge.
type oneCause struct {
	name string
	// does lets it happen, until it has.
	does func(t *testing.T, c *causes)
	// callee, its route or rule, whose place in the spec is that of the text at, and whether its own proxy tells.
	callee, port string
	route, rule  string
	at           string
	server       bool
	// status, that of gRPC (-1 for none) and the cause, "-" for none. Below HTTP there are no statuses.
	status, grpc int
	words        string
}

// causes is the running mesh.
type causes struct {
	*Mesh
	client *http.Client
	spans  *collector
	// arrived has the requests that the applications hold.
	arrived chan struct{}
}

const grpcType = "application/grpc"

func (c *causes) call(t *testing.T, path string) {
	t.Helper()
	if a := send(t, c.client, http.MethodPost, "http://calls:8082"+path, "content-type", grpcType, "te",
		"trailers"); a.status != http.StatusOK {
		t.Errorf("%s: %d %s", path, a.status, a.body)
	}
}

// asks sends a request until it is answered so.
func asks(url string, status int, body string) func(*testing.T, *causes) {
	return func(t *testing.T, c *causes) {
		t.Helper()
		eventuallyRight(t, func() string {
			if a := send(t, c.client, http.MethodGet, url); a.status != status || !strings.Contains(a.body, body) {
				return fmt.Sprintf("%s: %d %s", url, a.status, a.body)
			}
			return ""
		})
	}
}

func calls(path string) func(*testing.T, *causes) {
	return func(t *testing.T, c *causes) { t.Helper(); c.call(t, path) }
}

// sends writes on a connection that is closed without an answer.
func sends(to string) func(*testing.T, *causes) {
	return func(t *testing.T, c *causes) {
		t.Helper()
		conn := greets(t, c.Mesh, to)
		defer conn.Close()
		if n, err := conn.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("%s: %d bytes, %v", to, n, err)
		}
	}
}

// greets opens a connection of the client and writes a line.
func greets(t *testing.T, m *Mesh, to string) net.Conn {
	t.Helper()
	conn, err := m.As("client").Dial(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "hello\n"); err != nil {
		t.Fatal(err)
	}
	return conn
}

// every is all that goes wrong while certificates hold.
func every() []oneCause {
	return []oneCause{
		{
			"no healthy instance", asks("http://gone:8081/", 503, "no healthy upstream"), "gone.shop", "8081", "to nobody", "",
			`"to nobody"`, false, 503, -1, "NoHealthyUpstream",
		},
		{
			"ejected", asks("http://ejected:8085/", 503, "no healthy upstream"), "ejected.shop", "8085", "to the ejected", "",
			`"to the ejected"`, false, 503, -1, "NoHealthyUpstream",
		},
		{
			"timed out", asks("http://pages:8084/slow", 504, ""), "pages.shop", "8084", "slow", "", `"slow"`, false, 504, -1,
			"UpstreamRequestTimeout",
		},
		{
			"rate limited", asks("http://pages:8084/limited", 429, ""), "pages.shop", "8084", "limited", "", `"limited"`,
			false, 429, -1, "RateLimited",
		},
		{
			"retried", asks("http://pages:8084/tried", 500, ""), "pages.shop", "8084", "tried", "", `"tried"`, false, 500, -1,
			"UpstreamRetryLimitExceeded",
		},
		{"client gone", leaves, "pages.shop", "8084", "left", "", `"left"`, false, 0, -1, "DownstreamConnectionTermination"},
		{"circuit breaker", overflows, "narrow.shop", "8086", "one", "", `"one"`, false, 503, -1, "UpstreamOverflow"},
		{
			"denied", asks("http://pages:8084/secret/a", 403, ""), "pages.shop", "8084", "", "no secret pages",
			`"no secret pages"`, true, 403, -1, "-",
		},
		{"status of gRPC", calls("/shop.Calls/One"), "calls.shop", "8082", "to calls", "", `"to calls"`, false, 200, 14, "-"},
		{
			"gRPC timed out", calls("/shop.Slow/One"), "calls.shop", "8082", "to slow calls", "", `"to slow calls"`, false, 200,
			4, "UpstreamRequestTimeout",
		},
		{
			"gRPC unavailable", calls("/shop.Broken/One"), "calls.shop", "8082", "", "", `grpc: {port: 8082`, true, 200, 14,
			"UpstreamRemoteReset",
		},
		{
			"gRPC denied", calls("/shop.Secret/One"), "calls.shop", "8082", "", "no secret calls", `"no secret calls"`, true,
			200, 7, "-",
		},
		{
			"TCP denied", sends("bytes:9000"), "bytes.shop", "9000", "", "not from here", `"not from here"`, true, 0, -1,
			ir.DeniedBelowHTTP,
		},
		{"TCP refused", sends("silent:9001"), "silent.shop", "9001", "", "", `tcp: {port: 9001`, true, 0, -1, noConnection},
	}
}

// leaves makes a request and goes away once the application has it.
func leaves(t *testing.T, c *causes) {
	leave(t, c.client, "http://pages:8084/left", c.arrived, func() {})
}

// overflows makes a request while another one is answered.
func overflows(t *testing.T, c *causes) {
	leave(t, c.client, "http://narrow:8086/held", c.arrived, func() {
		if a := send(t, c.client, http.MethodGet, "http://narrow:8086/"); a.status != http.StatusServiceUnavailable {
			t.Errorf("beyond the bound: %d", a.status)
		}
	})
}

// startCauses runs the mesh, with applications that do what goes wrong.
func startCauses(t *testing.T) *causes {
	t.Helper()
	shop := inline(t, map[string]string{"mesh.cue": causesMesh}).Clone()
	shop.Certificates.Lifetime, shop.Certificates.RenewBefore = ir.Duration(4*time.Second), ir.Duration(3*time.Second)
	m := start(t, shop)
	m.Backend("otel", "a").Close()
	c := &causes{
		Mesh: m, client: m.As("client").Client(), spans: collect(t, listenAs(t, m, "otel", "a")),
		arrived: make(chan struct{}),
	}
	m.Backend("gone", "a").Close()
	m.Backend("silent", "a").Close()
	application := func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; {
		case strings.HasPrefix(path, "/left"), strings.HasPrefix(path, "/held"):
			c.arrived <- struct{}{}
			<-r.Context().Done()
		case strings.HasPrefix(path, "/slow"), strings.HasPrefix(path, "/shop.Slow"):
			<-r.Context().Done()
		case strings.HasPrefix(path, "/tried"):
			w.WriteHeader(http.StatusInternalServerError)
		case strings.HasPrefix(path, "/shop.Calls"):
			statusInTrailers("14")(w, r)
		default:
			panic(http.ErrAbortHandler)
		}
	}
	for _, name := range []string{"pages", "narrow", "calls", "ejected"} {
		play(t, m, name, "a", application)
	}
	return c
}

// TestCausesNameTheLine has each cause happen, and wants the log, a metric, a span, and what the live page, meshc edges
// and meshc top show, to name it with the route or the rule and its place in the spec: at the caller, or where the
// caller cannot know it at the callee. A proxy whose certificate has ended reaches neither the server nor the
// collector.
func TestCausesNameTheLine(t *testing.T) {
	c := startCauses(t)
	all := every()
	for _, k := range all {
		k.does(t, c)
	}
	for _, k := range all {
		k.isNamed(t, c, map[string]func(*testing.T, *causes) string{
			"log": k.log, "metric": k.metric, "span": k.span, "edge": k.edge,
		})
	}
	c.certificates.stop()
	asks("http://late:8083/", http.StatusServiceUnavailable, "")(t, c)
	k := oneCause{
		"certificate expired", nil, "late.shop", "8083", "to late", "", `"to late"`, false, 503, -1,
		"UpstreamConnectionFailure",
	}
	k.isNamed(t, c, map[string]func(*testing.T, *causes) string{"log": k.log, "metric": k.metric})
	eventually(t, "a line that tells that it was the certificate", func() bool {
		return slices.ContainsFunc(logLines(t, c.Mesh, k.proxy()), func(l map[string]any) bool {
			return l["http.route"] == k.route && strings.Contains(fmt.Sprint(l["failure"]), "CERTIFICATE")
		})
	})
}

// isNamed waits until each says nothing.
func (k *oneCause) isNamed(t *testing.T, c *causes, by map[string]func(*testing.T, *causes) string) {
	t.Run(k.name, func(t *testing.T) {
		eventuallyRight(t, func() string {
			for what, wrong := range by {
				if text := wrong(t, c); text != "" {
					return what + ": " + text
				}
			}
			return ""
		})
	})
}
