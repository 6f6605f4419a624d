package revision

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// repository is one in a directory of its own.
type repository struct {
	t   *testing.T
	dir string
}

func newRepository(t *testing.T) repository {
	t.Helper()
	r := repository{t, t.TempDir()}
	r.run("init", "-q", "-b", "main")
	return r
}

func (r repository) run(args ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", append([]string{
		"-C", r.dir, "-c", "user.name=n", "-c", "user.email=n@example.com", "-c",
		"protocol.file.allow=always",
	}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %v: %s", args, out)
	}
	return strings.TrimSpace(string(out))
}

func (r repository) put(name, text string) {
	r.t.Helper()
	if err := os.MkdirAll(filepath.Join(r.dir, filepath.Dir(name)), 0o700); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r repository) commit(message string) string {
	r.t.Helper()
	r.run("add", "-A")
	r.run("commit", "-q", "--allow-empty", "-m", message)
	return r.run("rev-parse", "HEAD")
}

func (r repository) find(dir string) *Repository {
	r.t.Helper()
	found, err := Find(filepath.Join(r.dir, dir))
	if err != nil {
		r.t.Fatal(err)
	}
	return found
}

// read are files as a loader reads them.
func (r repository) read(below string, names ...string) []File {
	r.t.Helper()
	var out []File
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(r.dir, below, name))
		if err != nil {
			r.t.Fatal(err)
		}
		out = append(out, File{Path: name, Target: name, Data: data})
	}
	return out
}

// TestRevision reads a directory of a repository as it was, and wants the work tree and the index to stay as they are.
func TestRevision(t *testing.T) {
	g := newRepository(t)
	g.put(".gitattributes", "*.cue export-ignore\n")
	g.put("mesh/a.cue", "a\n")
	g.put("mesh/sub/ü b.cue", "")
	g.put("mesh/gone.cue", "gone")
	g.put("mesh/README", "read")
	g.put("other.txt", "other")
	if err := os.Symlink("sub/x", filepath.Join(g.dir, "mesh/link.cue")); err != nil {
		t.Fatal(err)
	}
	g.commit("first")
	g.put("mesh/a.cue", "changed")
	g.put("mesh/new.cue", "new")
	if err := os.Remove(filepath.Join(g.dir, "mesh/gone.cue")); err != nil {
		t.Fatal(err)
	}
	before := g.run("status", "--porcelain")

	for _, name := range []string{
		"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE",
		"GIT_OBJECT_DIRECTORY",
	} { // as a hook has them, which is about another directory
		t.Setenv(name, filepath.Join(g.dir, "nowhere"))
	}
	r, err := g.find("mesh").Open(t.Context(), "main", false)
	if err != nil {
		t.Fatal(err)
	}
	into := t.TempDir()
	if err := r.Write(t.Context(), into); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a.cue": "a\n", "sub/ü b.cue": "", "gone.cue": "gone"} {
		if got, err := os.ReadFile(filepath.Join(into, name)); err != nil || string(got) != want {
			t.Errorf("%s is %q: %v", name, got, err)
		}
	}
	if target, err := os.Readlink(filepath.Join(into, "link.cue")); target != "sub/x" {
		t.Errorf("link.cue leads to %q: %v", target, err)
	}
	for _, name := range []string{"new.cue", "other.txt"} {
		if _, err := os.Lstat(filepath.Join(into, name)); err == nil {
			t.Errorf("%s is there", name)
		}
	}
	changed, err := r.Changed(t.Context(), g.read("mesh", "a.cue", "new.cue", "sub/ü b.cue"))
	if want := []string{"a.cue", "gone.cue", "new.cue"}; err != nil || !slices.Equal(changed, want) {
		t.Errorf("changed: %q, %v", changed, err)
	}
	if data, there := r.Read(t.Context(), "other.txt"); !there || string(data) != "other" {
		t.Errorf("other.txt is %q", data)
	}
	if _, there := r.Read(t.Context(), "mesh/new.cue"); there {
		t.Error("new.cue is in the revision")
	}
	for _, name := range []string{"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"} {
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
	if after := g.run("status", "--porcelain"); after != before {
		t.Errorf("the work tree was touched: %s", after)
	}
}

