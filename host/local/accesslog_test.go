package local

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// logMesh logs what goes wrong, and of one route everything.
const logMesh = `package shop

mesh: {
	name: "shop", trustDomain: "shop.example"
	silence: {MC1307: "-", MC1701: "-", MC1704: "-"}
	telemetry: accessLog: {}
}
services: {
	client: {namespace: "shop", workload: deployment: "client", uses: {server: {}, narrow: {}, bytes: {}}}
	server: {
		namespace: "shop"
		workload: deployment: "server"
		ports: http: {port: 8080, protocol: "http"}
		allow: [{from: {services: ["client"], gateways: ["edge"]}}]
		deny: [{from: services: ["client"], paths: ["/secret/*"]}]
		routes: [
			{name: "slow", match: path: prefix: "/slow", timeout: "50ms"},
			{name: "limited", match: path: prefix: "/limited", rateLimit: {requests: 1, per: "1h"}},
			{name: "broken", match: path: prefix: "/broken", fault: abort: status: 503},
			{name: "watched", match: path: prefix: "/watched", telemetry: accessLog: when: "all"},
			{name: "hidden", match: path: prefix: "/hidden", timeout: "50ms", telemetry: accessLog: when: "never"},
			{name: "tried", match: path: prefix: "/tried", retries: {attempts: 1, on: ["5xx"]}, telemetry: accessLog: when: "all"},
			{name: "one", match: path: prefix: "/one", to: [{service: "narrow"}]},
		]
	}
	narrow: {
		namespace: "shop"
		workload: deployment: "narrow"
		ports: http: {port: 8081, protocol: "http"}
		connections: maxRequests: 1
		allow: [{from: {services: ["client"], gateways: ["edge"]}}]
	}
	bytes: {
		namespace: "shop"
		workload: deployment: "bytes"
		ports: bytes: {port: 9000, protocol: "tcp"}
		allow: [{from: services: ["client"]}]
	}
}
gateways: edge: {
	namespace: "shop"
	listeners: http: port: 80
	routes: [{name: "all", match: {host: "shop.example", path: prefix: "/"}, to: [{service: "server", port: "http"}]}]
	uses: server: {}
}
`

