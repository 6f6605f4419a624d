package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// outsider stands in the files that are outside of the module.
const outsider = "outsider-7c1e"

// escape is a way to read or write what is outside.
type escape struct {
	files map[string]string
	links map[string]string // by name, what they lead to; OUT is the directory outside
	args  []string
}

func fileOf(name, text string) escape { return escape{files: map[string]string{name: text}} }

func linkTo(name, to string) escape { return escape{links: map[string]string{name: to}} }

func serviceWith(field string) string {
	return "package shop\n\nservices: a: {workload: deployment: \"a\", ports: http: {port: 80, protocol: \"http\"}\n" + field + "\n}\n"
}

var escapes = map[string]escape{
	"a link to a file":      linkTo("a.cue", "OUT/outside.cue"),
	"a link that climbs":    linkTo("a.cue", "../outside/outside.cue"),
	"a link to a directory": linkTo("services", "OUT"),
	"a link to a link": {links: map[string]string{
		"a.cue":  "b.link",
		"b.link": "OUT/outside.cue",
	}},
	"a link to a password file": linkTo("a.cue", "/etc/passwd"),
	"a link to the environment": linkTo("a.cue", "/proc/self/environ"),
	"a link to memory":          linkTo("a.cue", "/proc/self/mem"),
	"a link to a device":        linkTo("a.cue", "/dev/zero"),
	"a link to itself":          linkTo("a.cue", "a.cue"),
	"a link for cue.mod/pkg": {
		links: map[string]string{"cue.mod/pkg": "OUT"},
		files: map[string]string{"a.cue": "package shop\n\nimport \"outside\"\n\n_x: outside\n"},
	},
	"a link for a package": {
		links: map[string]string{"cue.mod/pkg/x.example": "OUT"},
		files: map[string]string{"a.cue": "package shop\n\nimport \"x.example:shop\"\n\n_x: shop.secret\n"},
	},
	"a link for the schema": linkTo("cue.mod/pkg/github.com/meshc/meshc/schema", "OUT"),
	"an import that climbs": fileOf("a.cue", "package shop\n\nimport \"../outside\"\n"),
	"an import that climbs in the module": fileOf("a.cue",
		"package shop\n\nimport \"shop.example/mesh/../../outside:shop\"\n\n_x: shop.secret\n"),
	"an absolute import":      fileOf("a.cue", "package shop\n\nimport \"/etc\"\n"),
	"an import of a registry": fileOf("a.cue", "package shop\n\nimport \"github.com/x/y\"\n"),
	"an embedded file": fileOf("a.cue",
		"@extern(embed)\npackage shop\n\n_x: _ @embed(file=\"../outside/outside.cue\", type=text)\n"),
	"an embedded file by its absolute path": fileOf("a.cue",
		"@extern(embed)\npackage shop\n\n_x: _ @embed(file=\"OUT/outside.cue\", type=text)\n"),
	"embedded files": fileOf("a.cue",
		"@extern(embed)\npackage shop\n\n_x: _ @embed(glob=\"../*/*.cue\", type=text)\n"),
	"a command's file": fileOf("a_tool.cue",
		"package shop\n\nimport \"tool/file\"\n\ncommand: x: file.Read & {filename: \"../outside/outside.cue\"}\n"),
	"a package that reads": fileOf("a.cue",
		"package shop\n\nimport \"tool/exec\"\n\n_x: exec.Run & {cmd: \"cat ../outside/outside.cue\"}\n"),
	"a package from outside":         {args: []string{"../outside"}},
	"a package by its absolute path": {args: []string{"OUT"}},
	"all packages from outside":      {args: []string{"../..."}},
	"a name of a service": fileOf("a.cue",
		"package shop\n\nservices: \"../../outside/x\": {workload: deployment: \"a\"}\n"),
	"a namespace": fileOf("a.cue", serviceWith("namespace: \"../../../outside\"")),
	"an account":  fileOf("a.cue", serviceWith("account: \"../x\"")),
	"a name of the mesh": fileOf("mesh.cue",
		"package shop\n\nmesh: {name: \"../outside\", trustDomain: \"shop.example\"}\n"),
	"a file of endpoints": fileOf("a.cue",
		"package shop\n\nservices: a: {workload: file: \"../../outside/outside.json\", ports: http: {port: 80, protocol: \"http\"}}\n"),
	"a secret of a gateway": fileOf("a.cue",
		"package shop\n\ngateways: g: listeners: https: {port: 443, tls: secret: \"../../outside\"}\n"),
	"a deployment": fileOf("a.cue",
		"package shop\n\nservices: a: {workload: deployment: \"../x\", ports: http: {port: 80, protocol: \"http\"}}\n"),
	"a path of Flux": fileOf("mesh.cue",
		"package shop\n\nmesh: {name: \"shop\", trustDomain: \"shop.example\", flux: {url: \"https://git.example/x\", path: \"../../outside\"}}\n"),
	"a name of a version":      fileOf("a.cue", serviceWith("versions: \"../x\": labels: version: \"1\"")),
	"an output that is a link": {links: map[string]string{"out": "OUT"}},
	"an output with a link in it": {
		files: map[string]string{"out/x": ""},
		links: map[string]string{"out/envoy": "OUT"},
	},
}

