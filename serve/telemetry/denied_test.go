package telemetry

import (
	"slices"
	"testing"
)

// What a callee refuses is among its requests and is not an error of it; an answer 403 of the application is not a
// denial.
func TestDeniedAndFailed(t *testing.T) {
	s := NewStore(Memory)
	allowed := "frontend cart.cue:8:3"
	failures := func(n uint64, rule, code, grpc string) metric {
		return metric{name: "http.server.failures", count: n, labels: edge("rule", rule, "http.response.status_code", code,
			"rpc.grpc.status_code", grpc, "error.type", "-")}
	}
	admitted := func(n uint64, class string) metric {
		labels := edge("rule", allowed, "http.response.status_class", class)
		return metric{name: "http.server.requests", labels: labels, count: n}
	}
	report(t, s.Proxy(interval), ofCart, noon,
		admitted(90, "2xx"), admitted(3, "4xx"), admitted(2, "5xx"),
		failures(3, allowed, "403", ""), failures(2, allowed, "503", ""), // of the application
		failures(4, allowed, "200", "14"), failures(5, allowed, "200", "5"), // UNAVAILABLE is an error, NOT_FOUND is none
		failures(6, "", "403", ""), failures(7, "no secrets cart.cue:9:3", "403", ""), failures(8, "", "200", "7"),
		failures(1, "", "401", ""))
	got := only(t, s, ServerHTTP, Kept, noon)
	if got.Requests != 90+3+2+6+7+8+1 || got.Errors != 2+4 || got.Denied != 6+7+8 {
		t.Errorf("%d requests, %d errors, %d denied", got.Requests, got.Errors, got.Denied)
	}
	if len(got.Lines) != 2 || got.Lines[0].Name != "frontend" || got.Lines[0].Source != "cart.cue:8:3" ||
		!got.Lines[1].Denies || got.Lines[1].Requests != 7 {
		t.Errorf("lines %v", got.Lines)
	}
	if f := got.Failures[0]; f.Status != 403 || f.GRPC != -1 || f.Requests != 3+6+7 {
		t.Errorf("the most frequent failure is %v", f)
	}
}

// A connection below HTTP that rules deny is one of the callee's and no error of it, as a denied request is; the rule
// that denied it is told. One whose application is not there is an error.
func TestDeniedConnections(t *testing.T) {
	s := NewStore(Memory)
	failures := func(n uint64, rule, cause string) metric {
		return metric{name: "tcp.server.failures", count: n, labels: edge("rule", rule, "error.type", cause)}
	}
	report(t, s.Proxy(interval), ofCart, noon, metric{name: "tcp.server.connections", labels: edge(), count: 10},
		failures(3, "", "Denied"), failures(4, "nobody cart.cue:9:3", "Denied"),
		failures(2, "", "UpstreamConnectionFailure"), failures(1, "", "Plaintext"), failures(1, "", "CertificateRefused"),
		failures(1, "", "HandshakeFailed"))
	got := only(t, s, ServerTCP, Kept, noon)
	if got.Requests != 10+3+4+3 || got.Errors != 2 || got.Denied != 3+4+3 {
		t.Errorf("%d connections, %d errors, %d denied", got.Requests, got.Errors, got.Denied)
	}
	want := []Line{{Name: "nobody", Source: "cart.cue:9:3", Denies: true, Requests: 4}}
	if !slices.Equal(got.Lines, want) {
		t.Errorf("lines %v", got.Lines)
	}
	if f := got.Failures[0]; f.Flags != "Denied" || f.Requests != 3+4 {
		t.Errorf("the most frequent failure is %v", f)
	}
}

// What a gateway's own rules refuse is denied, whatever callee its route leads to; a 403 of the application behind it
// is not, nor is one of a gateway that is open to what no rule names.
func TestDeniedAtTheGateway(t *testing.T) {
	const gateway = "spiffe://shop.example/ns/shop/sa/edge"
	for _, closed := range []bool{true, false} {
		of := &Reporter{Identity: gateway, Denies: func(rule string) bool {
			return rule == "blocked edge.cue:9:3" || closed && rule == ""
		}}
		labels := func(more ...string) []string {
			return append([]string{"caller", gateway, "callee", "cart.shop", "server.port", "7070"}, more...)
		}
		failures := func(n uint64, rule, code, grpc string) metric {
			return metric{name: "http.client.failures", count: n, labels: labels("rule", rule,
				"http.response.status_code", code, "rpc.grpc.status_code", grpc, "error.type", "-")}
		}
		s := NewStore(Memory)
		report(t, s.Proxy(interval), of, noon,
			metric{name: "http.client.requests", count: 100, labels: labels("http.route", "all", "source",
				"edge.cue:5:3", "http.response.status_class", "4xx")},
			failures(3, "blocked edge.cue:9:3", "403", ""), failures(4, "", "403", ""), failures(1, "", "404", ""),
			failures(5, "office edge.cue:8:3", "403", ""), failures(6, "", "200", "7"))
		want := uint64(3)
		if closed {
			want += 4 + 6
		}
		got := only(t, s, ClientHTTP, Kept, noon)
		if got.Requests != 100 || got.Errors != 0 || got.Denied != want {
			t.Errorf("closed %t: %d requests, %d errors, %d denied", closed, got.Requests, got.Errors, got.Denied)
		}
		line := Line{Name: "blocked", Source: "edge.cue:9:3", Denies: true, Requests: 3}
		if len(got.Lines) != 2 || got.Lines[1] != line {
			t.Errorf("lines %v", got.Lines)
		}
	}
}
