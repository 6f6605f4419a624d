package local

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/meshc/meshc/serve"
	"github.com/meshc/meshc/serve/telemetry"
)

// TestEdgesAreWhatWasSent sends a known number of requests of each sort through real Envoys, and wants the server to
// know of exactly these at either end: what comes through a gateway, what is denied, connections below HTTP. Then the
// callee's Envoy is started again, and what came before and after adds up.
func TestEdgesAreWhatWasSent(t *testing.T) {
	t.Parallel() // it waits more than it works
	m := start(t, inline(t, map[string]string{"mesh.cue": metricsMesh}))
	client := m.As("client").Client()
	for range 200 {
		get(t, client, "http://server:8080/items/1?token=secret")
	}
	for range 40 {
		if a := send(t, client, http.MethodGet, "http://server:8080/secret/1"); a.status != http.StatusForbidden {
			t.Fatal(a.status)
		}
		if a := send(t, client, http.MethodGet, "http://silent:8081/b"); a.status != http.StatusForbidden {
			t.Fatal(a.status)
		}
	}
	for range 20 {
		get(t, http.DefaultClient, m.Gateway("edge").URL+"/items/2", "host", "shop.example")
	}
	someBytes(t, m, "client", "server:9000")
	someBytes(t, m, "client", "server:9000")
	told(t, m, []string{
		"gateway edge → service server:8080 client 20 denied 0, server 20 denied 0",
		"service client → service server:8080 client 240 denied 0, server 240 denied 40",
		"service client → service server:9000 client 2 denied 0, server 2 denied 0",
		"service client → service silent:8081 client 40 denied 0, server 40 denied 40",
	})
	restart(t, m, "service/server/a")
	for range 30 {
		get(t, client, "http://server:8080/items/1")
	}
	told(t, m, []string{
		"gateway edge → service server:8080 client 20 denied 0, server 20 denied 0",
		"service client → service server:8080 client 270 denied 0, server 270 denied 40",
		"service client → service server:9000 client 2 denied 0, server 2 denied 0",
		"service client → service silent:8081 client 40 denied 0, server 40 denied 40",
	})
	eventually(t, "the rate is that of the requests", func() bool {
		for _, e := range m.control.server.Edges(time.Minute).Edges {
			if n := e.Client.PerSecond * 60; e.Callee == "service silent" && n > 40*0.99 && n < 40*1.01 {
				return true
			}
		}
		return false
	})
	for _, e := range m.control.server.Edges(15 * time.Minute).Edges {
		if e.Caller != "service client" || e.Callee != "service server" || e.Port != 8080 {
			continue
		}
		routes := "[{items mesh.cue:12:12  false 230 0} {(rest) mesh.cue:6:2  false 40 0}]"
		if got := fmt.Sprint(e.Client.Lines); got != routes {
			t.Errorf("routes: %s", got)
		}
		rules := "[{service client, gateway edge mesh.cue:10:11  false 230 0} " +
			"{service client: /secret/* mesh.cue:11:10  true 40 0}]"
		if got := fmt.Sprint(e.Server.Lines); got != rules {
			t.Errorf("rules: %s", got)
		}
		if l := e.Client.Latency; l.Samples != 270 || l.P99 < l.P50 || l.P99 > 10_000 {
			t.Errorf("%+v", l)
		}
		if e.Uses.String() != "mesh.cue:5:69" || len(e.Allow) != 1 || e.Allow[0].Source.String() != "mesh.cue:10:11" {
			t.Errorf("it is used at %s and allowed by %v", e.Uses, e.Allow)
		}
	}
}

// deniedMesh has a gateway that is closed to what no rule lets in, and one that is open but for a rule.
const deniedMesh = `package m

mesh: {name: "m", trustDomain: "m.example", silence: MC1701: "-"}
services: web: {
	workload: deployment: "web"
	ports: http: {port: 8080, protocol: "http"}
	allow: [{from: gateways: ["closed", "open"]}]
}
gateways: [string]: {
	routes: [{name: "all", to: [{service: "web"}]}]
	uses: web: {}
	deny: [{name: "secrets", from: anyone: true, paths: ["/secret/*"]}]
}
gateways: closed: {
	listeners: http: port: 8000
	allow: [{name: "public", from: anyone: true, paths: ["/public/*", "/secret/*"]}]
}
gateways: open: listeners: http: port: 8001
`

// What the rules of a gateway refuse is denied, with the rule, and no error; a 403 of the application is neither.
func TestGatewaysTellWhatTheyDeny(t *testing.T) {
	t.Parallel()
	m := start(t, inline(t, map[string]string{"mesh.cue": deniedMesh}))
	for _, gateway := range []string{"closed", "open"} {
		for path, n := range map[string]int{"/public/a": 2, "/public/a?status=403": 3, "/secret/a": 4, "/other": 5} {
			for range n {
				send(t, http.DefaultClient, http.MethodGet, m.Gateway(gateway).URL+path)
			}
		}
	}
	want := map[string]string{
		"gateway closed": "14 requests, 0 errors, 9 denied, [{secrets mesh.cue:12:9  true 4 0}]",
		"gateway open":   "14 requests, 0 errors, 4 denied, [{secrets mesh.cue:12:9  true 4 0}]",
	}
	eventuallyRight(t, func() string {
		got := map[string]string{}
		for caller := range want {
			var requests, errors, denied uint64
			var by []telemetry.Line
			for _, e := range m.control.server.Edges(15 * time.Minute).Edges {
				if e.Caller == caller && e.Client != nil {
					requests, errors, denied = requests+e.Client.Requests, errors+e.Client.Errors, denied+e.Denied()
					by = append(by, slices.DeleteFunc(slices.Clone(e.Client.Lines), func(l telemetry.Line) bool {
						return !l.Denies
					})...)
				}
			}
			got[caller] = fmt.Sprintf("%d requests, %d errors, %d denied, %v", requests, errors, denied, by)
		}
		if !maps.Equal(got, want) {
			return fmt.Sprintf("the server knows of\n%q\nand not of\n%q", got, want)
		}
		return ""
	})
}

// told waits until the server knows exactly of those requests.
func told(t *testing.T, m *Mesh, want []string) {
	t.Helper()
	eventuallyRight(t, func() string {
		var got []string
		for _, e := range m.control.server.Edges(15 * time.Minute).Edges {
			got = append(got, shown(&e))
		}
		if !slices.Equal(got, want) {
			return fmt.Sprintf("the server knows of\n%q\nand not of\n%q", got, want)
		}
		return ""
	})
}

func shown(e *serve.Edge) string {
	out := fmt.Sprintf("%s → %s:%d", e.Caller, e.Callee, e.Port)
	if e.Client != nil {
		out += fmt.Sprintf(" client %d denied %d,", e.Client.Requests, e.Client.Denied)
	}
	if e.Server != nil {
		out += fmt.Sprintf(" server %d denied %d", e.Server.Requests, e.Server.Denied)
	}
	return out
}

// restart kills an Envoy, and starts it again.
func restart(t *testing.T, m *Mesh, id string) {
	t.Helper()
	m.mu.Lock()
	p := m.proxies[id]
	m.mu.Unlock()
	began := time.Now()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.exited
	again := *p
	again.process = nil
	if err := m.startProxy(&again); err != nil {
		t.Fatal(err)
	}
	if err := m.ready(t.Context(), []*proxy{&again}); err != nil {
		t.Fatal(err)
	}
	if err := m.control.settle(t.Context(), m.sortedProxies(), began); err != nil {
		t.Fatal(err)
	}
}
