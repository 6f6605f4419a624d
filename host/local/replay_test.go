package local

import (
	"bufio"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/review/replay"
)

// replayed are two meshes between which rules and routes change, and of which both log everything. What a log has not,
// the header x-role, decides below /role alone, and there alike in both, but below /role/now.
const replayed = `package shop

mesh: {
	name: "shop", trustDomain: "shop.example"
	silence: {MC1307: "-", MC1701: "-", MC1702: "-", MC1704: "-"}
	telemetry: accessLog: when: "all"
}
services: {
	client: {namespace: "shop", workload: deployment: "client", uses: {server: {}, other: {}}}
	guest: {namespace: "shop", workload: deployment: "guest", uses: server: {}}
	server: {
		namespace: "shop"
		workload: deployment: "server"
		versions: {v1: labels: version: "v1", v2: labels: version: "v2"}
		ports: http: {port: 8080, protocol: "http"}
		ALLOW
		ROUTES
	}
	other: {
		namespace: "shop"
		workload: deployment: "other"
		ports: http: {port: 8080, protocol: "http"}
		allow: [{from: {services: ["client"], gateways: ["edge"]}}]
	}
}
gateways: edge: {
	namespace: "shop"
	listeners: http: port: 80
	routes: [
		EDGE
		{name: "all", match: {host: "shop.example", path: prefix: "/"}, to: [{service: "server", port: "http"}]},
	]
	uses: {server: {}, other: {}}
}
`

func replayedMesh(t *testing.T, allow, routes, edge string) *ir.Mesh {
	t.Helper()
	return inline(t, map[string]string{"mesh.cue": strings.NewReplacer("ALLOW", allow, "ROUTES", routes, "EDGE", edge).Replace(replayed)})
}

// replayedEnd is how a request ended: whether it was let in, and by which service and version.
type replayedEnd struct {
	status int
	by     string
}

func (e replayedEnd) let() bool { return e.status < 400 }

// replayedRequest is one of those that are sent to both meshes.
type replayedRequest struct {
	from, method, host, path, role string
}

func randomReplayed(r *rand.Rand) replayedRequest {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	q := replayedRequest{
		from: pick("client", "client", "guest", "edge"), method: pick("GET", "GET", "POST", "DELETE"),
		path: pick("/", "/a/1", "/a/2", "/b", "/b/x", "/admin/users", "/admin", "/role/then", "/role/now", "/moved/1", "/c%20d"),
		role: pick("", "admin", "none"), host: "server:8080",
	}
	switch {
	case q.from == "edge":
		q.host = pick("shop.example", "shop.example", "else.example")
	case q.from == "client" && r.IntN(4) == 0:
		q.host = "other:8080"
	}
	return q
}

// sentTo is how a mesh ends a request.
func (q *replayedRequest) sentTo(t *testing.T, m *Mesh) replayedEnd {
	t.Helper()
	client, url, headers := http.DefaultClient, "", []string{"host", q.host}
	if q.from == "edge" {
		url = m.Gateway("edge").URL + q.path
	} else {
		client, url = m.As(q.from).Client(), "http://"+q.host+q.path
	}
	if q.role != "" {
		headers = append(headers, "x-role", q.role)
	}
	a := send(t, client, q.method, url, headers...)
	e := replayedEnd{status: a.status}
	if a.report != nil {
		e.by = a.report.Service + " " + a.report.Version
	}
	return e
}