// logLines are the lines of JSON that a proxy has logged.
func logLines(t testing.TB, m *Mesh, id string) (lines []map[string]any) {
	t.Helper()
	f, err := os.Open(filepath.Join(m.Directory(), filepath.FromSlash(id), "envoy.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var line map[string]any
		if strings.HasPrefix(s.Text(), "{") && json.Unmarshal(s.Bytes(), &line) == nil && line["kind"] != nil {
			lines = append(lines, line)
		}
	}
	return lines
}

// logged waits for a line of a proxy that has all of those values.
func logged(t testing.TB, m *Mesh, id string, want map[string]any) {
	t.Helper()
	eventuallyRight(t, func() string {
		lines := logLines(t, m, id)
		if slices.ContainsFunc(lines, func(line map[string]any) bool { return all(line, want) }) {
			return ""
		}
		return fmt.Sprintf("%s has no line with %v; it has %v", id, want, lines)
	})
}

func all(line, want map[string]any) bool {
	for name, value := range want {
		is, wanted := fmt.Sprint(line[name]), fmt.Sprint(value)
		if place := name == "source" || name == "rule"; place && !strings.HasPrefix(is, wanted) || !place && is != wanted {
			return false
		}
	}
	return true
}

// trouble is a request that comes to its end in some way, and a line about it at one of the proxies; at is empty where
// none is to be written.
type trouble struct {
	path   string
	status int
	at     string
	want   map[string]any
}

const logClient = "spiffe://shop.example/ns/shop/sa/client"

func troubles(t *testing.T) []trouble {
	t.Helper()
	const server, caller = "service/server/a", "service/client/a"
	return []trouble{
		{"/slow", 504, caller, map[string]any{
			"http.route": "slow", "source": line(t, logMesh, `"slow"`), "flags": "UT", "error.type": "UpstreamRequestTimeout",
			"callee": "server.shop", "callee.identity": "spiffe://shop.example/ns/shop/sa/server",
		}},
		{"/limited", 200, "", nil},
		{"/limited", 429, caller, map[string]any{
			"http.route": "limited", "source": line(t, logMesh, `"limited"`), "error.type": "RateLimited",
		}},
		{"/broken", 503, caller, map[string]any{
			"http.route": "broken", "source": line(t, logMesh, `"broken"`), "error.type": "FaultInjected",
		}},
		{"/tried", 500, caller, map[string]any{
			"http.route": "tried", "source": line(t, logMesh, `"tried"`), "attempts": 2,
			"error.type": "UpstreamRetryLimitExceeded",
		}},
		{"/watched", 200, caller, map[string]any{
			"http.route": "watched", "source": line(t, logMesh, `"watched"`), "http.response.status_code": 200,
		}},
		{"/secret/a", 403, server, map[string]any{
			"rule": "service client: /secret/* " + line(t, logMesh, `deny:`), "caller": logClient,
			"http.response.status_code": 403,
		}},
		{"/hidden", 504, "", nil},
		{"/ok", 200, "", nil},
	}
}

// Each cause of trouble has a line at the proxy concerned: with the place in the spec, both identities, and the
// response flag in words.
//
// Field: mesh.telemetry.accessLog.when
// Field: routes.telemetry.accessLog.when
func TestLogsNameTheLine(t *testing.T) {
	m := start(t, inline(t, map[string]string{"mesh.cue": logMesh}))
	client, arrived := m.As("client").Client(), make(chan struct{})
	play(t, m, "server", "a", func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/left"):
			close(arrived)
			<-r.Context().Done()
		case strings.HasPrefix(r.URL.Path, "/slow"), strings.HasPrefix(r.URL.Path, "/hidden"):
			<-r.Context().Done()
		case strings.HasPrefix(r.URL.Path, "/tried"):
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	const caller = "service/client/a"
	for _, c := range troubles(t) {
		if a := send(t, client, http.MethodGet, "http://server:8080"+c.path); a.status != c.status {
			t.Errorf("%s: %d, not %d", c.path, a.status, c.status)
		}
		if c.want != nil {
			c.want["caller"] = logClient
			logged(t, m, c.at, c.want)
		}
	}
	held := make(chan struct{})
	play(t, m, "narrow", "a", func(_ http.ResponseWriter, r *http.Request) {
		close(held)
		<-r.Context().Done()
	})
	leave(t, client, "http://server:8080/one", held, func() {
		if a := send(t, client, http.MethodGet, "http://server:8080/one"); a.status != http.StatusServiceUnavailable {
			t.Errorf("beyond the bound: %d", a.status)
		}
	})
	logged(t, m, caller, map[string]any{
		"http.route": "one", "source": line(t, logMesh, `"one"`), "error.type": "UpstreamOverflow", "callee": "narrow.shop",
	})
	leave(t, client, "http://server:8080/left", arrived, func() {})
	logged(t, m, caller, map[string]any{
		"url.path": "/left", "http.response.status_code": 0, "error.type": "DownstreamConnectionTermination",
	})
	send(t, http.DefaultClient, http.MethodGet, m.Gateway("edge").URL+"/a", "host", "other.example")
	logged(t, m, "gateway/edge/a", map[string]any{"error.type": "NoRouteFound", "server.address": "other.example"})
	m.Backend("bytes", "a").Close()
	if conn, err := m.As("client").Dial(t.Context(), "bytes:9000"); err == nil {
		_, _ = conn.Read(make([]byte, 1))
		conn.Close()
	}
	logged(t, m, "service/bytes/a", map[string]any{
		"kind": "tcp.server", "caller": logClient, "error.type": "UpstreamConnectionFailure,UpstreamRetryLimitExceeded",
		"callee": "bytes.shop",
		"source": line(t, logMesh, "bytes: {port"),
	})
	for _, l := range logLines(t, m, caller) {
		if path := l["url.path"]; path == "/hidden" || path == "/ok" {
			t.Errorf("a line for %v, which nobody wants", path)
		}
	}
}

// leave makes a request, and goes away once the application has it and that was done meanwhile.
func leave(t *testing.T, c *http.Client, url string, arrived <-chan struct{}, meanwhile func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := trySend(ctx, c, http.MethodGet, url)
		ended <- err
	}()
	<-arrived
	meanwhile()
	cancel()
	if err := <-ended; err == nil {
		t.Error("the request was answered")
	}
}

// line is the line on which a text stands in the mesh.cue of a test, as a place in the spec begins with it.
func line(t *testing.T, text, at string) string {
	t.Helper()
	i := strings.Index(text, at)
	if i < 0 {
		t.Fatalf("%q stands nowhere", at)
	}
	n := strings.Count(text[:i], "\n") + 1
	return fmt.Sprintf("mesh.cue:%d:", n)
}
