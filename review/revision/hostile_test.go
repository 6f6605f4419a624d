package revision

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// everyProgram are Git's settings that name a program, or make it run one; PROGRAM and DIRECTORY stand for it and
// where it is.
const everyProgram = `[core]
	fsmonitor = "PROGRAM"
	hooksPath = "DIRECTORY"
	pager = "PROGRAM"
	sshCommand = "PROGRAM"
	editor = "PROGRAM"
	alternateRefsCommand = "PROGRAM"
	askPass = "PROGRAM"
[filter "x"]
	clean = "PROGRAM"
	smudge = "PROGRAM"
	process = "PROGRAM"
	required = true
[diff]
	external = "PROGRAM"
[diff "x"]
	textconv = "PROGRAM"
	command = "PROGRAM"
[credential]
	helper = "PROGRAM"
[remote "evil"]
	url = "ext::PROGRAM %S"
	promisor = true
	uploadpack = "PROGRAM"
[extensions]
	partialClone = evil
[protocol]
	allow = always
[alias]
	ls-tree = "!PROGRAM"
`

// hostile is a repository in which every setting, file and variable that can name a program names one, and the
// directory mesh looks like a repository itself.
type hostile struct {
	repository
	// base is the commit of origin/main, at which mesh/a.cue has "a\n".
	base string
	// ran is the file in which the program notes that it was run.
	ran string
}

func newHostile(t *testing.T) hostile {
	t.Helper()
	h := hostile{repository: newRepository(t), ran: filepath.Join(t.TempDir(), "ran")}
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho \"$@\" >>'"+h.ran+"'\ncat\n"),
		0o700); err != nil { // #nosec G306 -- a program
		t.Fatal(err)
	}
	config := strings.NewReplacer("PROGRAM", program, "DIRECTORY", filepath.Dir(program)).Replace(everyProgram)
	h.put("mesh/a.cue", "a\n")
	h.base = h.commit("base")
	h.run("update-ref", "refs/remotes/origin/main", h.base)
	h.lookAlike(config)
	h.commit("pull request")

	own := filepath.Join(h.dir, ".git", "config")
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
	return h
}

// lookAlike makes mesh a repository with that configuration and another base, and adds an attribute for each way to run
// something.
func (h hostile) lookAlike(config string) {
	h.t.Helper()
	fake := newRepository(h.t)
	fake.put("a.cue", "evil\n")
	evil := fake.commit("evil")
	fake.run("update-ref", "refs/remotes/origin/main", evil)
	if err := os.CopyFS(filepath.Join(h.dir, "mesh"), os.DirFS(filepath.Join(fake.dir, ".git"))); err != nil {
		h.t.Fatal(err)
	}
	h.put("mesh/.gitattributes", "*.cue filter=x diff=x merge=x\n")
	h.put("mesh/config", "[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = .\n"+config)
}

// TestNothingRuns puts what Git would run into every setting, file and variable that names a program, and wants none
// of it run, neither by the configuration of the repository itself nor by a look-alike of a repository in the tree.
func TestNothingRuns(t *testing.T) {
	h := newHostile(t)
	r := h.find("mesh")
	if r.Top != h.dir || r.Prefix != "mesh" {
		t.Fatalf("the repository is %+v", r)
	}
	revision, err := r.Open(t.Context(), "origin/main", false)
	if err != nil || revision.Commit != h.base {
		t.Fatalf("the base is %+v: %v", revision, err)
	}
	into := t.TempDir()
	if err := revision.Write(t.Context(), into); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(filepath.Join(into, "a.cue")); string(data) != "a\n" {
		t.Errorf("the base has %q: %v", data, err)
	}
	h.put("mesh/a.cue", "edited\n")
	files := h.read("mesh", "a.cue")
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
	if err := os.RemoveAll(filepath.Join(h.dir, ".git", "objects", id[:2], id[2:])); err != nil {
		t.Fatal(err)
	}
	if err := revision.Write(t.Context(), t.TempDir()); err == nil {
		t.Error("a tree that is missing is written")
	}
	if said, err := os.ReadFile(h.ran); err == nil {
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
