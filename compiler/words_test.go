package compiler_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// obscure are phrases that do not say at once what is meant to somebody whose first language is not English, and what
// to write instead.
var obscure = map[string]string{
	"takes it for":          "matches the callee X",
	"lets it not in":        "does not allow it",
	"does not let it in":    "does not allow it",
	"has not the right":     "is not a valid X",
	"which is the own of":   "which belongs to",
	"asks for leave":        "needs permission",
	"whom to trust":         "the trust bundle",
	"what becomes of":       "what happens to",
	"nobody to trust":       "no trust bundle",
	"in place of":           "instead of",
	"leave it out":          "omit it",
	"take it out":           "remove it",
	"is nobody's":           "belongs to no X",
	"it is only let in":     "it is allowed only",
	"needs not be":          "need not be",
	"are let in by":         "are allowed by",
	"be told apart by what": "be distinguished by",
}

// isNo finds "X is no Y", where "X is not a valid Y" is plain.
var isNo = regexp.MustCompile(`(\w+),? is no (\w+)`)

// notPlain is what is wrong with a text that users read; "" for nothing.
func notPlain(text string) string {
	for phrase, better := range obscure {
		if strings.Contains(text, phrase) {
			return strconv.Quote(phrase) + ": write " + better
		}
	}
	for _, m := range isNo.FindAllStringSubmatch(text, -1) {
		if m[1] != "there" && m[1] != "There" && m[2] != "longer" && m[2] != "more" {
			return strconv.Quote(m[0]) + ": write is not a valid " + m[2]
		}
	}
	return ""
}

// TestTextsArePlain holds the texts that users read, which are the strings of the code and the pages about findings,
// to the field's own words.
func TestTextsArePlain(t *testing.T) {
	read := 0
	check := func(where, text string) {
		read++
		if wrong := notPlain(text); wrong != "" {
			t.Errorf("%s: %s", where, wrong)
		}
	}
	err := filepath.WalkDir("..", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && (e.Name() == "testdata" || e.Name() == "bin" || len(e.Name()) > 2 && e.Name()[0] == '.'):
			return filepath.SkipDir
		case strings.HasSuffix(name, ".md") && strings.Contains(name, "explain"):
			data, err := os.ReadFile(name)
			check(name, string(data))
			return err
		case !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, name, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				if text, err := strconv.Unquote(literal.Value); err == nil {
					check(files.Position(literal.Pos()).String(), text)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if read < 5000 {
		t.Errorf("only %d texts were read", read)
	}
	if notPlain("%q is no host") == "" || notPlain("there is no host") != "" {
		t.Error("the test finds nothing")
	}
}
