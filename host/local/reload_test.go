package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/serve"
)

// spec is a repository as a source.
type spec string

func (dir spec) Load(ctx context.Context) (*ir.Mesh, []string, error) {
	r, err := compiler.Compile(ctx, compiler.Options{Dir: string(dir)})
	if err != nil {
		return nil, nil, err
	}
	if r.Mesh == nil {
		var errs []error
		for _, d := range r.Diagnostics {
			if d.Severity == diag.Error {
				errs = append(errs, fmt.Errorf("%v %s: %s", d.Positions, d.Code, d.Message))
			}
		}
		return nil, r.Directories, errors.Join(errs...)
	}
	return r.Mesh, r.Directories, nil
}

// repository is a copy of the shop, running, whose files may be changed.
type repository struct {
	*Mesh
	dir  string
	told chan error // what became of each change
}

func followShop(t *testing.T) *repository {
	t.Helper()
	r := &repository{dir: t.TempDir(), told: make(chan error, 100)}
	if err := os.CopyFS(r.dir, os.DirFS(shopDir)); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour) // what was copied just now is not a change
	err := filepath.WalkDir(r.dir, func(name string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Chtimes(name, old, old))
	})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	linked, directories, err := spec(r.dir).Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.Mesh = start(t, linked)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Follow(ctx, spec(r.dir), directories, began, func(err error) { r.told <- err }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return r
}

// countedSource counts how often a source was read.
type countedSource struct {
	serve.Source
	reads atomic.Int64
}

func (c *countedSource) Load(ctx context.Context) (*ir.Mesh, []string, error) {
	defer c.reads.Add(1)
	return c.Source.Load(ctx)
}

// Files beside the spec that say nothing of the mesh, such as one that what is told is written to, are no change of it:
// each would else cause the next one.
func TestOtherFilesAreNoChange(t *testing.T) {
	dir := laidOut(t, map[string]string{"mesh.cue": metricsMesh})
	source, told := &countedSource{Source: spec(dir)}, make(chan error, 100)
	began := time.Now()
	linked, directories, err := source.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m := start(t, linked)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Follow(ctx, source, directories, began, func(err error) { told <- err }) }()
	for range 3 { // the second time the first was told, if it was
		reads := source.reads.Load()
		if err := os.WriteFile(filepath.Join(dir, "up.log"), []byte(time.Now().String()), 0o600); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the source is read again", func() bool { return source.reads.Load() > reads })
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if len(told) > 0 {
		t.Errorf("%d changes are told", len(told))
	}
}

// change replaces text in a file of the repository.
func (r *repository) change(t *testing.T, file, from, to string) {
	t.Helper()
	name := filepath.Join(r.dir, file)
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(data), from, to, 1)
	if text == string(data) {
		t.Fatalf("%s has no %q", file, from)
	}
	// As editors do: nobody ever sees half a file.
	if err := errors.Join(os.WriteFile(name+".new", []byte(text), 0o644), os.Rename(name+".new", name)); err != nil {
		t.Fatal(err)
	}
}

// until waits until a change was tried whose outcome is the one that is wanted.
// One change of files may be seen as several.
func (r *repository) until(t *testing.T, what string, wanted func(err error) bool) {
	t.Helper()
	timeout := time.After(30 * time.Second)
	var last error
	for {
		select {
		case last = <-r.told:
			if wanted(last) {
				return
			}
		case <-timeout:
			t.Fatalf("it never came: %s; the last change: %v", what, last)
		}
	}
}

// load is a steady load; every answer must be 200.
type load struct {
	sent, failed atomic.Int64
	first        atomic.Pointer[string]
	stop         context.CancelFunc
	done         sync.WaitGroup
}

func startLoad(t *testing.T, c *http.Client, url string) *load {
	t.Helper()
	return startPacedLoad(t, c, url, 4, 0)
}

// startPacedLoad has each of so many workers wait between its requests.
func startPacedLoad(t *testing.T, c *http.Client, url string, workers int, pause time.Duration) *load {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	l := &load{stop: stop}
	for range workers {
		l.done.Go(func() {
			for ctx.Err() == nil {
				time.Sleep(pause)
				a, err := trySend(context.WithoutCancel(ctx), c, http.MethodGet, url)
				l.sent.Add(1)
				if err != nil || a.status != http.StatusOK {
					l.failed.Add(1)
					text := fmt.Sprint(a.status, " ", a.body, err)
					l.first.CompareAndSwap(nil, &text)
				}
			}
		})
	}
	return l
}