// TestReplayIsWhatEnvoysDo sends random requests to a mesh, replays what its proxies logged against another one, and
// sends the same requests there: as many are denied, let in and answered by others as the replay says.
func TestReplayIsWhatEnvoysDo(t *testing.T) {
	const rules = `{from: {services: ["client"], gateways: ["edge"]}, paths: ["/role/then"], headers: "x-role": exact: "admin"}`
	old := replayedMesh(t, `allow: [
			{from: {services: ["client"], gateways: ["edge"]}, paths: ["/", "/a/*", "/b", "/b/*", "/admin/*", "/moved/*", "/c%20d"]},
			{from: services: ["guest"], methods: ["GET"], paths: ["/a/*", "/b"]}, `+rules+`]`,
		`routes: [{name: "a", match: path: prefix: "/a/", to: [{service: "server", version: "v1"}]}]`, "")
	next := replayedMesh(t, `allow: [
			{from: {services: ["client"], gateways: ["edge"]}, paths: ["/", "/a/*", "/b", "/moved/*", "/c%20d"]},
			{from: services: ["guest"], paths: ["/a/*"]},
			{from: services: ["client"], paths: ["/role/now"], headers: "x-role": exact: "admin"}, `+rules+`]`,
		`routes: [{name: "a", match: path: prefix: "/a/", to: [{service: "server", version: "v2"}]}]`,
		`{name: "moved", match: {host: "shop.example", path: prefix: "/moved/"}, to: [{service: "other", port: "http"}]},`)
	m := start(t, old)
	r := rand.New(rand.NewPCG(1, 2))
	requests := make([]replayedRequest, 300)
	then, lines := make([]replayedEnd, len(requests)), 0
	for i := range requests {
		requests[i] = randomReplayed(r)
		then[i] = requests[i].sentTo(t, m)
		lines++
		if then[i].status != http.StatusNotFound || requests[i].from != "edge" || requests[i].host == "shop.example" {
			lines++ // at the callee
		}
	}
	after, now := start(t, next), make([]replayedEnd, len(requests))
	for i := range requests {
		now[i] = requests[i].sentTo(t, after)
	}
	for name, base := range map[string]*ir.Mesh{"against the log": nil, "against the mesh of then": old} {
		result := replayedLogs(t, m, base, next, lines)
		want := map[replay.Change]int{}
		for i := range requests {
			want[changeOf(&requests[i], then[i], now[i], base != nil)]++
		}
		if !maps.Equal(result.Counts, want) || result.Requests != len(requests) {
			t.Errorf("%s: of %d requests %v, want %v of %d", name, result.Requests, result.Counts, want, len(requests))
		}
	}
}

// changeOf is what a replay should say of a request that ended in two meshes.
func changeOf(q *replayedRequest, then, now replayedEnd, compared bool) replay.Change {
	reaches := q.host != "else.example" && q.from != "guest" && q.host != "other:8080"
	switch {
	case reaches && q.path == "/role/then" && !compared, reaches && q.path == "/role/now" && q.from == "client":
		return replay.Undecided
	case then.let() && !now.let():
		return replay.Denied
	case !then.let() && now.let():
		return replay.Allowed
	case then.let() && strings.HasPrefix(q.path, "/a/") && then.by != now.by, then.let() && service(then) != service(now):
		return replay.Routed
	}
	return replay.Same
}

// service is which service answered; of its versions any does where no route chooses one.
func service(e replayedEnd) string { return strings.Fields(e.by)[0] }

// replayedLogs waits for as many lines of requests, and replays them.
func replayedLogs(t *testing.T, m *Mesh, then, now *ir.Mesh, lines int) (result *replay.Result) {
	t.Helper()
	eventuallyRight(t, func() string {
		r, n := replay.New(then, now), 0
		for _, p := range m.sortedProxies() {
			f, err := os.Open(filepath.Join(m.Directory(), filepath.FromSlash(p.id), "envoy.log"))
			if err != nil {
				t.Fatal(err)
			}
			for s := bufio.NewScanner(f); s.Scan(); {
				if strings.HasPrefix(s.Text(), `{"`) && strings.Contains(s.Text(), `"kind"`) {
					n++
				}
				r.Add(s.Text())
			}
			f.Close()
		}
		if n < lines {
			return fmt.Sprintf("%d lines of %d are written", n, lines)
		}
		result = r.Result()
		return ""
	})
	return result
}
