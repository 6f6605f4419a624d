package revision

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/diag"
)

// TestConversions commits and checks out files that Git converts in each way that it knows, and wants a finding that
// names file and attribute: of the work tree, and of the commit.
func TestConversions(t *testing.T) {
	for name, c := range map[string]struct {
		attributes, text string
		config           []string
		tree, commit     string // what each is told; empty for nothing
	}{
		"plain": {"", "a\n", nil, "", ""},
		"harmless": {
			"*.cue diff=cue merge=union export-subst -text working-tree-encoding=utf-8",
			"a $Id$\n", nil, "", "",
		},
		"ident":             {"*.cue ident", "a $Id$\n", nil, "ident", "ident"},
		"ident without use": {"*.cue ident", "a\n", nil, "", ""},
		"filter": {
			"*.cue filter=x", "a\n",
			[]string{"filter.x.smudge=tr a b", "filter.x.clean=cat"},
			"filter=x", "filter=x",
		},
		"a filter that is none": {"*.cue filter=lfs", "a\n", nil, "filter=lfs", "filter=lfs"},
		"encoding": {
			"*.cue working-tree-encoding=UTF-16LE", "a\n", nil, "working-tree-encoding=UTF-16LE",
			"working-tree-encoding=UTF-16LE",
		},
		"line ends":             {"*.cue text eol=crlf", "a\n", nil, "eol=crlf", "eol=crlf"},
		"line ends of binaries": {"*.cue eol=crlf -text", "a\n", nil, "", ""},
		"text":                  {"* text=auto", "a\n", nil, "", ""},
		"autocrlf":              {"", "a\n", []string{"core.autocrlf=true"}, "core.autocrlf=true", ""},
		"macro":                 {"[attr]own ident\n*.cue own", "a $Id: x $\n", nil, "ident", "ident"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRepository(t)
			for _, c := range c.config {
				key, value, _ := strings.Cut(c, "=")
				g.run("config", key, value)
			}
			blob := filepath.Join(g.dir, "blob")
			g.put("blob", c.text)
			id := g.run("hash-object", "-w", "--no-filters", blob)
			if err := os.Remove(blob); err != nil {
				t.Fatal(err)
			}
			g.put(".gitattributes", c.attributes+"\n")
			g.run("add", ".gitattributes")
			g.run("update-index", "--add", "--cacheinfo", "100644,"+id+",mesh/a.cue")
			g.run("commit", "-q", "-m", "first")
			g.run("checkout-index", "-a", "-f")
			r := g.find("mesh")
			tree, err := r.Check(t.Context(), g.read("mesh", "a.cue"))
			if err != nil {
				t.Fatal(err)
			}
			told(t, "the work tree", tree, c.tree)
			revision, err := r.Open(t.Context(), "HEAD", false)
			if err != nil {
				t.Fatal(err)
			}
			commit, err := revision.Check(t.Context(), []File{{"a.cue", "a.cue", []byte(c.text)}})
			if err != nil {
				t.Fatal(err)
			}
			told(t, "the commit", commit, c.commit)
		})
	}
}

func told(t *testing.T, of string, found diag.List, want string) {
	t.Helper()
	switch {
	case want == "" && len(found) > 0:
		t.Errorf("of %s is told %v", of, found)
	case want != "" && (len(found) != 1 || !strings.Contains(found[0].Message, want) ||
		!strings.Contains(found[0].Message, "a.cue")):
		t.Errorf("of %s is told %v, and not of %s", of, found, want)
	}
}

