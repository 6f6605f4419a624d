package local

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const bounded = `package bounded

mesh: {
	name: "bounded"
	trustDomain: "bounded.example"
	defaults: connections: connectTimeout: "700ms"
}

services: client: {
	workload: deployment: "client"
	uses: {many: {}, pending: {}, open: {}, used: connections: maxRequests: 1, idle: {}, failing: {}}
	uses: {queued: {}, twice: {}}
}
services: second: {workload: deployment: "second", uses: {open: {}, queued: {}}}
services: [!~"^(client|second)$"]: {
	ports: main: protocol: *"http" | string
	allow: *[{from: services: ["client"]}] | [{from: services: ["client", "second"]}]
}
services: many: {workload: deployment: "many", ports: main: port: 8081, connections: maxRequests: 2}
services: pending: {workload: deployment: "pending", ports: main: port: 8082, connections: maxPending: 1}
services: open: {
	workload: deployment: "open"
	ports: main: {port: 8083, protocol: "tcp"}
	connections: max: 2
	allow: [{from: services: ["client", "second"]}]
}
services: twice: {
	workload: deployment: "twice"
	ports: main: port: 8088
	versions: {a: labels: version: "a", b: labels: version: "b"}
	connections: maxRequests: 2
}
services: queued: {
	workload: deployment: "queued"
	ports: main: port: 8087
	allow: [{from: services: ["client", "second"]}]
	connections: {max: 2, maxPending: 1}
	probes: [{port: 8087, http: path: "/healthz"}]
}
services: used: {workload: deployment: "used", ports: main: port: 8084, connections: maxRequests: 2}
services: idle: {
	workload: deployment: "idle"
	ports: main: port: 8085
	connections: {idleTimeout: "500ms", keepalive: {time: "321s", interval: "5s", probes: 3}}
}
services: failing: {
	workload: deployment: "failing"
	ports: main: port: 8086
	versions: {a: labels: version: "a", b: labels: version: "b"}
	outliers: {consecutive5xx: 3, interval: "100ms", ejectFor: "1s"}
}
`

// Connections, requests and the time to open a connection are bounded, as the nearest
// to the caller says.
//
// Field: connections
func TestConnections(t *testing.T) {
	mesh := start(t, inline(t, map[string]string{"mesh.cue": bounded}))
	c := mesh.As("client").Client()

	t.Run("maxRequests", func(t *testing.T) {
		for name, at := range map[string]struct {
			port, most int
		}{"many": {8081, 2}, "used": {8084, 1}} { // the nearest to the caller wins
			if ok, full := together(t, c, 4, fmt.Sprintf("http://%s:%d/?delay=700ms", name, at.port)); ok != at.most ||
				full != 4-at.most {
				t.Errorf("%s: of 4 requests %d were answered and %d refused", name, ok, full)
			}
		}
	})
	t.Run("maxPending and connectTimeout", func(t *testing.T) {
		envoy := mesh.proxies["service/pending/a"].cmd.Process
		if err := envoy.Signal(syscall.SIGSTOP); err != nil { // the kernel takes connections, and nobody shakes hands
			t.Fatal(err)
		}
		eventually(t, "the proxy's standstill", func() bool { return stopped(t, envoy.Pid) })
		begun := time.Now()
		ok, refused := together(t, c, 3, "http://pending:8082/")
		took := time.Since(begun)
		if err := envoy.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		if ok != 0 || refused != 3 || took < 680*time.Millisecond || took > 5*time.Second {
			t.Errorf("%d answered and %d refused after %s", ok, refused, took)
		}
		if n := counted(t, mesh, "service/client/a",
			`^cluster\.pending_default\|main\.upstream_rq_pending_overflow$`); n != 2 {
			t.Errorf("%d requests were not let wait, want 2", n)
		}
	})
	t.Run("max", func(t *testing.T) {
		answered := 0
		for i := range 5 {
			conn, err := mesh.As([]string{"client", "second"}[i%2]).Dial(t.Context(), "open:8083")
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, "hello\n") // the proxy may have closed it
			if line, err := bufio.NewReader(conn).ReadString('\n'); err == nil && line != "" {
				answered++
			}
		}
		if answered != 2 {
			t.Errorf("%d of 5 connections of two callers were let through to the application", answered)
		}
	})
	t.Run("max of requests", func(t *testing.T) { connectionsToTheApplication(t, mesh) })
	t.Run("what a bound refuses ejects nobody", func(t *testing.T) {
		if ok, full := together(t, c, 20, "http://twice:8088/?delay=700ms"); ok != 2 || full != 18 {
			t.Errorf("of 20 requests %d were answered and %d refused", ok, full)
		}
		if n := counted(t, mesh, "service/client/a",
			`^cluster\.(twice|many|used|queued)_.*ejections_enforced_total$`); n != 0 {
			t.Errorf("%d instances were ejected", n)
		}
	})
	t.Run("idleTimeout and keepalive", func(t *testing.T) {
		p := mesh.Placed().Service("idle").Workload.Endpoints[0]
		// Right after a request the kernel may have another timer on the connection.
		eventually(t, "a connection that is kept alive", func() bool {
			get(t, c, "http://idle:8085/")
			return keptAlive(t, p.Address, p.Ports["main"]) > 0
		})
		other := mesh.Placed().Service("many").Workload.Endpoints[0]
		if n := keptAlive(t, other.Address, other.Ports["main"]); n != 0 {
			t.Error("connections to another service are kept alive")
		}
		eventually(t, "the end of the idle connection", func() bool {
			return counted(t, mesh, "service/client/a", `^cluster\.idle_default\|main\.upstream_cx_active$`) == 0
		})
	})
}

