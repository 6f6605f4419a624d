package state

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler"
)

const (
	module  = "module: \"shop.example/mesh@v0\"\nlanguage: version: \"v0.17.0\"\n"
	shop    = "package mesh\nmesh: {name: \"shop\", trustDomain: \"shop.example\"}\n"
	service = "package mesh\nservices: %: {workload: deployment: \"%\", ports: http: {port: 8080, protocol: \"http\"}}\n"
)

// tree is a mesh repository in a work tree of Git.
type tree struct {
	t   *testing.T
	dir string
	// compiled are the directories that were compiled.
	compiled []string
}

func newTree(t *testing.T) *tree {
	w := &tree{t: t, dir: t.TempDir()}
	w.git("init", "-q", "-b", "main")
	w.put("cue.mod/module.cue", module)
	w.put("mesh.cue", shop)
	w.put("cart/cart.cue", strings.ReplaceAll(service, "%", "cart"))
	w.git("add", "-A")
	w.git("commit", "-q", "-m", "first")
	return w
}

func (w *tree) git(args ...string) {
	w.t.Helper()
	cmd := exec.Command("git", append([]string{"-C", w.dir, "-c", "user.name=n", "-c", "user.email=n@example.com"},
		args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("git %v: %s", args, out)
	}
}

func (w *tree) put(name, text string) {
	w.t.Helper()
	file := filepath.Join(w.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// compiler keeps what it compiles in a cache, if one is given.
func (w *tree) compiler(cache string) *Compiler {
	return &Compiler{Cache: cache, Compile: func(ctx context.Context, o compiler.Options) (*compiler.Result, error) {
		w.compiled = append(w.compiled, o.Dir)
		return compiler.Compile(ctx, o)
	}}
}

// TestSince compares a work tree with the commit that it began from: with a mesh that is compiled once and then kept,
// and with the files and the owners of then.
func TestSince(t *testing.T) {
	w, cache := newTree(t), t.TempDir()
	w.put("CODEOWNERS", "/cart/ @cart\n")
	w.put("stock/stock.cue", strings.ReplaceAll(service, "%", "stock"))
	for range 2 {
		before, after, err := w.compiler(cache).Since(t.Context(), w.dir, "main", false)
		if err != nil {
			t.Fatal(err)
		}
		if len(before.Mesh.Services) != 1 || len(after.Mesh.Services) != 2 {
			t.Errorf("%d services before and %d after, want 1 and 2", len(before.Mesh.Services),
				len(after.Mesh.Services))
		}
		changed, err := Changed(t.Context(), before, after)
		if err != nil || !slices.Equal(changed, []string{"stock/stock.cue"}) {
			t.Errorf("changed are %q: %v", changed, err)
		}
		if owners, err := OwnersOf(t.Context(), before, after); err != nil || owners.Before != nil {
			t.Errorf("there are owners by a file that was not there before: %v", err)
		}
	}
	if n := len(w.compiled); n != 3 {
		t.Errorf("%d meshes were compiled, want the work tree twice and the revision once: %q", n, w.compiled)
	}
	w.git("add", "-A")
	w.git("commit", "-q", "-m", "second")
	w.put("CODEOWNERS", "* @everybody\n")
	before, after, err := w.compiler("").Since(t.Context(), w.dir, "main", true)
	if err != nil {
		t.Fatal(err)
	}
	owners, err := OwnersOf(t.Context(), before, after)
	if err != nil || owners.Before == nil {
		t.Fatalf("there are no owners: %v", err)
	}
	if after := owners.After("cart/cart.cue"); !slices.Equal(after, []string{"@everybody"}) {
		t.Errorf("owners of cart are %q after the change, want @everybody", after)
	}
	if cart, stock := owners.Before("cart/cart.cue"), owners.Before("stock/stock.cue"); !slices.Equal(cart,
		[]string{"@cart"}) || stock != nil {
		t.Errorf("owners of cart are %q and of stock %q, want @cart and nobody", cart, stock)
	}
}

// TestDirectories compares two directories by their files.
func TestDirectories(t *testing.T) {
	a, b := newTree(t), newTree(t)
	b.put("cart/cart.cue", strings.ReplaceAll(service, "%", "basket"))
	b.put("stock/stock.cue", strings.ReplaceAll(service, "%", "stock"))
	before, err := a.compiler("").WorkTree(t.Context(), a.dir)
	if err != nil {
		t.Fatal(err)
	}
	after, err := b.compiler("").WorkTree(t.Context(), b.dir)
	if err != nil {
		t.Fatal(err)
	}
	changed, err := Changed(t.Context(), before, after)
	if err != nil || !slices.Equal(changed, []string{"cart/cart.cue", "stock/stock.cue"}) {
		t.Errorf("changed are %q: %v", changed, err)
	}
}

// TestNotCompared refuses what cannot be compared, and has the findings that say why.
func TestNotCompared(t *testing.T) {
	w := newTree(t)
	var part *PartError
	if _, err := w.compiler("").WorkTree(t.Context(), filepath.Join(w.dir, "cart")); !errors.As(err, &part) {
		t.Errorf("a part of a module: %v", err)
	}
	var wrong *WrongError
	w.put("stock/stock.cue", "package mesh\nservices: stock: uses: nobody: {}\n")
	_, _, err := w.compiler("").Since(t.Context(), w.dir, "main", false)
	if !errors.As(err, &wrong) || !wrong.Result.Diagnostics.HasErrors() {
		t.Errorf("a mesh with errors: %v", err)
	}
	w.git("add", "-A")
	w.git("commit", "-q", "-m", "wrong")
	w.git("checkout", "-q", "-b", "topic")
	w.put("stock/stock.cue", strings.ReplaceAll(service, "%", "stock"))
	if _, _, err = w.compiler("").Since(t.Context(), w.dir, "main", false); err == nil ||
		!strings.Contains(err.Error(), "the mesh of main has errors") {
		t.Errorf("a revision with errors: %v", err)
	}
}