// TestUnnoticed has files that Git takes for unmodified and that are not what it has. An edit is none of them.
func TestUnnoticed(t *testing.T) {
	g := newRepository(t)
	g.put("a.cue", "a $Id$\n")
	g.put("b.cue", "b\n")
	g.put("c.cue", "c\n")
	g.put("d.cue", "d\n")
	g.commit("plain")
	g.put(".gitattributes", "a.cue ident\n")
	g.commit("with an attribute")
	if err := os.Remove(filepath.Join(g.dir, "a.cue")); err != nil {
		t.Fatal(err)
	}
	g.run("checkout", "--", "a.cue")
	past := time.Now().Add(-time.Hour) // before the index was written, which Git needs to believe it
	if err := os.Chtimes(filepath.Join(g.dir, "a.cue"), past, past); err != nil {
		t.Fatal(err)
	}
	g.run("update-index", "--refresh")
	g.run("checkout", "-q", "HEAD~1") // which leaves a.cue as it is
	if text := g.read("", "a.cue")[0].Data; !strings.Contains(string(text), "$Id: ") {
		t.Fatalf("a.cue is %q", text)
	}
	g.put("b.cue", "edited\n")
	g.run("update-index", "--assume-unchanged", "c.cue")
	g.put("c.cue", "hidden\n")
	g.run("update-index", "--skip-worktree", "d.cue")
	if err := os.Remove(filepath.Join(g.dir, "d.cue")); err != nil {
		t.Fatal(err)
	}
	found, err := g.find("").Check(t.Context(), g.read("", "a.cue", "b.cue", "c.cue"))
	if err != nil {
		t.Fatal(err)
	}
	var of []string
	for _, d := range found {
		of = append(of, d.Positions[0].File)
	}
	if got := strings.Join(of, " "); got != "a.cue c.cue d.cue" {
		t.Errorf("told of %s: %v", got, found)
	}
}

// TestSubmodules are told where a mesh could have files, in either.
func TestSubmodules(t *testing.T) {
	other := newRepository(t)
	other.put("x.cue", "x")
	other.commit("x")
	g := newRepository(t)
	for _, at := range []string{"mesh/sub", "mesh/_sub", "beside"} {
		g.run("submodule", "--quiet", "add", other.dir, at)
	}
	g.commit("first")
	r := g.find("mesh")
	tree, err := r.Check(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	revision, err := r.Open(t.Context(), "HEAD", false)
	if err != nil {
		t.Fatal(err)
	}
	commit, err := revision.Check(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range []diag.List{tree, commit} {
		if len(found) != 1 || !strings.HasPrefix(found[0].Message, "sub is a submodule") {
			t.Errorf("told %v", found)
		}
	}
	inner := g.find("mesh/sub")
	if inner.Top != filepath.Join(g.dir, "mesh/sub") {
		t.Errorf("the submodule is %s", inner.Top)
	}
	if err := inner.Own(t.Context()); err == nil {
		t.Error("a submodule is a repository of its own")
	}
	if err := r.Own(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestConvertedAttributes has a checkout convert .gitattributes itself, so that what is committed says more than the
// work tree.
func TestConvertedAttributes(t *testing.T) {
	g := newRepository(t)
	g.put("a.cue", "a: {}\n")
	g.put("attributes", "* working-tree-encoding=UTF-7\n")
	g.run("add", "a.cue")
	g.run("update-index", "--add", "--cacheinfo", "100644,"+g.run("hash-object", "-w", "--no-filters", "attributes")+
		",.gitattributes")
	g.run("commit", "-q", "-m", "first")
	if err := os.Remove(filepath.Join(g.dir, "a.cue")); err != nil {
		t.Fatal(err)
	}
	g.run("checkout-index", "-a", "-f")
	if text := string(g.read("", ".gitattributes")[0].Data); strings.HasPrefix(text, "* ") {
		t.Fatalf(".gitattributes is %q", text)
	}
	for name, files := range map[string][]File{
		"read":       g.read("", "a.cue"),
		"unreadable": {{Path: "a.cue", Target: "a.cue"}},
	} {
		found, err := g.find("").Check(t.Context(), files)
		if err != nil {
			t.Fatal(err)
		}
		told(t, name, found, "working-tree-encoding=UTF-7")
	}
}
