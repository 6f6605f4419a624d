package local

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render"
)

// answered counts the requests that get through before the first that is refused.
func answered(t *testing.T, c *http.Client, url string) int {
	t.Helper()
	for n := range 50 {
		switch a := send(t, c, http.MethodGet, url); a.status {
		case http.StatusOK:
		case http.StatusTooManyRequests:
			return n
		default:
			t.Fatalf("%s: %d %s", url, a.status, a.body)
		}
	}
	return 50
}

// Requests beyond the bound are answered with 429 and do not reach the application.
//
// Field: rateLimit
func TestRateLimit(t *testing.T) {
	if n := answered(t, client(t), "http://limited:8080/"); n != 3 {
		t.Errorf("%d requests got through, want 3", n)
	}
	if n := seen(trafficMesh(t).Backend("limited", "a"), "/"); len(n) != 3 {
		t.Errorf("the application saw %d requests", len(n))
	}
}

// Who has used none for a while may send burst more; then there are as many in
// each period.
//
// Field: rateLimit.burst
// Field: rateLimit.per
func TestRateLimitRefills(t *testing.T) {
	const url = "http://limited-burst:8080/"
	if n := answered(t, client(t), url); n < 7 || n > 10 { // a period may end in between
		t.Errorf("%d requests got through at first, want 7", n)
	}
	begun := time.Now()
	eventually(t, "leave for more",
		func() bool { return send(t, client(t), http.MethodGet, url).status == http.StatusOK })
	if took := time.Since(begun); took > 600*time.Millisecond {
		t.Errorf("it took %s", took)
	}
}

// Each caller has the bound for itself.
//
// Field: rateLimit.by
func TestRateLimitByCaller(t *testing.T) {
	const url = "http://limited-caller:8080/"
	for _, caller := range []string{"client", "other"} {
		if n := answered(t, trafficMesh(t).As(caller).Client(), url); n != 3 {
			t.Errorf("%d requests of %s got through, want 3", n, caller)
		}
	}
}

// A calling proxy bounds the requests of one route.
//
// Field: rateLimit
func TestRateLimitOfRoute(t *testing.T) {
	if n := answered(t, client(t), "http://limited-route:8080/limited/"); n != 3 {
		t.Errorf("%d requests got through, want 3", n)
	}
	if n := answered(t, client(t), "http://limited-route:8080/free/"); n != 50 {
		t.Errorf("another route refused after %d", n)
	}
}

// Calls of gRPC beyond the bound get RESOURCE_EXHAUSTED.
//
// Field: rateLimit
func TestRateLimitOfGRPC(t *testing.T) {
	conn, err := trafficMesh(t).As("client").GRPC("limited-grpc:8080")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	health := grpc_health_v1.NewHealthClient(conn)
	if _, err := health.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Error(err)
	}
	if _, err := health.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); status.Code(
		err) != codes.ResourceExhausted {
		t.Errorf("the second: %v", err)
	}
}

const limitedByAll = `package counted

mesh: {name: "counted", trustDomain: "counted.example", rateLimit: {service: "ratelimit", timeout: "1s"%s}}

services: client: {
	workload: deployment: "client"
	uses: {all: {}, callers: {}, routes: {}}
}
services: other: {
	workload: deployment: "other"
	uses: callers: {}
}
services: [=~"all|callers|routes"]: {
	versions: {a: labels: version: "a", b: labels: version: "b"}
	loadBalancer: policy: "round-robin"
}
services: {
	all: {workload: deployment: "all", ports: http: {port: 8081, protocol: "http"}, allow: [{from: services: ["client"]}]
		rateLimit: {requests: 5, per: "24h", global: true}}
	callers: {workload: deployment: "callers", ports: http: {port: 8082, protocol: "http"}, allow: [{from: services: ["client", "other"]}]
		rateLimit: {requests: 4, per: "24h", by: "caller", global: true}}
	routes: {workload: deployment: "routes", ports: http: {port: 8083, protocol: "http"}, allow: [{from: services: ["client"]}]
		routes: [{name: "narrow", match: path: prefix: "/narrow/", rateLimit: {requests: 2, per: "24h", global: true}}]}
	ratelimit: {
		workload: deployment: "ratelimit"
		ports: grpc: {port: 8084, protocol: "grpc"}
		allow: [{from: {services: ["client", "all", "callers"], gateways: ["edge"]}}]
	}
	behind: {workload: deployment: "behind", ports: http: {port: 8085, protocol: "http"}, allow: [{from: gateways: ["edge"]}]}
}
gateways: edge: {
	listeners: {plain: port: 8080, other: {port: 8081, clientIPDetection: numTrustedHops: 1}}
	routes: [{name: "all", to: [{service: "behind"}]}]
	uses: behind: {}
	rateLimits: {
		all: {requests: 9, per: "24h", global: true}
		client: {requests: 5, per: "24h", by: "address", global: true}
		tenant: {requests: 3, per: "24h", header: "x-tenant", global: true}
	}
	silence: MC1774: "the test's own"
}
`

