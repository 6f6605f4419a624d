package revision

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNothingRuns puts what Git would run into every setting, file and variable that names a program, and wants none
// of it run, neither by the configuration of the repository itself nor by a look-alike of a repository in the tree.
func TestNothingRuns(t *testing.T) {
	g := newRepository(t)
	ran := filepath.Join(t.TempDir(), "ran")
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho \"$@\" >>'"+ran+"'\ncat\n"),
		0o700); err != nil { // #nosec G306 -- a program
		t.Fatal(err)
	}
	g.put("mesh/a.cue", "a\n")
	base := g.commit("base")
	g.run("update-ref", "refs/remotes/origin/main", base)

	// The look-alike, with an attribute for each way to run something.
	fake := newRepository(t)
	fake.put("a.cue", "evil\n")
	evil := fake.commit("evil")
	fake.run("update-ref", "refs/remotes/origin/main", evil)
	if err := os.CopyFS(filepath.Join(g.dir, "mesh"), os.DirFS(filepath.Join(fake.dir, ".git"))); err != nil {
		t.Fatal(err)
	}
	g.put("mesh/.gitattributes", "*.cue filter=x diff=x merge=x\n")
	config := "[core]\n\tfsmonitor = \"" + program + "\"\n\thooksPath = \"" + filepath.Dir(program) +
		"\"\n\tpager = \"" + program + "\"\n\tsshCommand = \"" + program +
		"\"\n\teditor = \"" + program + "\"\n\talternateRefsCommand = \"" + program + "\"\n\taskPass = \"" + program +
		"\"\n[filter \"x\"]\n\tclean = \"" + program + "\"\n\tsmudge = \"" + program + "\"\n\tprocess = \"" + program +
		"\"\n\trequired = true\n[diff]\n\texternal = \"" + program +
		"\"\n[diff \"x\"]\n\ttextconv = \"" + program + "\"\n\tcommand = \"" + program +
		"\"\n[credential]\n\thelper = \"" + program +
		"\"\n[remote \"evil\"]\n\turl = \"ext::" + program + " %S\"\n\tpromisor = true\n\tuploadpack = \"" + program +
		"\"\n[extensions]\n\tpartialClone = evil\n[protocol]\n\tallow = always\n" +
		"[alias]\n\tls-tree = \"!" + program + "\"\n"
	g.put("mesh/config", "[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = .\n"+config)
	g.commit("pull request")
	own := filepath.Join(g.dir, ".git", "config")
	before, err := os.ReadFile(own)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(own, append([]byte("[core]\n\trepositoryformatversion = 1\n"+config), before...),
		0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"GIT_EXTERNAL_DIFF", "GIT_SSH_COMMAND", "GIT_PAGER", "GIT_ASKPASS",
		"GIT_PROXY_COMMAND",
	} {
		t.Setenv(name, program)
	}
	t.Setenv("GIT_CONFIG_COUNT", "1")
	t.Setenv("GIT_CONFIG_KEY_0", "core.fsmonitor")
	t.Setenv("GIT_CONFIG_VALUE_0", program)

	r := g.find("mesh")
	if r.Top != g.dir || r.Prefix != "mesh" {
		t.Fatalf("the repository is %+v", r)
	}
	revision, err := r.Open(t.Context(), "origin/main", false)
	if err != nil || revision.Commit != base {
		t.Fatalf("the base is %+v: %v", revision, err)
	}
	into := t.TempDir()
	if err := revision.Write(t.Context(), into); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(filepath.Join(into, "a.cue")); string(data) != "a\n" {
		t.Errorf("the base has %q: %v", data, err)
	}
	g.put("mesh/a.cue", "edited\n")
	files := g.read("mesh", "a.cue")
	if _, err := r.Check(t.Context(), files); err != nil {
		t.Error(err)
	}
	if _, err := revision.Check(t.Context(), files); err != nil {
		t.Error(err)
	}
	if _, err := revision.Changed(t.Context(), files); err != nil {
		t.Error(err)
	}
	if _, there := revision.Read(t.Context(), "nothing"); there {
		t.Error("nothing is there")
	}
	if err := r.Own(t.Context()); err != nil {
		t.Error(err)
	}
	// An object that is missing is not fetched from wherever the configuration says.
	id := revision.Tree
	if err := os.RemoveAll(filepath.Join(g.dir, ".git", "objects", id[:2], id[2:])); err != nil {
		t.Fatal(err)
	}
	if err := revision.Write(t.Context(), t.TempDir()); err == nil {
		t.Error("a tree that is missing is written")
	}
	if said, err := os.ReadFile(ran); err == nil {
		t.Errorf("run: %s", said)
	}
}

// TestFind looks for the repository as honest people have it, and refuses a directory that a link of the tree leads to.
func TestFind(t *testing.T) {
	g := newRepository(t)
	g.put("infra/mesh/a.cue", "a\n")
	g.put("other/a.cue", "b\n")
	g.commit("first")
	beside := t.TempDir()
	g.run("worktree", "add", "-q", filepath.Join(beside, "tree"), "-b", "topic")
	w, err := Find(filepath.Join(beside, "tree", "infra", "mesh"))
	if err != nil || w.Prefix != "infra/mesh" {
		t.Fatalf("a work tree beside: %+v, %v", w, err)
	}
	if _, err := w.Open(t.Context(), "main", false); err != nil {
		t.Error(err)
	}
	link := filepath.Join(beside, "link")
	if err := os.Symlink(filepath.Join(g.dir, "infra"), link); err != nil {
		t.Fatal(err)
	}
	if r, err := Find(filepath.Join(link, "mesh")); err != nil || r.Top != g.dir || r.Prefix != "infra/mesh" {
		t.Errorf("a link from outside: %+v, %v", r, err)
	}
	if err := os.Symlink("../other", filepath.Join(g.dir, "infra", "moved")); err != nil {
		t.Fatal(err)
	}
	if r, err := Find(filepath.Join(g.dir, "infra", "moved")); err == nil ||
		!strings.Contains(err.Error(), "symbolic link") {
		t.Errorf("a link within: %+v, %v", r, err)
	}
	if _, err := Find(beside); err == nil {
		t.Error("there is a repository where none is")
	}
}
