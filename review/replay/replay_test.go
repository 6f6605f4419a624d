package replay_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/compiletest"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/review/replay"
)

const mesh = `package shop

mesh: {name: "shop", trustDomain: "shop.example", silence: {MC1307: "-", MC1701: "-", MC1704: "-"}, jwt: issuers: acc: {issuer: "https://acc.example", jwks: inline: "{\"keys\": []}"}}
services: {
	web: {
		workload: deployment: "web"
		uses: {pay: {}, data: {}}
	}
	bound: {
		workload: endpoints: [{address: "10.0.0.1"}]
		proxy: interception: "explicit"
		uses: pay: bind: "127.0.0.1:9101"
	}
	pay: {
		workload: deployment: "pay"
		ports: {http: {port: 8080, protocol: "http"}, grpc: {port: 8081, protocol: "grpc"}}
		allow: [
			{from: services: ["web", "bound"], ports: ["http"], paths: ["/s"]},
			{from: services: ["web"], ports: ["http"], paths: ["/o"], headers: "x-debug": exact: "yes"},
			{from: services: ["web"], ports: ["grpc"], paths: ["/a.B/C"]},
			{from: gateways: ["edge"], ports: ["http"]},
		]
	}
	data: {
		workload: deployment: "data"
		ports: sql: {port: 5432, protocol: "tcp"}
		allow: [{from: services: ["web"]}]
	}
}
gateways: edge: {
	listeners: {
		http: port: 80
		https: {port: 443, hosts: ["shop.example"], tls: secret: "shop-tls"}
	}
	routes: [
		{name: "ping", match: {host: "shop.example", path: exact: "/ping"}, directResponse: status: 204},
		{name: "all", match: {host: "shop.example", path: prefix: "/"}, to: [{service: "pay", port: "http"}]},
	]
	uses: pay: {}
}
`

// line is one of an access log, with what it has besides a caller and a callee in the namespace default.
func line(kind, caller, callee, port, more string) string {
	return fmt.Sprintf(`{"kind":%q,"caller":"spiffe://shop.example/ns/default/sa/%s","callee":%q,"server.port":%q,%s}`, kind,
		caller, callee, port, more)
}

func asked(method, host, path string, status int) string {
	return fmt.Sprintf(`"http.request.method":%q,"server.address":%q,"url.path":%q,"http.response.status_code":%d,"details":"via_upstream"`,
		method, host, path, status)
}

// unsaid is a change of the mesh, and lines of which some do not say enough to tell how their requests would end.
type unsaid struct {
	old, new string // in the mesh
	lines    []string
	then     map[replay.Change]int // with the mesh that logged the lines
	alone    map[replay.Change]int // without
}