// The real rate limit service counts the requests to all instances; without it
// requests are let through, or refused, as written.
//
// Field: rateLimit.global
// Field: rateLimits.global
// Field: mesh.rateLimit
func TestRateLimitGlobal(t *testing.T) {
	linked := inline(t, map[string]string{"mesh.cue": fmt.Sprintf(limitedByAll, "")})
	mesh := start(t, linked)
	stop := startRateLimit(t, mesh, linked)
	c := mesh.As("client").Client()
	for url, want := range map[string]int{
		"http://all:8081/": 5, "http://callers:8082/": 4,
		"http://routes:8083/narrow/a": 2, "http://routes:8083/other": 50,
	} {
		if n := answered(t, c, url); n != want {
			t.Errorf("%s: %d requests got through, want %d", url, n, want)
		}
	}
	if n := answered(t, mesh.As("other").Client(), "http://callers:8082/"); n != 4 {
		t.Errorf("another caller: %d requests got through, want 4", n)
	}
	countsClientsGlobally(t, mesh)
	stop()
	if n := answered(t, c, "http://all:8081/"); n != 50 {
		t.Errorf("without the service, open: refused after %d", n)
	}
	if err := mesh.Update(t.Context(),
		inline(t, map[string]string{"mesh.cue": fmt.Sprintf(limitedByAll, ", failClosed: true")})); err != nil {
		t.Fatal(err)
	}
	mesh.Backend("ratelimit", "a").Close()
	eventually(t, "a refusal", func() bool {
		return send(t, c, http.MethodGet, "http://all:8081/").status == http.StatusServiceUnavailable
	})
}

// countsClientsGlobally wants the bounds of a gateway to hold over its listeners: of all values of a header, and of
// requests without it; of all clients; and of all requests, of which the service counts those too that it refuses for
// another bound.
func countsClientsGlobally(t *testing.T, mesh *Mesh) {
	t.Helper()
	listeners := mesh.Gateway("edge").Listeners
	for i, c := range []struct {
		listener, from string
		headers        []string
		status         int
	}{
		{"plain", "127.0.0.61", []string{"x-tenant", "a"}, 200},
		{"other", "127.0.0.60", []string{"x-tenant", "a", "x-forwarded-for", "127.0.0.61"}, 200},
		{"plain", "127.0.0.62", []string{"x-tenant", "a"}, 200},
		{"plain", "127.0.0.62", []string{"x-tenant", "a"}, 429},
		{"plain", "127.0.0.61", nil, 200},
		{"plain", "127.0.0.61", []string{"x-tenant", "b"}, 200},
		{"other", "127.0.0.60", []string{"x-tenant", "c", "x-forwarded-for", "127.0.0.61"}, 200},
		{"plain", "127.0.0.61", []string{"x-tenant", "c"}, 429},
		{"plain", "127.0.0.63", nil, 200},
		{"plain", "127.0.0.64", nil, 429},
	} {
		a := overProtocol(t, "HTTP/1.1", listeners[c.listener], c.from, "GET", "x.example", "/", c.headers)
		if a.status != c.status {
			t.Errorf("request %d of the gateway: %d, want %d", i, a.status, c.status)
		}
	}
}

// startRateLimit puts the real rate limit service in the place of the backend.
func startRateLimit(t *testing.T, mesh *Mesh, linked *ir.Mesh) (stop func()) {
	t.Helper()
	mesh.Backend("ratelimit", "a").Close()
	dir := t.TempDir()
	files, err := render.Files(linked)
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "limits", "config")
	if err := os.MkdirAll(config, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if filepath.Dir(f.Path) == "ratelimit" {
			if err := os.WriteFile(filepath.Join(config, filepath.Base(f.Path)), f.Data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	socket := filepath.Join(dir, "redis")
	background(t, mesh, exec.Command("redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--dir", dir),
		nil)
	eventually(t, "redis", func() bool {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	instance := mesh.Placed().Service("ratelimit").Workload.Endpoints[0]
	grpc := instance.Targets["grpc"]
	service := exec.Command(filepath.Join("..", "..", ".tools", "ratelimit"))
	service.Env = append(os.Environ(),
		"REDIS_SOCKET_TYPE=unix", "REDIS_URL="+socket, "USE_STATSD=false", "LOG_LEVEL=error",
		"RUNTIME_ROOT="+dir, "RUNTIME_SUBDIRECTORY=limits", "RUNTIME_WATCH_ROOT=false",
		"GRPC_HOST="+instance.Address, "GRPC_PORT="+strconv.Itoa(int(grpc)),
		"HOST="+instance.Address, "PORT="+strconv.Itoa(int(grpc)+1), "DEBUG_HOST="+instance.Address,
		"DEBUG_PORT="+strconv.Itoa(int(grpc)+2),
	)
	stop = background(t, mesh, service, nil)
	eventually(t, "the rate limit service", func() bool {
		conn, err := net.Dial("tcp", net.JoinHostPort(instance.Address, strconv.Itoa(int(grpc))))
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return stop
}

// background runs a program until the test ends or it is stopped, as that user
// where one is given.
func background(t *testing.T, mesh *Mesh, command *exec.Cmd, as *syscall.Credential) (stop func()) {
	t.Helper()
	var said bytes.Buffer
	command.Stdout, command.Stderr = &said, &said
	if err := mesh.spawner.startAs(command, as); err != nil {
		t.Fatalf("%s: %v (README.md says what the tests need)", command.Path, err)
	}
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			_ = command.Process.Signal(syscall.SIGINT) // it may be gone already
			timer := time.AfterFunc(patience, func() { _ = command.Process.Kill() })
			_ = command.Wait()
			timer.Stop()
		}
		if t.Failed() {
			t.Logf("%s said: %s", command.Path, said.String())
		}
	}
	t.Cleanup(stop)
	return stop
}
