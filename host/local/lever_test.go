package local

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/meshc/meshc/serve"
	"github.com/meshc/meshc/serve/lever"
)

const leverMesh = `package shop

mesh: {
	name: "shop", trustDomain: "shop.example"
	silence: {MC1307: "-", MC1701: "-", MC1704: "-"}
	operators: identities: ["spiffe://shop.example/ns/ops/sa/oncall"]
}
services: {
	oncall: {namespace: "ops", workload: deployment: "oncall"}
	batch: {namespace: "shop", workload: deployment: "batch", uses: {server: {}, bytes: {}}}
	client: {namespace: "shop", workload: deployment: "client", uses: {
		server: retries: {attempts: 2, on: ["5xx"]}
		other: {}
	}}
	server: {
		namespace: "shop"
		workload: deployment: "server"
		ports: http: {port: 8080, protocol: "http"}
		allow: [{from: services: ["client", "batch"]}]
	}
	other: {
		namespace: "shop"
		workload: deployment: "other"
		ports: http: {port: 8081, protocol: "http"}
		allow: [{from: services: ["client"]}]
	}
	bytes: {
		namespace: "shop"
		workload: deployment: "bytes"
		ports: bytes: {port: 9000, protocol: "tcp"}
		allow: [{from: services: ["batch"]}]
	}
}
`

// pulled has an operator pull a lever, which all proxies must take in time.
func pulled(t *testing.T, m *Mesh, r serve.LeverRequest) *serve.LeverAnswer {
	t.Helper()
	begun := time.Now()
	answer, err := operator(t, m, "ops/oncall").Lever(t.Context(), &r)
	if err != nil {
		t.Fatal(err)
	}
	if len(answer.Behind) > 0 || answer.Proxies == 0 {
		t.Fatalf("%+v: after %v %d proxies are concerned, and behind are %v", r, time.Since(begun), answer.Proxies,
			answer.Behind)
	}
	return answer
}

// leverFor is a lever that lasts that long.
func leverFor(id string, kind lever.Kind, lasts time.Duration) *lever.Lever {
	return &lever.Lever{ID: id, Kind: kind, Reason: "a test", Until: time.Now().Add(lasts)}
}

// flow sends requests one after the other, until it is ended, and counts their statuses.
type flow struct {
	ok, refused, others atomic.Int64
	end                 func()
}

func flowing(t *testing.T, m *Mesh, from, url string) *flow {
	t.Helper()
	f := &flow{}
	ctx, cancel := context.WithCancel(t.Context())
	client := m.As(from).Client()
	var sending sync.WaitGroup
	sending.Go(func() {
		for ; ctx.Err() == nil; time.Sleep(poll) {
			switch a, err := trySend(context.WithoutCancel(ctx), client, http.MethodGet, url); {
			case err != nil:
				f.others.Add(1)
			case a.status == http.StatusOK:
				f.ok.Add(1)
			case a.status == http.StatusServiceUnavailable:
				f.refused.Add(1)
			default:
				f.others.Add(1)
			}
		}
	})
	f.end = sync.OnceFunc(func() { cancel(); sending.Wait() })
	t.Cleanup(f.end)
	return f
}