func unsaidOf() map[string]unsaid {
	status := line("http.client", "web", "pay.default", "8080", asked("GET", "pay:8080", "/s", 200))
	debug := line("http.client", "web", "pay.default", "8080", asked("PUT", "pay:8080", "/o", 200))
	edge := line("http.client", "edge", "pay.default", "8080", asked("GET", "shop.example", "/", 200))
	ping := line("http.client", "edge", "", "", `"http.request.method":"GET","server.address":"shop.example",`+
		`"url.path":"/ping","http.response.status_code":204,"details":"direct_response"`)
	grpc := line("http.client", "web", "pay.default", "8081", asked("POST", "pay:8081", "/a.B/D", 200)+
		`,"rpc.grpc.status_code":"7","request.id":"1"`)
	refused := line("http.server", "web", "pay.default", "8081", asked("POST", "pay:8081", "/a.B/D", 200)+
		`,"rpc.grpc.status_code":"7","details":"rbac_access_denied_matched_policy[none]","request.id":"1"`)
	bound := line("http.client", "bound", "pay.default", "8080", asked("GET", "127.0.0.1:9101", "/s", 200))
	malformed := line("http.client", "web", "pay.default", "8080", strings.Replace(asked("GET", "pay:8080", "/a/b", 400),
		"via_upstream", "path_normalization_failed", 1))
	nothing := line("http.client", "web", "", "", `"http.response.status_code":400,"details":"http1.codec_error"`)
	opens, opened := line("tcp.client", "web", "data.default", "5432", `"flags":"-"`), line("tcp.server", "web",
		"data.default", "5432", `"flags":"-"`)
	return map[string]unsaid{
		"nothing": {
			lines: []string{status, debug, edge, ping, grpc, refused, bound, malformed, nothing, opens, opened, opened},
			then:  map[replay.Change]int{replay.Same: 10},
			alone: map[replay.Change]int{replay.Same: 9, replay.Undecided: 1},
		},
		"a token": {
			`ports: ["http"], paths: ["/s"]}`, `ports: ["http"], paths: ["/s"], jwt: issuer: "acc"}`,
			[]string{status},
			map[replay.Change]int{replay.Undecided: 1},
			map[replay.Change]int{replay.Undecided: 1},
		},
		"another value of a header": {
			`exact: "yes"`, `exact: "no"`,
			[]string{debug},
			map[replay.Change]int{replay.Undecided: 1},
			map[replay.Change]int{replay.Undecided: 1},
		},
		"a redirect at a listener": {
			"http: port: 80\n", `http: {port: 80, redirectTo: "https"}` + "\n",
			[]string{edge},
			map[replay.Change]int{replay.Undecided: 1},
			map[replay.Change]int{replay.Same: 1},
		},
		"no listener": {
			`https: {port: 443, hosts: ["shop.example"], tls: secret: "shop-tls"}`, "",
			[]string{edge},
			map[replay.Change]int{replay.Undecided: 1},
			map[replay.Change]int{replay.Same: 1},
		},
		"no answer by a route": {
			`directResponse: status: 204`, `to: [{service: "pay", port: "http"}]`,
			[]string{ping},
			map[replay.Change]int{replay.Routed: 1},
			map[replay.Change]int{replay.Routed: 1},
		},
		"an account": {
			`workload: deployment: "web"`, `workload: deployment: "web", account: "web2"`,
			[]string{status},
			map[replay.Change]int{replay.Same: 1},
			map[replay.Change]int{replay.Unknown: 1},
		},
		"a call of gRPC": {
			`"/a.B/C"`, `"/a.B/D"`,
			[]string{grpc, refused},
			map[replay.Change]int{replay.Allowed: 1},
			map[replay.Change]int{replay.Allowed: 1},
		},
		"a connection": {
			`allow: [{from: services: ["web"]}]`, `allow: [{from: {services: ["web"], ipRanges: ["192.0.2.0/24"]}}]`,
			[]string{opens, opened, opens},
			map[replay.Change]int{replay.Undecided: 2},
			map[replay.Change]int{replay.Undecided: 2},
		},
	}
}

// TestWhatALogDoesNotSay replays lines against a changed mesh: what cannot be told is told apart, and does not count as
// before.
func TestWhatALogDoesNotSay(t *testing.T) {
	for name, c := range unsaidOf() {
		then := compiletest.Compile(t, t.TempDir(), map[string]string{"mesh.cue": mesh})
		now := compiletest.Compile(t, t.TempDir(), map[string]string{"mesh.cue": strings.Replace(mesh, c.old, c.new, 1)})
		if then.Mesh == nil || now.Mesh == nil {
			t.Fatalf("%s: %v %v", name, then.Diagnostics, now.Diagnostics)
		}
		for base, want := range map[*ir.Mesh]map[replay.Change]int{then.Mesh: c.then, nil: c.alone} {
			r := replay.New(base, now.Mesh)
			for _, l := range c.lines {
				r.Add(l)
			}
			if got := r.Result(); !maps.Equal(got.Counts, want) {
				t.Errorf("%s, with the mesh of then %t: %v, want %v\n%+v", name, base != nil, got.Counts, want, got.Groups)
			}
		}
	}
}

// TestResultIsTheSame replays lines that differ in every field twice, and wants the same text of both.
func TestResultIsTheSame(t *testing.T) {
	now := compiletest.Compile(t, t.TempDir(), map[string]string{"mesh.cue": mesh})
	text := func() string {
		r := replay.New(nil, now.Mesh)
		for i := range 200 {
			r.Add(line("http.client", []string{"web", "gone", "edge"}[i%3], "pay.default", "8080",
				asked([]string{"GET", "PUT"}[i%2], []string{"pay:8080", "PAY:8080", "shop.example"}[i%3],
					fmt.Sprintf("/%d\\n\\u001b", i%7), []int{200, 403, 204}[i%3])))
		}
		var b strings.Builder
		if err := r.Result().Text(&b, 10); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	first := text()
	for range 5 {
		if again := text(); again != first {
			t.Fatalf("%s\nand then\n%s", first, again)
		}
	}
	if strings.Contains(first, "\x1b") {
		t.Error("it has an escape of terminals")
	}
}
