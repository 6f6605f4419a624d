package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
)

// The modes of what a commit has.
const (
	modeFile      = "100644"
	modeProgram   = "100755"
	modeLink      = "120000"
	modeSubmodule = "160000"
)

// blob is what stands at a path of a commit: a file's content, or where a link leads.
type blob struct{ mode, text string }

// history is a random repository with a mesh of several units in it, one commit after the other.
type history struct {
	*rand.Rand
	// prefix is the mesh's directory, "" for the repository's root.
	prefix string
	tree   map[string]blob
}

func newHistory(seed uint64) *history {
	h := &history{Rand: rand.New(rand.NewPCG(seed, 1)), tree: map[string]blob{}}
	h.prefix = h.one("", "infra/mesh")
	h.put("cue.mod/module.cue", "module: \"shop.example/mesh@v0\"\nlanguage: version: \"v0.17.0\"\n")
	h.put("mesh.cue", "package shop\n\nmesh: {name: \"shop\", trustDomain: \"shop.example\"}\n"+
		"services: a: {workload: deployment: \"a\", uses: {b: {}, c: {}}}\n")
	h.put("shared/_deny.cue", "package shop\n\nservices: b: deny: [{from: anyone: true, paths: [\"/admin/*\"]}]\n")
	h.put("shared/rules.txt", "package shop\n\n// $Id$\nservices: c: deny: [{from: anyone: true, methods: [\"POST\"]}]\n")
	for _, name := range []string{"b", "c"} {
		h.service(name)
	}
	return h
}

func (h *history) one(of ...string) string { return of[h.IntN(len(of))] }

func (h *history) path(name string) string { return path.Join(h.prefix, name) }

func (h *history) put(name, text string) { h.tree[h.path(name)] = blob{modeFile, text} }

func (h *history) link(name, target string) { h.tree[h.path(name)] = blob{modeLink, target} }