// TestShedUnderLoad refuses one caller's requests, under load, for a time: others' go on, nothing else is lost, and it
// ends by itself although the server was gone long before. Consul's maintenance mode has no such end, and stays on
// (hashicorp/consul#345).
func TestShedUnderLoad(t *testing.T) {
	t.Parallel() // it waits more than it works
	m := start(t, inline(t, map[string]string{"mesh.cue": leverMesh}))
	shed, kept := flowing(t, m, "batch", "http://server:8080/a"), flowing(t, m, "client", "http://server:8080/b")
	before := listenersOf(t, m)
	eventually(t, "requests are answered", func() bool { return shed.ok.Load() > 20 && kept.ok.Load() > 20 })
	one := leverFor("1", lever.Shed, 30*time.Second)
	one.Percent = 100
	answer := pulled(t, m, serve.LeverRequest{Pull: one, From: "batch", To: "server"})
	if want := []string{"service batch: its proxies answer 503 to 100 % of the requests to service server"}; !slices.Equal(
		answer.Effects, want) || answer.Permanent !=
		`// delete services: "batch": uses: "server", and service batch from services: "server": allow` {
		t.Errorf("it says %q and %q", answer.Effects, answer.Permanent)
	}
	allowed := shed.ok.Load()
	eventually(t, "the caller is refused", func() bool { return shed.refused.Load() > 20 })
	if more := shed.ok.Load() - allowed; more > 1 { // one may have been on its way
		t.Errorf("%d requests got through after all proxies had taken it", more)
	}
	if after := listenersOf(t, m); after != before {
		t.Errorf("listeners changed: %s, before %s", after, before)
	}
	if err := m.control.stop(); err != nil { // nobody is there to end it
		t.Fatal(err)
	}
	m.control = nil
	if time.Now().After(one.Until) {
		t.Fatal("this machine is too slow: the server was there until the end")
	}
	refused := shed.ok.Load()
	for shed.ok.Load() < refused+20 {
		switch left := time.Until(one.Until); {
		case left > 0 && shed.ok.Load() > refused:
			t.Fatalf("a request got through %v before its end", left)
		case left < -30*time.Second:
			t.Fatal("the caller is refused 30 seconds after its end")
		}
		time.Sleep(poll)
	}
	shed.end()
	kept.end()
	if shed.others.Load() > 0 || kept.others.Load() > 0 || kept.refused.Load() > 0 {
		t.Errorf("lost: %d of the caller; %d refused and %d lost of another", shed.others.Load(), kept.refused.Load(),
			kept.others.Load())
	}
}

// TestRetriesOff has failures sent on at once, where they were tried again, to one callee and to all.
func TestRetriesOff(t *testing.T) {
	m := start(t, inline(t, map[string]string{"mesh.cue": leverMesh}))
	client := m.As("client").Client()
	tries := func(path string) int {
		send(t, client, http.MethodGet, "http://server:8080"+path)
		return len(seen(m.Backend("server", "a"), path))
	}
	if n := tries("/1?status=500"); n != 3 {
		t.Fatalf("%d tries, want 3", n)
	}
	for i, to := range []string{"server", ""} {
		id := strconv.Itoa(i)
		pulled(t, m, serve.LeverRequest{Pull: leverFor(id, lever.RetriesOff, time.Hour), From: "client", To: to})
		if n := tries("/off" + id + "?status=500"); n != 1 {
			t.Errorf("to %q: %d tries, want 1", to, n)
		}
		pulled(t, m, serve.LeverRequest{End: id})
		if n := tries("/on" + id + "?status=500"); n != 3 {
			t.Errorf("to %q: %d tries once it is ended, want 3", to, n)
		}
	}
}

// TestLimit bounds what a caller has in flight; a proxy that is started meanwhile has the bound, too. Connections below
// HTTP are refused.
func TestLimit(t *testing.T) {
	m := start(t, inline(t, map[string]string{"mesh.cue": leverMesh}))
	limit := leverFor("limit", lever.Limit, time.Hour)
	limit.Requests = 2
	pulled(t, m, serve.LeverRequest{Pull: limit, From: "batch", To: "server"})
	atOnce := func(from string) (ok, refused int) {
		return together(t, m.As(from).Client(), 8, "http://server:8080/?delay=1s")
	}
	for _, again := range []bool{false, true} {
		if again {
			restart(t, m, "service/batch/a")
			eventually(t, "a proxy that was started again has the bound", func() bool {
				_, refused := atOnce("batch")
				return refused > 0
			})
		}
		if ok, refused := atOnce("batch"); ok < 2 || refused < 1 || ok+refused != 8 {
			t.Errorf("again %v: %d answered and %d refused, want 2 at once", again, ok, refused)
		}
		if ok, _ := atOnce("client"); ok != 8 {
			t.Errorf("%d of another caller's requests are answered, want 8", ok)
		}
	}
	shed := leverFor("shed", lever.Shed, time.Hour)
	shed.Percent = 100
	someBytes(t, m, "batch", "bytes:9000")
	pulled(t, m, serve.LeverRequest{Pull: shed, To: "bytes"})
	conn, err := m.As("batch").Dial(t.Context(), "bytes:9000")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if n, err := io.ReadAll(conn); len(n) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a connection is let through: %q %v", n, err)
	}
	pulled(t, m, serve.LeverRequest{End: "shed"})
	someBytes(t, m, "batch", "bytes:9000")
}

