//go:build e2e

package plants

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/host/local"
	"github.com/meshc/meshc/identity/ca"
	"github.com/meshc/meshc/render/envoy"
)

// field is the mesh of testdata/mesh as it runs: under load, and with a cause planted in it.
type field struct {
	*local.Mesh
	// spec is the Git repository with the mesh, and files the directory of endpoints files.
	spec, files string
	rand        *rand.Rand
	authority   *ca.Authority
	instances   *instances
	load        *load
	actors      map[string]*actor // by SERVICE/INSTANCE

	mu sync.Mutex
	// build renders a member's configuration for meshc serve.
	build func(ir.Scope, envoy.Options) (*envoy.Resources, error)
}

// patience is how long a condition may take, on a machine that does other things too.
const patience = 90 * time.Second

// newField starts the mesh and its load, and returns when the numbers of a while without failures are known.
func newField(t *testing.T, seed uint64) *field {
	t.Helper()
	f := &field{
		spec: t.TempDir(), files: t.TempDir(), rand: rand.New(rand.NewPCG(seed, 0)), actors: map[string]*actor{},
		build: envoy.Build,
	}
	if err := os.CopyFS(f.spec, os.DirFS("testdata/mesh")); err != nil {
		t.Fatal(err)
	}
	f.git(t, "init", "--quiet", "--initial-branch=main")
	f.commit(t, "Begin")
	var err error
	if f.authority, err = ca.InMemory(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	f.instances = newInstances(t, f.files)
	f.Mesh, err = local.Start(ctx, local.Options{
		Mesh: f.compile(t), Endpoints: f.files, Authority: f.authority, Build: f.rendered,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Stop(); err != nil {
			t.Error(err)
		}
	})
	f.act(t)
	f.instances.begin(t, f)
	f.load = newLoad(t, f)
	f.healthy(t)
	return f
}

// healthy waits until every flow of the load is in the numbers, and the server was told of some seconds of it.
func (f *field) healthy(t *testing.T) {
	t.Helper()
	eventually(t, "the numbers of a healthy mesh", func() string {
		n := f.numbers(t)
		if n.requests("", "") < 2500 {
			return fmt.Sprintf("the server was told of %d requests", n.requests("", ""))
		}
		for _, e := range calls {
			if n.requests(e.from, e.to) < 50 {
				return fmt.Sprintf("%s has not called %s enough", e.from, e.to)
			}
		}
		return ""
	})
}

// rendered is what meshc serve asks for configurations.
func (f *field) rendered(scope ir.Scope, o envoy.Options) (*envoy.Resources, error) {
	f.mu.Lock()
	build := f.build
	f.mu.Unlock()
	return build(scope, o)
}

// renders has configurations made by another function from now on.
func (f *field) renders(build func(ir.Scope, envoy.Options) (*envoy.Resources, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.build = build
}

func (f *field) compile(t *testing.T) *ir.Mesh {
	t.Helper()
	r, err := compiler.Compile(t.Context(), compiler.Options{Dir: f.spec})
	if err != nil {
		t.Fatal(err)
	}
	if r.Mesh == nil {
		t.Fatalf("the spec is wrong: %v", r.Diagnostics)
	}
	return r.Mesh
}

// edit replaces a text of the spec that is there once, and commits the change.
func (f *field) edit(t *testing.T, file, old, with string) {
	t.Helper()
	path := filepath.Join(f.spec, file)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(data), old) != 1 {
		t.Fatalf("%s has %q %d times", file, old, strings.Count(string(data), old))
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(data), old, with, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	f.commit(t, "Change "+file)
}

// update has the proxies take the spec as it is now.
func (f *field) update(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := f.Update(ctx, f.compile(t)); err != nil {
		t.Fatal(err)
	}
}

// change is an edit that the proxies take.
func (f *field) change(t *testing.T, file, old, with string) {
	t.Helper()
	f.edit(t, file, old, with)
	f.update(t)
}

func (f *field) commit(t *testing.T, message string) {
	t.Helper()
	f.git(t, "add", "--all")
	f.git(t, "-c", "user.name=Ann", "-c", "user.email=ann@plants.example", "commit", "--quiet", "--message", message)
}

func (f *field) git(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = f.spec
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

// line is FILE:LINE of the text in the spec as it is now, which has it once; empty for no text.
func (f *field) line(t *testing.T, file, text string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(f.spec, file))
	if err != nil {
		t.Fatal(err)
	}
	before, after, found := strings.Cut(string(data), text)
	if !found || strings.Contains(after, text) {
		t.Fatalf("%s does not have %q once", file, text)
	}
	return fmt.Sprintf("%s:%d", file, strings.Count(before, "\n")+1)
}

// eventually waits until nothing is missing any more.
func eventually(t *testing.T, what string, missing func() string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for is := missing(); is != ""; is = missing() {
		if time.Now().After(deadline) {
			t.Fatalf("it never came: %s: %s", what, is)
		}
		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(poll):
		}
	}
}

// poll is how often a condition is looked at.
const poll = 100 * time.Millisecond