// end stops the load once it has sent enough requests to say something, and fails the test for any that failed.
func (l *load) end(t *testing.T) {
	t.Helper()
	eventually(t, "a load", func() bool { return l.sent.Load() >= 100 })
	l.stop()
	l.done.Wait()
	if n := l.failed.Load(); n > 0 {
		t.Errorf("%d of %d requests failed; the first: %s", n, l.sent.Load(), *l.first.Load())
	}
	t.Logf("%d requests", l.sent.Load())
}

// A route that is added on disk is served, and no request fails meanwhile.
func TestRouteAddedUnderLoad(t *testing.T) {
	shop := followShop(t)
	url := shop.Gateway("public").URL
	load := startLoad(t, http.DefaultClient, url+"/products/1")
	eventually(t, "a load", func() bool { return load.sent.Load() > 50 })
	shop.change(t, "services/catalog/service.cue", "routes: [", `routes: [
		{name: "sale", match: path: exact: "/products/sale", to: [{version: "v2"}]},`)
	catalog := func() *ir.Service { return shop.Placed().Service("catalog") }
	shop.until(t, "the route", func(err error) bool { return err == nil && catalog().Routes[0].Name == "sale" })
	sale := func() string { return get(t, http.DefaultClient, url+"/products/sale").Version }
	eventually(t, "the sale", func() bool { return sale() == "v2" })
	for range 50 { // nine of ten would go to v1 without the route
		if v := sale(); v != "v2" {
			t.Fatalf("the sale came from %s", v)
		}
	}
	// A change of a callee's clusters and endpoints, not of routes alone.
	shop.change(t, "services/catalog/service.cue", "versions: {", `versions: {
		v3: labels: version: "v3"`)
	shop.until(t, "the new version", func(err error) bool { return err == nil && catalog().Version("v3") != nil })
	// Each turn takes one cluster from the callers and gives them another.
	from, to := "v2", "v3"
	for range 6 {
		shop.change(t, "services/catalog/service.cue", `{version: "`+from+`", weight: 10}]`,
			`{version: "`+to+`", weight: 10}]`)
		shop.until(t, "its share",
			func(err error) bool { return err == nil && catalog().Routes[2].To[1].Version == to })
		eventually(t, "a request to "+to,
			func() bool { return get(t, http.DefaultClient, url+"/products/1").Version == to })
		from, to = to, from
	}
	load.end(t)
	if s := shop.Status(); !s.Good() {
		t.Errorf("status %+v", s)
	}
}

// A spec that is broken on disk changes nothing, and the status says why.
func TestBrokenSpecKeepsTheLastGoodOne(t *testing.T) {
	shop := followShop(t)
	url := shop.Gateway("public").URL
	load := startLoad(t, http.DefaultClient, url+"/")
	eventually(t, "a load", func() bool { return load.sent.Load() > 50 })

	const file, call = "services/frontend/service.cue", "cart: timeout:"
	shop.change(t, file, call, "cort: timeout:")
	shop.until(t, "the refusal", func(err error) bool { return err != nil })
	s := shop.Status()
	if s.Good() || !strings.Contains(s.Failure, file) || !strings.Contains(s.Failure, string(diag.UnknownCallee)) {
		t.Errorf("the failure does not say why: %q", s.Failure)
	}
	if report := shop.control.server.Status(); report.Failure != s.Failure || report.Good() {
		t.Errorf("meshc serve says %q", report.Failure)
	}
	for _, p := range s.Proxies {
		if p.State != serve.StateCurrent {
			t.Errorf("%s is %s", p.ID, p.State)
		}
	}
	if r := get(t, http.DefaultClient, url+"/?via=cart"); len(r.Hops()) != 2 {
		t.Errorf("the last good mesh is not served: %+v", r)
	}

	shop.change(t, file, "cort: timeout:", "cart: timeout:")
	shop.until(t, "the repair", func(err error) bool { return err == nil })
	if s := shop.Status(); !s.Good() {
		t.Errorf("it was put right, and still: %q", s.Failure)
	}
	load.end(t)
}