// service writes a unit, with a rule that depends on each thing that Git can make otherwise of a file.
func (h *history) service(name string) {
	open := h.one("", "", "if \"$Id$\" == \"\\u0024Id\\u0024\" {{from: anyone: true}}, ",
		"if len(\"é\") == 2 {{from: anyone: true}}, ",
		"if len(\"\"\"\n\tx\n\ty\n\t\"\"\") == 3 {{from: anyone: true}}, ",
		"if \"POST\" == \"PO\"+\"ST\" {{from: anyone: true}}, ")
	text := fmt.Sprintf("package shop\n\n// %s\nservices: %s: {\n\tworkload: deployment: %q\n\tports: http: {port: 8080, protocol: \"http\"}\n"+
		"\tallow: [%s{from: services: [\"a\"], methods: [%q], paths: [\"/%s/*\"]}]\n}\n",
		h.one("$Id$", "$Id: kept $", "ü", "POST", "none"), name, name, open, h.one("GET", "POST", "PUT"),
		h.one("x", "y", "x/y"))
	if h.IntN(12) == 0 {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	h.put(h.unitOf(name), text)
}

// unitOf is the file of a service, where it is now.
func (h *history) unitOf(name string) string {
	for at := range h.tree {
		if path.Base(at) == name+".cue" {
			return strings.TrimPrefix(strings.TrimPrefix(at, h.prefix), "/")
		}
	}
	return path.Join("services", name, name+".cue")
}

// change makes the next commit of the tree.
func (h *history) change() {
	for range 1 + h.IntN(3) {
		switch h.IntN(9) {
		case 0, 1, 2:
			h.service(h.one("b", "c"))
		case 3:
			h.attributes()
		case 4:
			h.links()
		case 5:
			h.rename()
		case 6:
			h.lookAlike()
		case 7: // what may stand beside a mesh
			h.tree[h.one("README.md", "b.cue.txt", "other/a.cue")] = blob{
				h.one(modeFile, modeProgram),
				h.one("x\n", "$Id$\n", "package other\n"),
			}
			if h.IntN(4) == 0 {
				h.tree[h.one(h.path("services/sub"), h.path("_sub"), "beside")] = blob{
					modeSubmodule,
					strings.Repeat("1", 40),
				}
			}
		case 8: // back to what is plain
			maps.DeleteFunc(h.tree, func(name string, b blob) bool {
				return path.Base(name) == ".gitattributes" || b.mode == modeLink || b.mode == modeSubmodule
			})
		}
	}
}

func (h *history) attributes() {
	at := h.one(".gitattributes", h.path(".gitattributes"), h.path("services/.gitattributes"))
	text := ""
	if at == ".gitattributes" {
		text = "[attr]own ident\n"
	}
	for range 1 + h.IntN(2) {
		text += h.one("*.cue", "*", "b.cue", "services/**", "*.txt", "_deny.cue", "mesh.cue") + " " +
			h.one("ident", "-ident", "own", "text", "-text", "text=auto", "eol=crlf", "text eol=crlf", "eol=lf", "crlf",
				"crlf=input", "binary",
				"filter=x", "-filter", "filter=lfs", "export-subst", "export-ignore", "working-tree-encoding=UTF-16LE",
				"working-tree-encoding=UTF-8",
				"working-tree-encoding=ISO-8859-1", "working-tree-encoding=UTF-7", "diff=cue merge=union") + "\n"
	}
	h.tree[at] = blob{modeFile, text}
}

func (h *history) links() {
	of := h.one("b", "c")
	name := path.Join(path.Dir(h.unitOf(of)), "more.cue")
	up := strings.Repeat("../", strings.Count(name, "/"))
	if h.IntN(5) > 0 {
		h.link("shared/_again.cue", "_deny.cue")
		h.link("services/way", "../shared")
		h.link(name, up+map[string]string{
			"b": h.one("shared/_deny.cue", "shared/_again.cue", "services/way/_deny.cue"),
			"c": h.one("shared/rules.txt", "shared/../services//way/rules.txt"),
		}[of])
		return
	}
	h.link(name, h.one(up+"../../outside.cue", "/etc/passwd", up+"nowhere", path.Base(name), up+".git/config",
		up+"shared", "./"))
}

// rename moves the file of a unit within it, or the unit.
func (h *history) rename() {
	name := h.one("b", "c")
	from := h.path(h.unitOf(name))
	b, there := h.tree[from]
	if !there {
		return
	}
	delete(h.tree, from)
	if h.IntN(5) > 0 { // a link that stays behind is a service without the rest of it
		delete(h.tree, path.Join(path.Dir(from), "more.cue"))
	}
	h.tree[h.path(h.one("services/", "teams/", "services/HEAD/", "ü b/")+h.one(name, "x"+name)+"/"+name+".cue")] = b
}

// lookAlike puts files there that Git takes for a repository, and one that CUE takes for a module.
func (h *history) lookAlike() {
	if h.IntN(3) == 0 {
		h.put("services/nested/cue.mod/module.cue", "module: \"x.example@v0\"\nlanguage: version: \"v0.17.0\"\n")
		h.put("services/nested/x.cue", "package shop\n\nservices: b: mtls: \"off\"\n")
		return
	}
	dir := h.one("", "services/")
	for name, text := range map[string]string{
		"HEAD": "ref: refs/heads/main\n", "objects/keep": "", "refs/heads/main": strings.Repeat("0", 40) + "\n",
		"config": "[core]\n\tbare = false\n\tworktree = .\n\tfsmonitor = false\n[filter \"x\"]\n\tsmudge = sed s/GET/PUT/\n",
	} {
		h.put(dir+name, text)
	}
}

// fastImport is the tree as a commit that comes after the others, as git fast-import takes it: bytes that no attribute
// converts.
func (h *history) fastImport(n int) string {
	var out strings.Builder
	fmt.Fprintf(&out, "commit refs/heads/main\nmark :%d\ncommitter n <n@example.com> %d +0000\ndata 1\nx\n", n+1, n+1)
	if n > 0 {
		fmt.Fprintf(&out, "from :%d\n", n)
	}
	fmt.Fprintln(&out, "deleteall")
	for _, name := range slices.Sorted(maps.Keys(h.tree)) {
		b := h.tree[name]
		if b.mode == modeSubmodule {
			fmt.Fprintf(&out, "M %s %s %q\n", b.mode, b.text, name)
			continue
		}
		fmt.Fprintf(&out, "M %s inline \"%s\"\ndata %d\n%s\n", b.mode, name, len(b.text), b.text)
	}
	return out.String() + "\n"
}