// connectionsToTheApplication has an application with two connections at most, of whose requests one may wait, asked by
// two callers and probed. Users' reports: istio/istio#28666 and kumahq/kuma#8086 (bounds that hold at the callers
// alone), envoyproxy/envoy#20020 (a probe that the bound refuses), envoyproxy/envoy#25487 (instances that are ejected
// for it).
func connectionsToTheApplication(t *testing.T, mesh *Mesh) {
	const most, inLine, above = 2, 2 + 1, 20
	inFlight, end := make(chan string, 100), make(chan struct{})
	stop := play(t, mesh, "queued", "a", func(_ http.ResponseWriter, r *http.Request) {
		inFlight <- r.URL.Path
		if r.URL.Path != "/healthz" {
			<-end
		}
	})
	defer stop()
	answers := make(chan int, 100)
	ask := func(n int) {
		for i := range n {
			client := mesh.As([]string{"client", "second"}[i%2]).Client()
			go func() {
				a, err := trySend(t.Context(), client, http.MethodPost, "http://queued:8087/")
				if err != nil {
					t.Errorf("%v", err)
				}
				answers <- a.status
			}()
		}
	}
	ask(most)
	for range most {
		<-inFlight
	}
	ask(inLine)
	eventually(t, "requests that wait", func() bool {
		return counted(t, mesh, "service/queued/a",
			`^cluster\.inbound\|main\.circuit_breakers\.default\.rq_pending_open$`) == 1
	})
	ask(above)
	for range above {
		if status := <-answers; status != http.StatusServiceUnavailable {
			t.Errorf("a request above the bounds: %d", status)
		}
	}
	probe := "http://" + inbound(mesh, "queued", "main") + "/healthz"
	if a := send(t, http.DefaultClient, http.MethodGet, probe); a.status != http.StatusOK {
		t.Errorf("a probe of a busy application: %d", a.status)
	}
	if path := <-inFlight; path != "/healthz" || len(inFlight) != 0 {
		t.Errorf("%s and %d more requests came beside those that the bound allows", path, len(inFlight))
	}
	close(end)
	for range most + inLine {
		if status := <-answers; status != http.StatusOK {
			t.Errorf("a request that waited: %d", status)
		}
	}
}

// An instance that fails three times in a row is left alone for a second.
//
// Field: outliers
func TestOutliers(t *testing.T) {
	mesh := start(t, inline(t, map[string]string{"mesh.cue": bounded}))
	c := mesh.As("client").Client()
	ask := func() answer { return send(t, c, http.MethodGet, "http://failing:8086/") }
	ejected := func() uint64 {
		return counted(t, mesh, "service/client/a",
			`^cluster\.failing_default\|main\.outlier_detection\.ejections_active$`)
	}
	both := map[string]bool{}
	eventually(t, "answers of both", func() bool {
		both[ask().report.Version] = true
		return len(both) == 2
	})
	mesh.Backend("failing", "a").Close()
	failed := 0
	eventually(t, "the ejection", func() bool {
		if ask().report == nil {
			failed++
		}
		return ejected() == 1
	})
	if failed < 3 || failed > 4 {
		t.Errorf("%d requests failed before the ejection, want 3", failed)
	}
	since := time.Now()
	for range 20 {
		if a := ask(); a.report == nil && time.Since(since) < 900*time.Millisecond {
			t.Fatalf("ejected, and asked: %d %s", a.status, a.body)
		}
	}
	eventually(t, "its return", func() bool { return ask().report == nil })
	if back := time.Since(since); back < 900*time.Millisecond {
		t.Errorf("it was back after %s", back)
	}
}

// together sends n requests at once.
func together(t *testing.T, c *http.Client, n int, url string) (ok, refused int) {
	t.Helper()
	var done sync.WaitGroup
	answers := make([]int, n)
	for i := range n {
		done.Go(func() {
			if a, err := trySend(t.Context(), c, http.MethodGet, url); err == nil {
				answers[i] = a.status
			}
		})
	}
	done.Wait()
	for _, status := range answers {
		switch status {
		case http.StatusOK:
			ok++
		case http.StatusServiceUnavailable:
			refused++
		}
	}
	return ok, refused
}

// keptAlive counts the connections to that address whose timer is that of TCP
// keepalive, with more than 300 seconds and less than 322 to go (Linux,
// Documentation/networking/proc_net_tcp.rst).
func keptAlive(t *testing.T, address string, port uint16) (n int) {
	t.Helper()
	data, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	var a, b, c, d int
	if _, err := fmt.Sscanf(address, "%d.%d.%d.%d", &a, &b, &c, &d); err != nil {
		t.Fatal(err)
	}
	remote := fmt.Sprintf("%02X%02X%02X%02X:%04X", d, c, b, a, port)
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) < 6 || fields[2] != remote {
			continue
		}
		var timer, ticks int
		if _, err := fmt.Sscanf(fields[5], "%x:%x", &timer, &ticks); err == nil && timer == 2 && ticks > 300*100 &&
			ticks < 322*100 {
			n++
		}
	}
	return n
}

// stopped reports whether every thread of a process is stopped (proc(5), state T): a
// signal takes a moment to reach those that run.
func stopped(t *testing.T, pid int) bool {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(threads) == 0 {
		t.Fatalf("process %d has no threads: %v", pid, err)
	}
	for _, name := range threads {
		data, err := os.ReadFile(name)
		if err != nil {
			return false // it ended
		}
		if _, state, _ := strings.Cut(string(data), ") "); !strings.HasPrefix(state, "T") {
			return false
		}
	}
	return true
}
