package doctor

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/compiletest"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/serve"
	"github.com/meshc/meshc/serve/telemetry"
)

// shop is a chain with a gateway, a service of two versions, a limit, an issuer and an authorization service.
const shop = `package shop

mesh: {
	name: "shop", trustDomain: "shop.example"
	silence: {MC1307: "-", MC1701: "-", MC1704: "-", MC1736: "-"}
	jwt: issuers: acc: {issuer: "https://acc.example", jwks: service: "keys"}
	externalAuthorization: opa: service: "opa"
}
services: [N=!="listed"]: workload: deployment: N
services: [string]: ports: http: {port: 8080, protocol: "http"}
services: {
	web: {uses: {cart: {}, listed: {}}, allow: [{from: gateways: ["edge"]}]}
	cart: {
		timeout: "2s"
		uses: pay: {}
		versions: {v1: labels: v: "1", v2: labels: v: "2"}
		routes: [
			{name: "new", match: headers: "x-new": exact: "yes", to: [{version: "v2"}]},
			{name: "some", match: path: prefix: "/some", rateLimit: {requests: 10, per: "1s"}},
		]
		allow: [{from: services: ["web"], methods: ["GET"]}, {from: services: ["web"], methods: ["POST"]}]
	}
	pay: {allow: [{from: services: ["cart"], jwt: issuer: "acc"}], externalAuthorization: "opa", uses: {opa: {}, keys: {}}}
	listed: {workload: file: "listed.json", allow: [{from: services: ["web"]}]}
	keys: allow: [{from: services: ["pay"]}]
	opa: allow: [{from: services: ["pay"]}]
}
gateways: edge: {
	listeners: http: port: 80
	routes: [{name: "all", match: path: prefix: "/", to: [{service: "web", port: "http"}]}]
	uses: web: {}
}
`

var noon = time.Date(2026, 11, 30, 12, 0, 7, 0, time.UTC)

func compiled(t testing.TB, text string) *ir.Mesh {
	t.Helper()
	r := compiletest.Compile(t, t.TempDir(), map[string]string{"mesh.cue": text})
	if r.Mesh == nil {
		t.Fatalf("%v", r.Diagnostics)
	}
	return r.Mesh
}

// ward is a mesh whose edges have numbers that a test changes.
type ward struct{ *Observations }

// healthy is a mesh in which each declared edge has that many requests in each step, in some milliseconds.
func healthy(t testing.TB, m *ir.Mesh) *ward {
	t.Helper()
	w := &ward{&Observations{Now: noon, Mesh: m, Loaded: noon.Add(-time.Hour), Server: &Server{
		Address: "127.0.0.1:15011", Status: &serve.Report{Mesh: "shop", Hash: "1"},
		Edges: &serve.EdgeReport{Mesh: "shop", Now: noon}, Latest: &serve.EdgeReport{Mesh: "shop", Now: noon},
		Recent: &serve.Recent{Now: noon, Instances: map[string][]serve.Instance{}, Moves: map[string][]serve.Move{}},
	}}}
	for _, s := range m.Services {
		w.Server.Recent.Instances[s.Name] = []serve.Instance{{Name: "a", Address: "10.0.0.1"}}
		w.Server.Status.Proxies = append(w.Server.Status.Proxies,
			serve.Proxy{Node: "service/" + s.Name + "/a", Connected: true, Version: "1.36.0"})
	}
	seen := map[string]bool{}
	for call := range m.Calls() {
		for _, to := range call.Ends() {
			caller, callee := call.Caller.Ref().String(), ir.ServiceRef(to).String()
			if seen[caller+callee] {
				continue
			}
			seen[caller+callee] = true
			e := serve.Edge{Caller: caller, Callee: callee, Port: call.Port.Number, Declared: true}
			w.Server.Latest.Edges = append(w.Server.Latest.Edges, e)
			e.Client, e.Server = usualEnd(telemetry.ClientHTTP), usualEnd(telemetry.ServerHTTP)
			w.Server.Edges.Edges = append(w.Server.Edges.Edges, e)
			l := &w.Server.Latest.Edges[len(w.Server.Latest.Edges)-1]
			l.Client, l.Server = &telemetry.End{Kind: telemetry.ClientHTTP}, &telemetry.End{Kind: telemetry.ServerHTTP}
		}
	}
	return w
}

func usualEnd(kind telemetry.Kind) *telemetry.End {
	end := &telemetry.End{Kind: kind, Last: noon}
	for at := noon.Truncate(telemetry.Step).Add(-19 * telemetry.Step); !at.After(noon); at = at.Add(telemetry.Step) {
		end.Steps = append(end.Steps, telemetry.Stage{At: at, Requests: 100, Samples: 100, P50: 3, P95: 8})
	}
	return end
}

