package compiler_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// What people can still read at once: lines of a file and of a function, and columns of a line, of which a tab is four.
const (
	maxFile     = 400
	maxFunction = 80
	maxLine     = 120
)

// TestLength holds every file and function of the repository to what people can read at once, tests too. Generated
// files are nobody's to read.
func TestLength(t *testing.T) {
	err := filepath.WalkDir("..", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != ".." && strings.HasPrefix(entry.Name(), "."):
			return filepath.SkipDir
		case !strings.HasSuffix(name, ".go"):
			return nil
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		positions := token.NewFileSet()
		file, err := parser.ParseFile(positions, name, data, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		if ast.IsGenerated(file) {
			return nil
		}
		short := filepath.ToSlash(strings.TrimPrefix(name, ".."+string(filepath.Separator)))
		if lines := bytes.Count(data, []byte("\n")); lines > maxFile {
			t.Errorf("%s has %d lines, and may have %d: split it by what its parts are about", short, lines, maxFile)
		}
		for _, line := range wide(positions.File(file.Pos()), data) {
			t.Errorf("%s:%d has more than %d columns", short, line, maxLine)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			lines := positions.Position(f.End()).Line - positions.Position(f.Pos()).Line + 1
			if lines > maxFunction {
				t.Errorf("%s: %s has %d lines, and may have %d", short, f.Name.Name, lines, maxFunction)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// wide are the lines of a file that have too many columns, but for those with text in quotes, which is not divided.
func wide(file *token.File, data []byte) (out []int) {
	quoted := map[int]bool{}
	var s scanner.Scanner
	s.Init(token.NewFileSet().AddFile("", -1, len(data)), data, nil, 0)
	for {
		pos, kind, text := s.Scan()
		if kind == token.EOF {
			break
		}
		if kind == token.STRING || kind == token.CHAR {
			first := file.Line(file.Pos(int(pos) - 1))
			for n := range strings.Count(text, "\n") + 1 {
				quoted[first+n] = true
			}
		}
	}
	for i, line := range bytes.Split(data, []byte("\n")) {
		columns := utf8.RuneCount(line) + 3*bytes.Count(line, []byte("\t"))
		if columns > maxLine && !quoted[i+1] {
			out = append(out, i+1)
		}
	}
	return out
}
