package local

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

const edgeClient, edgeEdge = "spiffe://shop.example/ns/shop/sa/client", "spiffe://shop.example/ns/shop/sa/edge"

// TestEveryEdgeHasMetrics wants what users of other meshes miss: the caller and the callee of requests that are
// denied, that no instance answers, that the proxy answers itself, that come through a gateway, and of connections
// below HTTP.
func TestEveryEdgeHasMetrics(t *testing.T) {
	m := start(t, inline(t, map[string]string{"mesh.cue": metricsMesh}))
	client := m.As("client").Client()
	get(t, client, "http://server:8080/items/1?token=secret")
	for path, want := range map[string]int{"/secret/1": http.StatusForbidden, "/other": http.StatusOK} {
		if a := send(t, client, http.MethodGet, "http://server:8080"+path); a.status != want {
			t.Fatalf("%s: %d", path, a.status)
		}
	}
	if a := send(t, client, http.MethodGet, "http://silent:8081/b"); a.status != http.StatusForbidden {
		t.Fatalf("silent: %d", a.status)
	}
	get(t, http.DefaultClient, m.Gateway("edge").URL+"/items/2", "host", "shop.example")
	m.Backend("silent", "a").Close()
	if a := send(t, client, http.MethodGet, "http://silent:8081/a"); a.status != http.StatusServiceUnavailable {
		t.Fatalf("no application: %d", a.status)
	}
	someBytes(t, m, "client", "server:9000")

	for _, want := range []struct{ proxy, name, labels string }{
		{"service/client/a", "http_client_requests", `callee="server.shop",server_port="8080",http_route="items",source="mesh.cue:12:12",http_response_status_class="2xx"`},
		{"service/client/a", "http_client_requests", `callee="server.shop",server_port="8080",http_route="(rest)",source="mesh.cue:6:2",http_response_status_class="4xx"`},
		{"service/client/a", "http_client_attempts", `callee="server.shop",server_port="8080"`},
		{"service/client/a", "http_client_failures", `callee="silent.shop",server_port="8081",http_response_status_code="503"`},
		{"service/client/a", "tcp_client_connections", `callee="server.shop",server_port="9000"`},
		{"service/server/a", "http_server_requests", `callee="server.shop",server_port="8080",rule="service client, gateway edge mesh.cue:10:11",http_response_status_class="2xx"`},
		{"service/server/a", "http_server_requests", `caller="` + edgeEdge + `",callee="server.shop",server_port="8080"`},
		{"service/server/a", "http_server_failures", `rule="service client: /secret/* mesh.cue:11:10",http_response_status_code="403"`},
		{"service/server/a", "tcp_server_connections", `caller="` + edgeClient + `",callee="server.shop",server_port="9000"`},
		{"service/server/a", "tcp_server_received_bytes", `caller="` + edgeClient + `",callee="server.shop",server_port="9000"`},
		{"service/silent/a", "http_server_failures", `caller="` + edgeClient + `",callee="silent.shop",server_port="8081",http_response_status_code="403"`},
		{"service/silent/a", "http_server_failures", `callee="silent.shop",server_port="8081",rule="service client: /a mesh.cue:18:11",http_response_status_code="503"`},
		{"gateway/edge/a", "http_client_requests", `caller="` + edgeEdge + `",callee="server.shop"`},
	} {
		counts := func() bool {
			for name, n := range scraped(t, m, want.proxy, "envoy_meshc_"+want.name+"{") {
				if n > 0 && carries(name, want.labels) {
					return true
				}
			}
			return false
		}
		for deadline := time.Now().Add(5 * time.Second); !counts(); time.Sleep(poll) {
			if time.Now().After(deadline) {
				t.Errorf("%s: no series %s{%s}; there are %v", want.proxy, want.name, want.labels, scraped(t, m, want.proxy, "envoy_meshc_"+want.name+"{"))
				break
			}
		}
	}
}

// carries reports whether a series has all of those labels.
func carries(name, wanted string) bool {
	got := labels(name)
	for key, value := range labels("{" + wanted + "}") {
		if got[key] != value {
			return false
		}
	}
	return true
}

// someBytes sends some bytes on a connection and waits for its end.
func someBytes(t *testing.T, m *Mesh, from, to string) {
	t.Helper()
	conn, err := m.As(from).Dial(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, strings.Repeat("x", 100)+"\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
}