// What cannot change while a mesh runs is refused, and the mesh runs on.
func TestDeliveryCannotChange(t *testing.T) {
	shop := followShop(t)
	shop.change(t, "mesh.cue", `trustDomain:`, "delivery: \"static\"\n\ttrustDomain:")
	shop.until(t, "the refusal",
		func(err error) bool { return err != nil && strings.Contains(err.Error(), "start it again") })
	if s := shop.Status(); !strings.Contains(s.Failure, "delivery") {
		t.Errorf("failure %q", s.Failure)
	}
	get(t, http.DefaultClient, shop.Gateway("public").URL+"/?via=cart")
}

// What is new is started, and what is gone is stopped.
//
// Field: workload.endpoints
func TestServicesComeAndGo(t *testing.T) {
	shop := followShop(t)
	const text = `package shop

services: reviews: {
	workload: deployment: "reviews"
	ports: http: {port: 9080, protocol: "http"}
	allow: [{from: services: ["frontend"]}]
}
`
	made, directory := filepath.Join(t.TempDir(), "reviews"), filepath.Join(shop.dir, "services", "reviews")
	if err := errors.Join(os.Mkdir(made, 0o755), os.WriteFile(filepath.Join(made, "service.cue"), []byte(text), 0o644),
		os.Rename(made, directory)); err != nil {
		t.Fatal(err)
	}
	shop.until(t, "the new service",
		func(err error) bool { return err == nil && shop.Placed().Service("reviews") != nil })
	shop.change(t, "services/frontend/service.cue", "checkout: {}", "checkout: {}\n\t\treviews: {}")
	shop.until(t, "its caller", func(err error) bool { return err == nil && shop.uses("frontend", "reviews") })
	eventually(t, "a call of the new service", func() bool {
		return len(get(t, http.DefaultClient, shop.Gateway("public").URL+"/?via=reviews").Hops()) == 2
	})
	if s := shop.Status(); !s.Good() || len(s.Proxies) != 10 {
		t.Errorf("status %+v", s)
	}
	pid := shop.proxies["service/reviews/a"].cmd.Process.Pid

	shop.change(t, "services/frontend/service.cue", "\n\t\treviews: {}", "")
	shop.until(t, "the end of the call",
		func(err error) bool { return err == nil && !shop.uses("frontend", "reviews") })
	if err := os.Rename(directory, made); err != nil {
		t.Fatal(err)
	}
	shop.until(t, "the end of the service",
		func(err error) bool { return err == nil && shop.Placed().Service("reviews") == nil })
	if alive(pid) {
		t.Error("its proxy is left")
	}
	if r := get(t, http.DefaultClient, shop.Gateway("public").URL+"/?via=cart"); len(r.Hops()) != 2 {
		t.Errorf("hops %+v", r)
	}
}

func (r *repository) uses(caller, callee string) bool {
	return slices.ContainsFunc(r.Placed().Service(caller).Uses, func(u ir.Use) bool { return u.To == callee })
}

// A permission that is given or taken back holds at once, on connections that are
// open too.
func TestPermissionsChangeAtOnce(t *testing.T) {
	shop := followShop(t)
	url := shop.Gateway("public").URL + "/"
	load := startLoad(t, http.DefaultClient, url)
	for i, c := range []struct {
		from, to string
		status   int // of a POST
	}{
		{`["GET", "POST"]`, `["GET"]`, http.StatusForbidden},
		{`["GET"]`, `["GET", "POST"]`, http.StatusOK},
	} {
		shop.change(t, "services/frontend/service.cue", c.from, c.to)
		shop.until(t, "the change", func(err error) bool {
			return err == nil && len(shop.Placed().Service("frontend").Allow[0].Methods) == i+1
		})
		// A proxy says that it has taken something when its main thread has; its
		// worker follows.
		eventually(t, "the new rule",
			func() bool { return send(t, http.DefaultClient, http.MethodPost, url).status == c.status })
		for range 20 {
			if a := send(t, http.DefaultClient, http.MethodPost, url); a.status != c.status {
				t.Fatalf("after %s became %s: %d, want %d", c.from, c.to, a.status, c.status)
			}
		}
	}
	load.end(t)
}
