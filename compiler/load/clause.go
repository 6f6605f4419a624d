package load

import (
	"bytes"

	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/scanner"
	"cuelang.org/go/cue/token"

	"github.com/meshc/meshc/compiler/diag"
)

// packageName is the name in the file's package clause, as CUE's own parser reads it; "" when there is none.
func packageName(name string, data []byte) (string, *diag.Diagnostic) {
	if clause, ok := clauseOf(data); ok {
		if syntax, err := parser.ParseFile(name, clause, parser.PackageClauseOnly); err == nil {
			return syntax.PackageName(), nil
		}
	}
	syntax, err := parser.ParseFile(name, data, parser.PackageClauseOnly)
	if err != nil {
		d := fromCUE(err, diag.CUESyntax, "")[0]
		return "", &d
	}
	return syntax.PackageName(), nil
}

// clauseOf is what a file says up to the end of its package clause, without comments: the parser makes a value of each
// line of a comment, which costs many times the size of the file. It is false where it is not known that the clause
// is right.
func clauseOf(data []byte) (clause []byte, ok bool) {
	var s scanner.Scanner
	s.Init(token.NewFile("", -1, len(data)), data, nil, 0)
	var out bytes.Buffer
	for {
		_, tok, text := s.Scan()
		switch {
		case s.ErrorCount > 0:
			return nil, false
		case tok == token.ATTRIBUTE || tok == token.COMMA:
			out.WriteString(text)
			continue
		case tok != token.IDENT || text != "package":
			return out.Bytes(), true
		}
		_, tok, text = s.Scan()
		if tok != token.IDENT {
			return nil, false
		}
		out.WriteString("package " + text + "\n")
		_, tok, _ = s.Scan()
		return out.Bytes(), s.ErrorCount == 0 && (tok == token.COMMA || tok == token.EOF)
	}
}
