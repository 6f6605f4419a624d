package try_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/compiletest"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

// meshOf is a mesh without errors.
func meshOf(t *testing.T, text string) *ir.Mesh {
	t.Helper()
	r := compiletest.Compile(t, t.TempDir(), map[string]string{"mesh.cue": text})
	if r.Mesh == nil {
		t.Fatal(r.Diagnostics)
	}
	return r.Mesh
}

// An offer to upgrade is refused where others take it at the same listener, ignored where nobody does, and read where
// its route takes it; then neither time nor tries are bounded. TestTryIsEnvoy compares it with Envoy; here are callees
// that share a port number, which they do not on one machine.
func TestOffersOfUpgrades(t *testing.T) {
	m := meshOf(t, `package m
mesh: {name: "m", trustDomain: "m.example"}
services: a: {workload: deployment: "a", uses: {chat: {}, plain: {}, alone: {}}}
services: {
	[!="a"]: {workload: deployment: string | *"x", ports: http: protocol: "http", allow: [{from: services: ["a"]}]}
	chat: {workload: deployment: "chat", ports: http: {port: 80, upgrades: ["websocket"]}, timeout: "3s", retries: attempts: 2
		routes: [{match: path: prefix: "/plain", to: [{service: "plain"}]}]}
	plain: {workload: deployment: "plain", ports: http: port: 80}
	alone: {workload: deployment: "alone", ports: http: port: 81}
}
`)
	for url, want := range map[string]struct {
		offer, connection string
		status            int // 0 where it arrives
		upgraded          bool
	}{
		"http://chat/":         {"WebSocket", "keep-alive, Upgrade", 0, true},
		"http://chat/?":        {"websocket", "keep-alive", 0, false},
		"http://chat/?h2c":     {"h2c", "upgrade", 0, false},
		"http://chat/plain":    {"websocket", "upgrade", 403, false},
		"http://plain/":        {"websocket", "upgrade", 403, false},
		"http://plain/?other":  {"tls/1.2", "upgrade", 0, false},
		"http://elsewhere/":    {"websocket", "upgrade", 403, false},
		"http://elsewhere/?no": {"tls/1.2", "upgrade", 502, false},
		"http://alone:81/":     {"websocket", "upgrade", 0, false},
	} {
		r := try.Request{From: try.Sender{Kind: ir.KindService, Name: "a"}, Method: "GET", Headers: []ir.Header{
			{Name: "connection", Value: want.connection}, {Name: "upgrade", Value: want.offer},
		}}
		if err := r.ParseURL(url); err != nil {
			t.Fatal(err)
		}
		trial, err := try.Try(m, r)
		if err != nil {
			t.Fatal(err)
		}
		status := 0
		if trial.Answer != nil {
			status = trial.Answer.Status
		}
		said := fmt.Sprint(trial.Steps)
		if status != want.status || strings.Contains(said, "offers the application") != want.upgraded ||
			want.upgraded == (strings.Contains(said, "waits 3s") || strings.Contains(said, "retries on")) && status == 0 &&
				strings.Contains(url, "chat") {
			t.Errorf("%s, offered %s: %d\n%s", url, want.offer, status, said)
		}
	}
}

// An entry of x-forwarded-for with a port is no address to Envoy, and try says so.
func TestClientsWithPorts(t *testing.T) {
	m := meshOf(t, `package m
mesh: {name: "m", trustDomain: "m.example"}
services: b: {workload: deployment: "b", ports: http: {port: 80, protocol: "http"}
	allow: [{from: {gateways: ["g"], ipRanges: ["192.0.2.0/24"]}}]}
gateways: g: {
	listeners: http: {port: 80, clientIPDetection: numTrustedHops: 1}
	routes: [{to: [{service: "b"}]}]
	uses: b: {}
}
`)
	for _, c := range []struct {
		said string
		in   bool
	}{{"192.0.2.1", true}, {"192.0.2.1:567", false}} {
		trial, err := try.Try(m, try.Request{
			From: try.Sender{Kind: ir.KindGateway, Name: "g"}, Method: "GET", Scheme: "http", Host: "b.example",
			Path: "/", IP: netip.MustParseAddr("198.51.100.1"),
			Headers: []ir.Header{{Name: ir.ClientHeader, Value: c.said}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if told := strings.Contains(fmt.Sprint(trial.Steps), "does not read"); trial.Allowed() != c.in || told == c.in {
			t.Errorf("%s: %v", c.said, trial.Steps)
		}
	}
}
