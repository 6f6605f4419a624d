package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "write what the tests got as what they want")

// defaults are the files of a wrong spec that it does not have itself. A spec
// with a file named .no-module is in no module.
var defaults = map[string]string{
	"cue.mod/module.cue": "module: \"shop.example/mesh@v0\"\nlanguage: version: \"v0.17.0\"\n",
	"mesh.cue":           "package shop\n\nmesh: {name: \"shop\", trustDomain: \"shop.example\"}\n",
}

// TestWrong runs meshc vet on each spec of testdata/wrong and wants the output
// that stands beside it. Update it with -update, and read the difference.
func TestWrong(t *testing.T) {
	files, err := filepath.Glob("../../testdata/wrong/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 60 {
		t.Errorf("there are %d wrong specs, and there should be at least 60", len(files))
	}
	t.Setenv("MESHC_CACHE", t.TempDir())
	for _, file := range files {
		absolute, err := filepath.Abs(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { wrong(t, absolute) })
	}
}

func wrong(t *testing.T, name string) {
	archive, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	const wanted = "stderr"
	i := slices.IndexFunc(archive.Files, func(f txtar.File) bool { return f.Name == wanted })
	var want []byte
	if i >= 0 {
		want = archive.Files[i].Data
		archive.Files = slices.Delete(archive.Files, i, i+1)
	}
	dir := t.TempDir()
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		t.Fatal(err)
	}
	layOut(t, dir, archive)
	t.Chdir(dir)
	var stdout, stderr bytes.Buffer
	code := run([]string{"vet"}, strings.NewReader(""), &stdout, &stderr)
	got := bytes.ReplaceAll(stderr.Bytes(), []byte(dir), []byte("DIR"))
	if stdout.Len() > 0 {
		t.Errorf("stdout has %q", stdout.String())
	}
	wantCode := exitGood
	switch {
	case bytes.Contains(got, []byte("error MC0003: .")):
		wantCode = exitFault
	case bytes.Contains(got, []byte("error MC")):
		wantCode = exitFindings
	}
	if code != wantCode {
		t.Errorf("exit code %d, want %d", code, wantCode)
	}
	if len(got) == 0 {
		t.Error("nothing was found")
	}
	if *update {
		archive.Files = append(archive.Files, txtar.File{Name: wanted, Data: got})
		if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	// What was evaluated before and is kept is what it was.
	var again bytes.Buffer
	if kept := run([]string{"vet"}, strings.NewReader(""), &stdout, &again); kept != code ||
		again.String() != stderr.String() {
		t.Errorf("the second time it exits with %d and says:\n%s", kept, again.String())
	}
}

func layOut(t *testing.T, dir string, archive *txtar.Archive) {
	t.Helper()
	files := map[string]string{}
	for _, f := range archive.Files {
		if !strings.HasPrefix(f.Name, "right/") { // what the hints lead to: TestHints (compiler)
			files[f.Name] = string(f.Data)
		}
	}
	for name, content := range defaults {
		_, written := files[name]
		_, noModule := files[".no-module"]
		if !written && !(noModule && name == "cue.mod/module.cue") {
			files[name] = content
		}
	}
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
