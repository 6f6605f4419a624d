//go:build e2e

package e2e

import (
	"fmt"
	"net"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// repository is a mesh repository as teams have it: the mesh in CUE, what it compiles
// to, and the teams' own manifests; on a Git server that Flux reads.
type repository struct {
	dir  string // the work tree
	url  string // of the bare repository, for pods
	tags []string
}

// newRepository has the content of the directory shop, and nothing is pushed yet.
func newRepository(t *testing.T) *repository {
	t.Helper()
	root := t.TempDir()
	r := &repository{dir: filepath.Join(root, "work")}
	if err := os.CopyFS(r.dir, os.DirFS("shop")); err != nil {
		t.Fatal(err)
	}
	r.git(t, root, "init", "--quiet", "--bare", "--initial-branch=main", "served/shop.git")
	r.git(t, r.dir, "init", "--quiet", "--initial-branch=main")
	r.git(t, r.dir, "remote", "add", "origin", filepath.Join(root, "served/shop.git"))
	backend, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", variable(t, "E2E_MACHINE")+":0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(backend)), "git-http-backend"),
		Env: []string{
			"GIT_PROJECT_ROOT=" + filepath.Join(root, "served"), "GIT_HTTP_EXPORT_ALL=1",
			"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*",
		},
	}}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close() })
	r.url = fmt.Sprintf("http://%s/shop.git", l.Addr())
	known := images(t)
	r.tags = []string{"-t", "url=" + r.url, "-t", "meshc=" + known["meshc"], "-t", "envoy=" + known["envoy"]}
	r.edit(t, "team/kustomization.yaml", "namespace: shop\n",
		fmt.Sprintf("namespace: shop\nimages: [{name: backend, newName: %q}]\n", known["backend"]))
	return r
}

func (r *repository) git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := command(t, "", dir, "git", append([]string{"-c", "user.name=e2e", "-c", "user.email=e2e@shop.example"},
		args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// edit replaces a text in a file, where it must be.
func (r *repository) edit(t *testing.T, name, from, to string) {
	t.Helper()
	name = filepath.Join(r.dir, name)
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), from) {
		t.Fatalf("%s has no %q", name, from)
	}
	if err := os.WriteFile(name, []byte(strings.Replace(string(data), from, to, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// compile renders the mesh into out.
func (r *repository) compile(t *testing.T) {
	t.Helper()
	if _, err := meshc(t, filepath.Join(r.dir, "mesh"), append([]string{"compile", "./...", "-o", "../out"},
		r.tags...)...); err != nil {
		t.Fatal(err)
	}
}

// push commits everything, pushes it, and returns the commit.
func (r *repository) push(t *testing.T, message string) (commit string) {
	t.Helper()
	r.git(t, r.dir, "add", "--all")
	r.git(t, r.dir, "commit", "--quiet", "--message", message)
	return r.send(t)
}

// send pushes what is committed.
func (r *repository) send(t *testing.T) (commit string) {
	t.Helper()
	r.git(t, r.dir, "push", "--quiet", "origin", "main")
	return r.git(t, r.dir, "rev-parse", "HEAD")
}