// edge are the two views of an edge "CALLER -> CALLEE".
func (w *ward) edge(t testing.TB, name string) (all, latest *serve.Edge) {
	t.Helper()
	for i := range w.Server.Edges.Edges {
		e := &w.Server.Edges.Edges[i]
		from, to, _ := strings.Cut(name, " -> ")
		if strings.HasSuffix(e.Caller, " "+from) && strings.HasSuffix(e.Callee, " "+to) {
			return e, &w.Server.Latest.Edges[i]
		}
	}
	t.Fatalf("the mesh has no edge %s", name)
	return nil, nil
}

// fails has half of the requests of now fail so.
func (w *ward) fails(t testing.TB, name string, status int, flags string) {
	t.Helper()
	all, latest := w.edge(t, name)
	for _, s := range lastSteps(all.Client) {
		if status == 0 || status >= 500 {
			s.Errors = 50
		}
	}
	latest.Client.Failures = append(latest.Client.Failures,
		telemetry.Failure{Status: status, GRPC: -1, Flags: flags, Requests: 100})
}

func (w *ward) denies(t testing.TB, name string) {
	t.Helper()
	all, _ := w.edge(t, name)
	for _, s := range lastSteps(all.Server) {
		s.Denied = 50
	}
}

func (w *ward) slows(t testing.TB, name string, ms float64) {
	t.Helper()
	all, _ := w.edge(t, name)
	for _, end := range []*telemetry.End{all.Client, all.Server} {
		for _, s := range lastSteps(end) {
			s.P50, s.P95 = ms, ms+5
		}
	}
}

// line has a route of a caller tell of requests and errors, before and now.
func (w *ward) line(t testing.TB, edge, route, version string, before, now, errors uint64) {
	t.Helper()
	all, latest := w.edge(t, edge)
	all.Client.Lines = append(all.Client.Lines, telemetry.Line{Name: route, Version: version, Requests: before + now})
	latest.Client.Lines = append(latest.Client.Lines,
		telemetry.Line{Name: route, Version: version, Requests: now, Errors: errors})
}

func lastSteps(end *telemetry.End) (out []*telemetry.Stage) {
	for i := len(end.Steps) - recentSteps; i < len(end.Steps); i++ {
		out = append(out, &end.Steps[i])
	}
	return out
}

// before has another spec be served until a minute ago.
func (w *ward) before(t testing.TB, text string) {
	t.Helper()
	w.Loaded = noon.Add(-20 * time.Second)
	w.Past = append(w.Past, Past{compiled(t, text), w.Loaded})
}

// after has another spec be served since a moment ago.
func (w *ward) after(t testing.TB, text string) {
	t.Helper()
	w.Loaded = noon.Add(-20 * time.Second)
	w.Past = append(w.Past, Past{w.Mesh, w.Loaded})
	w.Mesh = compiled(t, text)
}

// answersItself has a caller's proxy answer requests by a route with 410.
func (w *ward) answersItself(caller string, route telemetry.Line) {
	end := &telemetry.End{
		Kind: telemetry.ClientHTTP, Last: noon, Lines: []telemetry.Line{route},
		Failures: []telemetry.Failure{{Status: 410, GRPC: -1, Requests: route.Requests}},
	}
	e := serve.Edge{Caller: caller, Client: end}
	w.Server.Latest.Edges = append(w.Server.Latest.Edges, e)
	w.Server.Edges.Edges = append(w.Server.Edges.Edges, e)
}

// proxy is that of a service as the server tells of it.
func (w *ward) proxy(service string) *serve.Proxy {
	for i := range w.Server.Status.Proxies {
		if p := &w.Server.Status.Proxies[i]; p.Node == "service/"+service+"/a" {
			return p
		}
	}
	panic(service)
}

// moves has the list of a service change so often lately, each time by as many that come and that go of its instances.
func (w *ward) moves(service string, times, each, instances int) {
	for i := range times {
		w.Server.Recent.Moves[service] = append(w.Server.Recent.Moves[service], serve.Move{
			At: noon.Add(time.Duration(i-times) * time.Second / 2), Came: each, Went: each, Left: instances,
		})
	}
}

func (w *ward) callers(cluster string, hosts ...Host) {
	w.Proxies = append(w.Proxies, Proxy{
		Node: "service/web/a", Member: ir.ServiceRef("web"), Clusters: []Cluster{{Name: cluster, Hosts: hosts}},
	})
}

func hostAt(i int, zone string, requests, errors uint64) Host {
	grown := Counts{Requests: requests, Errors: errors}
	return Host{Address: fmt.Sprintf("10.0.0.%d", i), Zone: zone, Healthy: true, Grown: grown}
}

// wardLine is where a text stands in the spec.
func wardLine(text string) string {
	i := strings.Index(shop, text)
	if i < 0 {
		panic(text)
	}
	return fmt.Sprintf("mesh.cue:%d", 1+strings.Count(shop[:i], "\n"))
}
