package local

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/host/app"
)

const shopDir, hostsDir = "../../examples/shop", "../../examples/hosts"

// running is the shop that tests share which leave it as it was.
var running struct {
	sync.Mutex
	mesh *Mesh
}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, shared := range []*Mesh{running.mesh, traffic.mesh, ruled.mesh} {
		if shared == nil {
			continue
		}
		if err := shared.Stop(); err != nil {
			println("a shared mesh did not stop:", err.Error())
			code = 1
		}
	}
	// gRPC's xDS client never ends the watching of its certificates.
	if err := goleak.Find(goleak.IgnoreAnyFunction(
		"google.golang.org/grpc/credentials/tls/certprovider/pemfile.(*watcher).run")); err != nil && code == 0 {
		println("left behind:", err.Error())
		code = 1
	}
	os.Exit(code)
}

// sharedShop is a running examples/shop.
func sharedShop(t testing.TB) *Mesh {
	t.Helper()
	running.Lock()
	defer running.Unlock()
	if running.mesh == nil {
		running.mesh = startUntilStopped(t, compile(t, shopDir))
	}
	return running.mesh
}

// start runs a mesh until the test ends.
func start(t testing.TB, m *ir.Mesh) *Mesh {
	t.Helper()
	mesh := startUntilStopped(t, m)
	t.Cleanup(func() {
		if err := mesh.Stop(); err != nil {
			t.Error(err)
		}
	})
	return mesh
}

func startUntilStopped(t testing.TB, m *ir.Mesh) *Mesh {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	begun := time.Now()
	mesh, err := Start(ctx, Options{Mesh: m})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s is up after %s", m.Name, time.Since(begun).Round(time.Millisecond))
	return mesh
}

// compile is the linked mesh of a repository, which must have nothing wrong.
func compile(t testing.TB, dir string, tags ...string) *ir.Mesh {
	t.Helper()
	r, err := compiler.Compile(t.Context(), compiler.Options{Dir: dir, Tags: tags})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range r.Diagnostics {
		t.Errorf("%s: %v %s: %s", dir, d.Positions, d.Code, d.Message)
	}
	if r.Mesh == nil {
		t.FailNow()
	}
	return r.Mesh
}

// inline compiles a mesh that is written in a test: the files of its repository by
// name.
func inline(t testing.TB, files map[string]string) *ir.Mesh {
	t.Helper()
	return compile(t, laidOut(t, files))
}

// laidOut is a directory with a repository of those files.
func laidOut(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	all := maps.Clone(files)
	all["cue.mod/module.cue"] = "module: \"inline.example/mesh@v0\"\nlanguage: version: \"v0.17.0\"\n"
	for name, text := range all {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// answer is what came back for a request.
type answer struct {
	status int
	body   string
	report *app.Report // nil when the application did not answer
}

// send makes a request; headers are pairs of name and value.
func send(t testing.TB, c *http.Client, method, url string, headers ...string) answer {
	t.Helper()
	a, err := trySend(t.Context(), c, method, url, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func trySend(ctx context.Context, c *http.Client, method, url string, headers ...string) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return answer{}, err
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
		if headers[i] == "host" {
			r.Host = headers[i+1]
		}
	}
	response, err := c.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, err
	}
	return answerOf(response.StatusCode, body), nil
}

func answerOf(status int, body []byte) answer {
	a := answer{status: status, body: string(body)}
	var report app.Report
	if json.Unmarshal(body, &report) == nil && report.Service != "" {
		a.report = &report
	}
	return a
}

// get is a GET that must be answered by an application.
func get(t testing.TB, c *http.Client, url string, headers ...string) *app.Report {
	t.Helper()
	a := send(t, c, http.MethodGet, url, headers...)
	if a.status != http.StatusOK || a.report == nil {
		t.Fatalf("GET %s: %d %s", url, a.status, a.body)
	}
	return a.report
}

// listening listens at an address where somebody else has just ceased to: a process that another test starts meanwhile
// has that listener, too, until it runs its own program (fork(2), execve(2)).
func listening(address string) (l net.Listener, err error) {
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		l, err = net.Listen("tcp", address)
		if err == nil || !errors.Is(err, syscall.EADDRINUSE) || time.Now().After(deadline) {
			return l, err
		}
	}
}

// eventually waits until the condition holds, and fails the test when it does
// not in time.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	eventuallyRight(t, func() string {
		if holds() {
			return ""
		}
		return "it never came: " + what
	})
}

// eventuallyRight waits until nothing is wrong. When something still is after the time that eventually waits too, the
// test fails with that.
func eventuallyRight(t testing.TB, wrong func() string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for is := wrong(); is != ""; is = wrong() {
		if time.Now().After(deadline) {
			t.Fatal(is)
		}
		time.Sleep(poll)
	}
}

// seen are the requests to a path that reached an application.
func seen(a *app.App, path string) []app.Report {
	var out []app.Report
	for _, r := range a.Requests() {
		if r.Path == path {
			out = append(out, r)
		}
	}
	return out
}

// counted is the sum of a proxy's counters whose names match.
func counted(t testing.TB, m *Mesh, id, names string) (sum uint64) {
	t.Helper()
	stats, err := m.Stats(t.Context(), id, names)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range stats {
		sum += n
	}
	return sum
}