// TestNames resolves what a revision can be called. Who may push tags does not choose what a branch is.
func TestNames(t *testing.T) {
	g := newRepository(t)
	first := g.commit("first")
	second := g.commit("second")
	g.run("update-ref", "refs/remotes/origin/main", first)
	g.run("tag", "v1", first)
	r := g.find("")
	for name, want := range map[string]string{
		"main": second, "HEAD": second, "@": second, "HEAD~1": first, "main^": first, "main~1^{commit}": first,
		"origin/main": first, "v1": first,
		"refs/heads/main": second, "heads/main": second, "tags/v1": first, first: first, first[:9]: first,
		"main@{1}": first, "HEAD~0^0": second,
	} {
		if got, err := r.Commit(t.Context(), name); err != nil || got != want {
			t.Errorf("%s is %s and not %s: %v", name, got, want, err)
		}
	}
	for _, name := range []string{
		"nowhere", "--output=x", "", "-", "main..HEAD", "main:a", ":/first", "HEAD^{/first}",
		"main^{tree}", "@{-1}", "ma*n", "x\ny", "^main", "main --all",
	} {
		if got, err := r.Commit(t.Context(), name); err == nil {
			t.Errorf("%q is %s", name, got)
		}
	}
	g.run("tag", "origin/main", second)
	g.run("tag", "main", first)
	for name, both := range map[string][]string{
		"origin/main": {"refs/remotes/origin/main", "refs/tags/origin/main"},
		"main~1":      {"refs/heads/main", "refs/tags/main"},
	} {
		_, err := r.Commit(t.Context(), name)
		if err == nil || !strings.Contains(err.Error(), both[0]) || !strings.Contains(err.Error(), both[1]) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := r.Commit(t.Context(), "refs/remotes/origin/main"); err != nil || got != first {
		t.Errorf("the branch's full name is %s: %v", got, err)
	}
	// An object that stands for another one is not taken for it.
	g.run("replace", second, first)
	if r, err := r.Open(t.Context(), "HEAD", true); err != nil || r.Commit != second {
		t.Errorf("HEAD is %v: %v", r, err)
	}
}

// TestMergeBase compares with the commit in which HEAD has parted, in shallow clones too where the commit itself says
// so.
func TestMergeBase(t *testing.T) {
	g := newRepository(t)
	g.put("a.cue", "1")
	first := g.commit("first")
	g.run("checkout", "-q", "-b", "topic")
	g.put("b.cue", "1")
	g.commit("topic")
	g.run("checkout", "-q", "main")
	g.put("a.cue", "2")
	second := g.commit("second")
	g.run("checkout", "-q", "topic")
	open := func(r *Repository, tip bool) string {
		t.Helper()
		revision, err := r.Open(t.Context(), "main", tip)
		if err != nil {
			t.Fatal(err)
		}
		return revision.Commit
	}
	if got := open(g.find(""), false); got != first {
		t.Errorf("the base is %s", got)
	}
	if got := open(g.find(""), true); got != second {
		t.Errorf("the tip is %s", got)
	}
	g.run("merge", "-q", "--no-edit", "main")
	if got := open(g.find(""), false); got != second {
		t.Errorf("the base of a merge is %s", got)
	}

	shallow := repository{t, t.TempDir()}
	shallow.run("clone", "-q", "--depth=1", "--branch=topic", "file://"+g.dir, ".")
	shallow.run("fetch", "-q", "--depth=1", "origin", "main:main")
	merged := shallow.run("cat-file", "commit", "HEAD")
	if !strings.Contains(merged, "parent "+second) {
		t.Fatalf("HEAD is %s", merged)
	}
	if got := open(shallow.find(""), false); got != second {
		t.Errorf("the base in a shallow clone is %s", got)
	}
	shallow.put("c.cue", "1")
	shallow.commit("third")
	if _, err := shallow.find("").Open(t.Context(), "main", false); err == nil ||
		!strings.Contains(err.Error(), "shallow") {
		t.Errorf("without history: %v", err)
	}
	shallow.run("checkout", "-q", "--orphan", "alone")
	shallow.commit("alone")
	if _, err := shallow.find("").Open(t.Context(), "main", false); err == nil ||
		!strings.Contains(err.Error(), "--from-tip") {
		t.Errorf("without a common commit: %v", err)
	}
}