// TestEscapes tries to read what is outside the module, and to write outside the output
// directory: nothing of the file outside is seen anywhere, and nothing but the output
// directory changes.
func TestEscapes(t *testing.T) {
	for name, e := range escapes {
		t.Run(name, e.fails)
	}
}

// fails compiles a mesh with the attempt in it: nothing of what is outside comes in, and nothing is written there.
func (e escape) fails(t *testing.T) {
	root := t.TempDir()
	dir, outside := filepath.Join(root, "mesh"), filepath.Join(root, "outside")
	e.layOut(t, dir, outside)
	before := snapshot(t, outside)
	args := []string{"compile", "--untrusted", "-o", "out"}
	for _, arg := range e.args {
		args = append(args, strings.ReplaceAll(arg, "OUT", outside))
	}
	code, out := meshcIn(t, dir, args...)
	if code == exitFault && !strings.Contains(out, "out") {
		t.Errorf("a fault: %s", out)
	}
	if strings.Contains(out, outsider) || strings.Contains(out, "root:x:") {
		t.Errorf("what is outside is shown: %s", out)
	}
	if after := snapshot(t, outside); after != before {
		t.Errorf("what is outside has changed:\n%s\n%s", before, after)
	}
	holdsNoOutsider(t, filepath.Join(dir, "out"))
	entries, err := os.ReadDir(root)
	if err != nil || len(entries) != 2 {
		t.Errorf("beside the mesh there is now %v, %v", entries, err)
	}
}

// layOut writes the mesh, and what is outside.
func (e escape) layOut(t *testing.T, dir, outside string) {
	t.Helper()
	writeAll(t, outside, map[string]string{
		"outside.cue":  "package shop\n\nsecret: \"" + outsider + "\"\n",
		"outside.json": "[\"" + outsider + "\"]",
	})
	files := map[string]string{
		"cue.mod/module.cue": moduleText,
		"mesh.cue":           "package shop\n\nmesh: {name: \"shop\", trustDomain: \"shop.example\"}\n",
	}
	for file, text := range e.files {
		files[file] = strings.ReplaceAll(text, "OUT", outside)
	}
	writeAll(t, dir, files)
	for file, to := range e.links {
		at := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(strings.ReplaceAll(to, "OUT", outside), at); err != nil {
			t.Fatal(err)
		}
	}
}

// holdsNoOutsider wants nothing of what is outside in the files below a directory.
func holdsNoOutsider(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return nil
		}
		data, err := os.ReadFile(name)
		if bytes.Contains(data, []byte(outsider)) {
			t.Errorf("what is outside is in %s", name)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// snapshot is all that a directory holds.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		fmt.Fprintln(&b, name, info.Mode(), info.ModTime(), info.Size())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
