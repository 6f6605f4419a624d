package serve_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render"
	"github.com/meshc/meshc/render/meshfile"
	"github.com/meshc/meshc/serve"
)

// follow makes the server follow a file until the test ends.
func follow(t *testing.T, r *running, name string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Follow(ctx, meshfile.Follow(name)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func writeMesh(t *testing.T, name string, m *ir.Mesh) {
	t.Helper()
	data, err := ir.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(name+".new", data, 0o644), os.Rename(name+".new", name)); err != nil {
		t.Fatal(err)
	}
}

func (r *running) serves(text string) func() bool {
	return func() bool {
		for _, p := range r.Status().Proxies {
			if strings.Contains(p.Node, text) {
				return true
			}
		}
		return false
	}
}

// TestFollowKeepsTheLastGoodMesh changes a mesh.json on disk, breaks it, and
// mends it.
func TestFollowKeepsTheLastGoodMesh(t *testing.T) {
	name := filepath.Join(t.TempDir(), "mesh.json")
	writeMesh(t, name, compileSpec(t, spec))
	r := start(t)
	follow(t, r, name)
	eventually(t, "the mesh is served", r.serves("service/cart"))
	writeMesh(t, name, compileSpec(t, strings.ReplaceAll(spec, "cart", "basket")))
	eventually(t, "the changed mesh is served", r.serves("service/basket"))
	for _, wrong := range []string{
		`{"meshc":1`, `{"meshc":99}`, `{}`, ``,
		`{"meshc":1,"name":"x","trustDomain":"t","delivery":"xds","services":[{"name":"../x"}]}`,
	} {
		if err := os.WriteFile(name, []byte(wrong), 0o644); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it says what is wrong with "+wrong, func() bool { return r.Status().Failure != "" })
		if report := r.Status(); report.Good() || !r.serves("service/basket")() {
			t.Errorf("%s: the report is %+v", wrong, report)
		}
		if code, _ := fetch(t, r, "/readyz"); code != 200 {
			t.Errorf("/readyz: %d", code)
		}
		if _, body := fetch(t, r, "/metrics"); !strings.Contains(body, "meshc_mesh_stale 1") {
			t.Error("/metrics does not say that the mesh is stale")
		}
		writeMesh(t, name, compileSpec(t, strings.ReplaceAll(spec, "cart", "basket")))
		eventually(t, "it is forgotten", func() bool { return r.Status().Failure == "" })
	}
}

// lockedLog is a log that is read while it is written.
type lockedLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lockedLog) Write(data []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(data)
}

// take is what was written since it was last taken.
func (l *lockedLog) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.text.Reset()
	return l.text.String()
}

// TestFailureSaysWhatIsServed wants the log to say that nothing is served before there was a good mesh, and what is
// served after it.
func TestFailureSaysWhatIsServed(t *testing.T) {
	var log lockedLog
	r := start(t, func(c *serve.Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	r.SetFailure("it has no name")
	if got := log.take(); !strings.Contains(got, "serving nothing") || strings.Contains(got, "last good") {
		t.Errorf("before there was a mesh the log says %s", got)
	}
	if err := r.SetMesh(compileSpec(t, spec)); err != nil {
		t.Fatal(err)
	}
	r.SetFailure("it has no name")
	if got := log.take(); strings.Contains(got, "serving nothing") || !strings.Contains(got, "last good") {
		t.Errorf("after there was one the log says %s", got)
	}
}

// TestFollowAnOutputDirectory follows a directory that is exchanged as a whole.
func TestFollowAnOutputDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	if _, err := render.Write(dir, compileSpec(t, spec), nil, ""); err != nil {
		t.Fatal(err)
	}
	r := start(t)
	follow(t, r, dir)
	eventually(t, "the mesh is served", r.serves("service/cart"))
	for _, name := range []string{"basket", "trolley", "bag"} {
		if _, err := render.Write(dir, compileSpec(t, strings.ReplaceAll(spec, "cart", name)), nil, ""); err != nil {
			t.Fatal(err)
		}
		eventually(t, name+" is served", r.serves("service/"+name))
	}
}

// TestFollowAMountedConfigMap follows the parts of a mesh as Kubernetes mounts
// them: files are links through ..data, which is renamed.
func TestFollowAMountedConfigMap(t *testing.T) {
	dir := t.TempDir()
	mount := func(generation, source string, torn bool) {
		data, err := ir.Marshal(compileSpec(t, source))
		if err != nil {
			t.Fatal(err)
		}
		parts, err := meshfile.Pack(data)
		if err != nil {
			t.Fatal(err)
		}
		inner := filepath.Join(dir, ".."+generation)
		if err := os.Mkdir(inner, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, p := range parts {
			if torn {
				p.Data = p.Data[:len(p.Data)/2]
			}
			if err := os.WriteFile(filepath.Join(inner, p.Path), p.Data, 0o644); err != nil {
				t.Fatal(err)
			}
			link := filepath.Join(dir, p.Path)
			if err := os.Symlink(filepath.Join("..data", p.Path), link); err != nil && !errors.Is(err, os.ErrExist) {
				t.Fatal(err)
			}
		}
		next := filepath.Join(dir, "..data_tmp")
		if err := errors.Join(os.Symlink(".."+generation, next),
			os.Rename(next, filepath.Join(dir, "..data"))); err != nil {
			t.Fatal(err)
		}
	}
	mount("one", spec, false)
	r := start(t)
	follow(t, r, dir)
	eventually(t, "the mesh is served", r.serves("service/cart"))
	mount("two", strings.ReplaceAll(spec, "cart", "basket"), false)
	eventually(t, "the changed mesh is served", r.serves("service/basket"))
	mount("three", strings.ReplaceAll(spec, "cart", "trolley"), true)
	eventually(t, "a torn mesh is refused", func() bool { return r.Status().Failure != "" })
	if !r.serves("service/basket")() {
		t.Error("the last good mesh is gone")
	}
}
