package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/serve"
	"github.com/meshc/meshc/serve/telemetry"
)

func position(file string, line int) source.Position {
	return source.Position{File: file, Line: line, Column: 3}
}

// toldBy is an admin address at which a server tells that.
func toldBy(t *testing.T, r serve.EdgeReport) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r2 *http.Request) {
		if r2.URL.Path != "/edges" || r2.URL.Query().Get("window") == "" {
			http.Error(w, r2.URL.String(), http.StatusNotFound)
			return
		}
		_ = json.NewEncoder(w).Encode(r) // a client that goes away is told by its own error
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// latency is that of requests that all took as long.
func latency(samples uint64, ms float64) (l telemetry.Latency) {
	l.Samples, l.P50, l.P95, l.P99 = samples, ms, ms, ms
	for i := range l.Quantiles {
		l.Quantiles[i] = ms
	}
	return l
}

// someEdges are a busy edge, one without traffic, one whose caller is elsewhere, and denied callers.
func someEdges(perSecond float64, requests uint64) serve.EdgeReport {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	cart := serve.Edge{
		Callee: "service cart", Port: 7070, PortName: "http", CalleeSource: position("cart.cue", 3), Reports: true,
		CallerSource: position("web.cue", 3),
	}
	busy, idle, away, unknown, other, part := cart, cart, cart, cart, cart, cart
	busy.Caller, busy.Declared, busy.Uses = "service frontend", true, position("web.cue", 9)
	busy.Allow = []serve.EdgeRule{{Name: "service frontend", Source: position("cart.cue", 8)}}
	busy.Client = &telemetry.End{Kind: telemetry.ClientHTTP, Stats: telemetry.Stats{
		Requests: requests, Errors: 3, PerSecond: perSecond, Latency: latency(requests, 20),
	}, Failures: []telemetry.Failure{
		{Status: 503, GRPC: -1, Flags: "UpstreamConnectionFailure", Requests: 2}, {Status: 200, GRPC: 14, Requests: 1},
	}, Lines: []telemetry.Line{{Name: "carts", Source: "cart.cue:12:3", Version: "v2", Requests: requests, Errors: 3}}}
	idle.Caller, idle.Declared, idle.Uses = "service checkout", true, position("checkout.cue", 7)
	away.Caller, away.Declared, away.Reports, away.Uses = "gateway public", true, false, position("edge.cue", 5)
	unknown.Caller, unknown.CallerSource = "spiffe://shop.example/ns/shop/sa/stranger", source.Position{}
	unknown.Server = &telemetry.End{Kind: telemetry.ServerHTTP, Stats: telemetry.Stats{Requests: 5, Denied: 5}}
	other.Caller, other.CallerSource = "service mail", position("mail.cue", 2)
	other.Server = &telemetry.End{Kind: telemetry.ServerHTTP, Stats: telemetry.Stats{Requests: 2, Denied: 2}}
	part.Caller, part.Declared, part.Uses = "service reports", true, position("reports.cue", 7)
	part.Allow = []serve.EdgeRule{{Name: "service reports: /a", Source: position("cart.cue", 9), Part: true}}
	part.Server = &telemetry.End{
		Kind: telemetry.ServerHTTP, Stats: telemetry.Stats{Requests: 7, Denied: 7},
		Lines: []telemetry.Line{{Name: "no secrets", Source: "cart.cue:10:3", Denies: true, Requests: 4}},
	}
	return serve.EdgeReport{
		Mesh: "shop", Hash: "0", Now: now, Since: now.Add(-time.Hour), Window: 60,
		Edges: []serve.Edge{away, idle, busy, other, part, unknown},
	}
}

func said(t *testing.T, want int, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := run(args, strings.NewReader(""), &stdout, &stderr); code != want {
		t.Fatalf("%v exits with %d: %s", args, code, stderr.String())
	}
	return stdout.String() + stderr.String()
}

func same(t *testing.T, got, want string) {
	t.Helper()
	if want = strings.TrimPrefix(want, "\n"); got != want {
		t.Errorf("it says\n%s\nand not\n%s", got, want)
	}
}

// Edges without traffic are told apart from those of which nothing is known, and what the lines to add or to delete
// are is told of those alone that are known.
func TestEdges(t *testing.T) {
	same(t, said(t, exitGood, "edges", "--server", toldBy(t, someEdges(1.5, 90))), `
mesh shop, the last 1m
CALLER                                      CALLEE   PORT   REQUESTS   ERRORS   DENIED   P50    P95    P99    STATE
gateway public                              cart     7070   0          0        0        -      -      -      not known: no proxy of the caller reports
checkout                                    cart     7070   0          0        0        -      -      -      no traffic
frontend                                    cart     7070   90         3        0        20ms   20ms   20ms   
mail                                        cart     7070   2          0        2        -      -      -      not declared
reports                                     cart     7070   7          0        7        -      -      -      
spiffe://shop.example/ns/shop/sa/stranger   cart     7070   5          0        5        -      -      -      not declared

checkout → cart:7070: no requests for 1m; if nobody needs it, delete the use at checkout.cue:7:3

mail → cart:7070: 2 requests denied: no rule allows this caller; to let it in, add to allow of cart (cart.cue:3:3)
  {from: services: ["mail"], ports: ["http"]}
and to uses of mail (mail.cue:2:3)
  cart: {}

reports → cart:7070: 4 requests denied by the rule at cart.cue:10:3 (no secrets); delete it to let them in

reports → cart:7070: 3 requests denied: the rules for this caller let other requests in only: cart.cue:9:3 (service reports: /a)

spiffe://shop.example/ns/shop/sa/stranger → cart:7070: 5 requests denied: no rule allows this caller; to let it in, add to allow of cart (cart.cue:3:3)
  {from: identities: ["spiffe://shop.example/ns/shop/sa/stranger"], ports: ["http"]}
`)
}

// Connections that were refused before any rule was asked are told with their cause.
func TestEdgesRefusedUnasked(t *testing.T) {
	report := someEdges(1.5, 90)
	e := report.Edges[5] // a stranger
	e.Caller = ""
	e.Server = &telemetry.End{
		Kind: telemetry.ServerTCP, Stats: telemetry.Stats{Requests: 10, Denied: 10},
		Failures: []telemetry.Failure{
			{GRPC: -1, Flags: ir.RefusedPlaintext, Requests: 6},
			{GRPC: -1, Flags: ir.RefusedCertificate, Requests: 3},
			{GRPC: -1, Flags: ir.RefusedHandshake, Requests: 1},
		},
	}
	report.Edges = []serve.Edge{e}
	same(t, said(t, exitGood, "edges", "--server", toldBy(t, report)), `
mesh shop, the last 1m
CALLER             CALLEE   PORT   REQUESTS   ERRORS   DENIED   P50   P95   P99   STATE
(no certificate)   cart     7070   10         0        10       -     -     -     not declared

a caller without a certificate → cart:7070: 6 connections refused that had no TLS: the caller has no proxy of the mesh, or bypasses it; to let it in, write mtls: "permissive" at cart (cart.cue:3:3) and add to its allow
  {from: plaintext: true, ports: ["http"]}

a caller without a certificate → cart:7070: 3 connections refused that had no certificate, or one of no caller whom the port takes

a caller without a certificate → cart:7070: 1 connection refused whose TLS handshake failed: the mesh takes TLS 1.3 alone
`)
}

// What a gateway's own rules deny is told beside what its callees do.
func TestEdgesDeniedAtTheGateway(t *testing.T) {
	report := someEdges(1.5, 90)
	e := report.Edges[0]
	e.Reports, e.CallerSource = true, position("edge.cue", 3)
	e.Client = &telemetry.End{
		Kind: telemetry.ClientHTTP, Stats: telemetry.Stats{Requests: 9, Denied: 5},
		Lines: []telemetry.Line{{Name: "blocked", Source: "edge.cue:9:3", Denies: true, Requests: 2}},
	}
	report.Edges = []serve.Edge{e}
	same(t, said(t, exitGood, "edges", "--server", toldBy(t, report)), `
mesh shop, the last 1m
CALLER           CALLEE   PORT   REQUESTS   ERRORS   DENIED   P50   P95   P99   STATE
gateway public   cart     7070   9          0        5        -     -     -     

gateway public → cart:7070: 2 requests denied by the rule at edge.cue:9:3 (blocked); delete it to let them in

gateway public → cart:7070: 3 requests denied: no rule of gateway public lets them in; add one to its allow (edge.cue:3:3)
`)
}

// Of two servers, each of which knows a part of the proxies, the sums are shown, and the quantiles of all requests.
func TestTopOfTwoServers(t *testing.T) {
	first, second := someEdges(1.5, 90), someEdges(4.5, 270)
	second.Edges[2].Client.Latency = latency(270, 40)
	second.Since, second.Silent = second.Now.Add(-20*time.Second), []string{"service/cart/b"}
	second.Edges[0].Reports = true
	both := toldBy(t, first) + "," + toldBy(t, second)
	same(t, said(t, exitGood, "top", "--server", both, "--rows", "2"), `
mesh shop, the last 1m; the server was started 20s ago
CALLER     CALLEE   PORT   REQ/S   SUCCESS   P50    P95    P99    DENIED
frontend   cart     7070   6.0     98.33%    40ms   40ms   40ms   0
reports    cart     7070   0.0     100.00%   -      -      -      14
and 2 more (--rows)

connected and telling nothing: service/cart/b
`)
	same(t, said(t, exitGood, "top", "--server", toldBy(t, first), "--by", "callee"), `
mesh shop, the last 1m
CALLEE   REQ/S   SUCCESS   P50    P95    P99    DENIED
cart     1.5     97.12%    20ms   20ms   20ms   14
`)
	same(t, said(t, exitGood, "top", "--server", both, "--by", "line"), `
mesh shop, the last 1m; the server was started 20s ago
CALLER     CALLEE   PORT   BY          NAME         VERSION   SOURCE          REQUESTS   SUCCESS
frontend   cart     7070   route       carts        v2        cart.cue:12:3   360        98.33%
reports    cart     7070   denied by   no secrets   -         cart.cue:10:3   8          100.00%

connected and telling nothing: service/cart/b
`)
	same(t, said(t, exitGood, "top", "--server", both, "--by", "failure"), `
mesh shop, the last 1m; the server was started 20s ago
CALLER     CALLEE   PORT   STATUS   GRPC   RESPONSE FLAGS              REQUESTS
frontend   cart     7070   503      -      UpstreamConnectionFailure   4
frontend   cart     7070   200      14     -                           2

connected and telling nothing: service/cart/b
`)
	var got serve.EdgeReport
	if err := json.Unmarshal([]byte(said(t, exitGood, "top", "-o", "json", "--server", both)), &got); err != nil {
		t.Fatal(err)
	}
	if e := got.Edges[2]; len(got.Edges) != 6 || e.Client.Requests != 360 || e.Client.Latency.Samples != 360 {
		t.Errorf("%+v", got)
	}
}

func TestWrongUseOfTop(t *testing.T) {
	for want, args := range map[string][]string{
		`output is "xml" and must be table, json, yaml or cue`:                 {"edges", "-o", "xml"},
		`--last is 1h0m0s and must be from 5s to 15m0s`:                        {"edges", "--last", "1h"},
		`--by is "pod" and must be one of edge, callee, caller, line, failure`: {"top", "--by", "pod"},
		`--rows is 0 and must be at least 1`:                                   {"top", "--rows", "0"},
		`server "a b" is not a valid address HOST:PORT`:                        {"top", "--server", "a b"},
		`no meshc serve answers at 127.0.0.1:1: is it running, and is this`:    {"edges", "--server", "127.0.0.1:1"},
	} {
		if got := said(t, exitFault, args...); !strings.Contains(got, want) {
			t.Errorf("%v: %s", args, got)
		}
	}
}
