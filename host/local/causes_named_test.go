package local

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/meshc/meshc/serve/telemetry"
)

func (k *oneCause) proxy() string {
	if k.server {
		return "service/" + k.member() + "/a"
	}
	return "service/client/a"
}

func (k *oneCause) member() string { return strings.TrimSuffix(k.callee, ".shop") }

func (k *oneCause) http() bool { return k.status != 0 || k.route != "" }

// named are the fields of a line or a span that name it.
func (k *oneCause) named(t *testing.T) map[string]any {
	t.Helper()
	want := map[string]any{"caller": logClient, "callee": k.callee, "server.port": k.port, "error.type": k.words}
	switch {
	case k.rule != "" && k.http():
		want["rule"] = k.rule + " " + line(t, causesMesh, k.at)
	case k.rule == "":
		want["source"] = line(t, causesMesh, k.at)
	}
	if k.route != "" {
		want["http.route"] = k.route
	}
	if k.http() {
		want["http.response.status_code"] = k.status
	}
	if k.grpc >= 0 {
		want["rpc.grpc.status_code"] = k.grpc
	}
	return want
}

// log says that the proxy has no line of it, or nothing.
func (k *oneCause) log(t *testing.T, c *causes) string {
	t.Helper()
	lines, want := logLines(t, c.Mesh, k.proxy()), k.named(t)
	details := ""
	if k.rule != "" && !k.http() {
		details = "[" + strings.ReplaceAll(k.rule, " ", "_") + "_" + line(t, causesMesh, k.at)
	}
	for _, l := range lines {
		if all(l, want) && strings.Contains(fmt.Sprint(l["details"]), details) {
			return ""
		}
	}
	return fmt.Sprintf("no line with %v; there are %v", want, lines)
}

// metric says that no series of failures, or none of the requests of the route, counts it.
func (k *oneCause) metric(t *testing.T, c *causes) string {
	t.Helper()
	kind, want := "tcp_server_failures", map[string]any{
		"caller": logClient, "callee": k.callee, "server_port": k.port, "error_type": k.words,
	}
	if k.http() {
		kind = "http_client_failures"
		want["http_response_status_code"] = k.status
	}
	if k.server && k.http() {
		kind = "http_server_failures"
	}
	if k.grpc >= 0 {
		want["rpc_grpc_status_code"] = k.grpc
	}
	if k.rule != "" {
		want["rule"] = k.rule + " " + line(t, causesMesh, k.at)
	}
	if wrong := k.counted(t, c, kind, want); wrong != "" || k.route == "" {
		return wrong
	}
	return k.counted(t, c, "http_client_requests", map[string]any{
		"callee": k.callee, "http_route": k.route, "source": line(t, causesMesh, k.at),
	})
}

func (k *oneCause) counted(t *testing.T, c *causes, metric string, want map[string]any) string {
	t.Helper()
	counters := scraped(t, c.Mesh, k.proxy(), "envoy_meshc_"+metric+"{")
	for name := range counters {
		has := map[string]any{}
		for label, value := range labels(name) {
			has[label] = value
		}
		if all(has, want) {
			return ""
		}
	}
	return fmt.Sprintf("no series with %v; there are\n%s", want, listed(counters))
}

// span says that there is none of it. Below HTTP there are none.
func (k *oneCause) span(t *testing.T, c *causes) string {
	t.Helper()
	if !k.http() {
		return ""
	}
	want := k.named(t)
	for _, s := range c.spans.all() {
		has := map[string]any{}
		for name, value := range s.has {
			has[name] = value
		}
		if all(has, want) {
			return ""
		}
	}
	return fmt.Sprintf("no span with %v; there are %v", want, c.spans.all())
}

// edge says in what the server's numbers of the edge, which the page, meshc edges and meshc top show, lack it.
func (k *oneCause) edge(t *testing.T, c *causes) string {
	t.Helper()
	for _, e := range c.control.server.Edges(telemetry.Kept).Edges {
		if e.Callee != "service "+k.member() || e.Stats() == nil {
			continue
		}
		flags := strings.TrimPrefix(k.words, "-")
		end := e.Stats()
		if k.server {
			end = e.Server
		}
		if end == nil || !slices.ContainsFunc(end.Failures, func(f telemetry.Failure) bool {
			return f.Status == k.status && f.GRPC == k.grpc && f.Flags == flags
		}) {
			return fmt.Sprintf("no failure %d %d %s: %+v", k.status, k.grpc, flags, end)
		}
		if name := k.route + k.rule; name != "" && !slices.ContainsFunc(end.Lines, func(l telemetry.Line) bool {
			return l.Name == name && strings.HasPrefix(l.Source, line(t, causesMesh, k.at)) && l.Denies == (k.rule != "")
		}) {
			return fmt.Sprintf("no line %q: %+v", name, end.Lines)
		}
		if len(e.Allow) == 0 {
			return "no rule that lets the caller in"
		}
		return ""
	}
	return "it is not there"
}
