package compiler_test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
)

// withoutExample are codes that no file of a mesh can cause: scripts prove them.
var withoutExample = []diag.Code{
	diag.NotCarried, diag.BadObject, diag.LetsMore,
	diag.Unreadable, diag.NotAModule, diag.NoUnits, diag.FileTooLarge, diag.InvalidUTF8, diag.LeavesModule,
	diag.ForeignOutput, diag.UnknownPackage, diag.NotAsCommitted, diag.CUETag, diag.OverLimit, diag.ModuleTooLarge,
	diag.RestIsWrong,
}

// TestExplain wants a page for every code, whose wrong example has the finding
// and whose right example has none.
func TestExplain(t *testing.T) {
	source, err := os.ReadFile("diag/codes.go")
	if err != nil {
		t.Fatal(err)
	}
	var constants []diag.Code
	for _, m := range regexp.MustCompile(`= "(MC[0-9]{4})"`).FindAllStringSubmatch(string(source), -1) {
		constants = append(constants, diag.Code(m[1]))
	}
	slices.Sort(constants)
	if pages := diag.Codes(); !slices.Equal(constants, pages) {
		t.Errorf("there are codes %v and pages for %v", constants, pages)
	}
	for _, code := range constants {
		t.Run(string(code), func(t *testing.T) {
			t.Parallel()
			text, _ := diag.Explain(code)
			if diag.Title(code) == "" || !strings.HasPrefix(text, "# "+string(code)+": ") {
				t.Errorf("the page begins with %.40q", text)
			}
			wrong, right := examples(t, text, "Wrong:"), examples(t, text, "Right:")
			if slices.Contains(withoutExample, code) {
				if len(wrong)+len(right) > 0 {
					t.Error("there are examples where none can be")
				}
				return
			}
			if found := compileFiles(t, wrong); !has(found, code) {
				t.Errorf("the wrong example has %v", codesOf(found))
			}
			if found := compileFiles(t, right); len(found) > 0 {
				t.Errorf("the right example has %v: %s", codesOf(found), found[0].Message)
			}
		})
	}
}

var block = regexp.MustCompile("(?s)```cue\n// ([^\n]+)\n(.*?)```")

// examples are the files below a heading, up to the next one.
func examples(t *testing.T, text, heading string) map[string]string {
	t.Helper()
	_, after, ok := strings.Cut(text, "\n"+heading+"\n")
	if !ok {
		return nil
	}
	after, _, _ = strings.Cut(after, "\nRight:\n")
	files := map[string]string{}
	for _, m := range block.FindAllStringSubmatch(after, -1) {
		files[m[1]] = m[2]
	}
	return files
}

func compileFiles(t *testing.T, files map[string]string) diag.List {
	t.Helper()
	if len(files) == 0 {
		t.Fatal("there is no example")
	}
	dir := t.TempDir()
	all := map[string]string{
		"cue.mod/module.cue": "module: \"shop.example/mesh@v0\"\nlanguage: version: \"v0.17.0\"\n",
		"mesh.cue":           "package shop\n\nmesh: {name: \"shop\", trustDomain: \"shop.example\"}\n",
	}
	for name, content := range files {
		all[name] = content
	}
	for name, content := range all {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r, err := compiler.Compile(context.Background(), compiler.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return r.Diagnostics
}

func has(found diag.List, code diag.Code) bool {
	return slices.ContainsFunc(found, func(d diag.Diagnostic) bool { return d.Code == code })
}

func codesOf(found diag.List) []diag.Code {
	var codes []diag.Code
	for _, d := range found {
		codes = append(codes, d.Code)
	}
	return codes
}