// TestFreezeUnderLoad keeps the rules that proxies have while changes are frozen, under load, and has the change taken
// when the lever ends; nothing is lost meanwhile.
func TestFreezeUnderLoad(t *testing.T) {
	m := start(t, inline(t, map[string]string{"mesh.cue": leverMesh}))
	denied, kept := flowing(t, m, "batch", "http://server:8080/a"), flowing(t, m, "client", "http://server:8080/b")
	freeze := serve.LeverRequest{Pull: leverFor("1", lever.Freeze, time.Hour)}
	if _, err := operator(t, m, "ops/oncall").Lever(t.Context(), &freeze); err != nil {
		t.Fatal(err)
	}
	changed, err := m.placement.Place(inline(t, map[string]string{"mesh.cue": strings.Replace(leverMesh,
		`allow: [{from: services: ["client", "batch"]}]`,
		`allow: [{from: services: ["client", "batch"]}], deny: [{from: services: ["batch"], methods: ["GET"]}]`, 1)}))
	if err == nil {
		err = m.serve(changed, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	before := denied.ok.Load()
	eventually(t, "requests go on", func() bool { return denied.ok.Load() > before+200 })
	if waiting := m.control.server.Status().Waiting; denied.others.Load() > 0 ||
		!strings.HasPrefix(waiting, "changes are frozen until ") {
		t.Errorf("%d requests were denied while changes are frozen, and the server says %q", denied.others.Load(), waiting)
	}
	if _, err := operator(t, m, "ops/oncall").Lever(t.Context(), &serve.LeverRequest{End: "1"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the changed rules hold", func() bool { return denied.others.Load() > 20 })
	denied.end()
	kept.end()
	if denied.refused.Load() > 0 || kept.refused.Load() > 0 || kept.others.Load() > 0 {
		t.Errorf("lost: %d; %d and %d of another caller", denied.refused.Load(), kept.refused.Load(), kept.others.Load())
	}
}

// TestOpenUnderLoad lets one caller's requests to one path in, under load, for a time: other paths, and other callers,
// stay denied, no allowed request is lost, and it ends by itself although the server was gone long before.
func TestOpenUnderLoad(t *testing.T) {
	t.Parallel() // it waits more than it works
	closed := strings.Replace(leverMesh, `allow: [{from: services: ["client", "batch"]}]`,
		`allow: [{from: services: ["client", "batch"], paths: ["/a"]}]`, 1)
	closed = strings.Replace(closed, `allow: [{from: services: ["batch"]}]`,
		`allow: [{from: {services: ["batch"], ipRanges: ["192.0.2.0/24"]}}]`, 1)
	m := start(t, inline(t, map[string]string{"mesh.cue": closed}))
	kept, denied := flowing(t, m, "batch", "http://server:8080/a"), flowing(t, m, "batch", "http://server:8080/open/not")
	open, other := flowing(t, m, "batch", "http://server:8080/open/b"), flowing(t, m, "client", "http://server:8080/open/b")
	eventually(t, "requests are answered, or denied", func() bool {
		return kept.ok.Load() > 20 && denied.others.Load() > 20 && open.others.Load() > 20 && other.others.Load() > 20
	})
	if letsBytesIn(t, m, "batch", "bytes:9000") {
		t.Error("a connection from another address is let in")
	}
	one := leverFor("1", lever.Open, 30*time.Second)
	below := *one
	below.ID = "2"
	pulled(t, m, serve.LeverRequest{Pull: &below, From: "batch", To: "bytes"})
	someBytes(t, m, "batch", "bytes:9000")
	one.Path, one.Method, one.Until = "/open/b", http.MethodGet, one.Until.Truncate(time.Second)
	answer := pulled(t, m, serve.LeverRequest{Pull: one, From: "batch", To: "server"})
	if want := "service server: its proxies let in from service batch: GET requests for /open/b on port http"; answer.
		Effects[0] != want || answer.Proxies != 1 || !strings.HasSuffix(answer.Permanent,
		`{from: services: ["batch"], methods: ["GET"], paths: ["/open/b"]},`) {
		t.Errorf("%d proxies, and it says %q and %q", answer.Proxies, answer.Effects, answer.Permanent)
	}
	refused := open.others.Load()
	eventually(t, "the caller is let in", func() bool { return open.ok.Load() > 20 })
	if more := open.others.Load() - refused; more > 1 { // one may have been on its way
		t.Errorf("%d requests were denied after all proxies had taken it", more)
	}
	if err := m.control.stop(); err != nil { // nobody is there to end it
		t.Fatal(err)
	}
	m.control = nil
	if time.Now().After(one.Until) {
		t.Fatal("this machine is too slow: the server was there until the end")
	}
	refused = open.others.Load()
	for open.others.Load() == refused {
		if time.Since(one.Until) > 30*time.Second {
			t.Fatal("the caller is let in 30 seconds after the end")
		}
		time.Sleep(poll)
	}
	if left := time.Until(one.Until); left > 0 {
		t.Errorf("a request was denied %v before the end", left)
	}
	if letsBytesIn(t, m, "batch", "bytes:9000") {
		t.Error("a connection is let in after the end")
	}
	let := open.ok.Load()
	eventually(t, "requests go on", func() bool { return open.others.Load() > refused+20 })
	kept.end()
	if open.ok.Load() > let || denied.ok.Load() > 0 || other.ok.Load() > 0 || kept.others.Load() > 0 ||
		kept.refused.Load() > 0 {
		t.Errorf("let in: %d after the end, %d on another path, %d of another caller; lost: %d of those that are allowed",
			open.ok.Load()-let, denied.ok.Load(), other.ok.Load(), kept.others.Load()+kept.refused.Load())
	}
}

// letsBytesIn reports whether a connection below HTTP is answered, and not closed.
func letsBytesIn(t *testing.T, m *Mesh, from, to string) bool {
	t.Helper()
	conn, err := m.As(from).Dial(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, "x\n") // a port that refuses may close it before
	n, err := conn.Read(make([]byte, 10))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("a connection is neither answered nor closed")
	}
	return n > 0
}

// TestLeversAreForOperators refuses everybody else, and what is no lever.
func TestLeversAreForOperators(t *testing.T) {
	m := start(t, inline(t, map[string]string{"mesh.cue": leverMesh}))
	shed := leverFor("1", lever.Shed, time.Hour)
	shed.Percent = 100
	for _, account := range []string{"shop/client", "shop/server", "shop-system/meshc"} {
		_, err := operator(t, m, account).Lever(t.Context(), &serve.LeverRequest{Pull: shed, To: "server"})
		if err == nil || !strings.Contains(err.Error(), "is not an operator of the mesh shop") {
			t.Errorf("%s: %v", account, err)
		}
	}
	answer, err := operator(t, m, "ops/oncall").Lever(t.Context(),
		&serve.LeverRequest{Pull: shed, To: "server", DryRun: true})
	if err != nil || answer.Proxies != 2 || len(answer.Effects) != 2 || len(answer.Levers) > 0 {
		t.Errorf("a dry run: %+v %v", answer, err)
	}
	get(t, m.As("client").Client(), "http://server:8080/")
}
