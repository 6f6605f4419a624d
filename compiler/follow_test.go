package compiler_test

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/format"
	"cuelang.org/go/cue/parser"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/source"
)

// An edit follows a hint: it changes the files of a spec where a finding is, and reports whether it could.
type edit func(s *site) bool

// The forms of hints that can be followed without understanding them. What is written in capitals or as "…" is the
// reader's to fill in.
var (
	didYouMean = regexp.MustCompile(`^did you mean ("[^"]*")\?$`)
	thereAre   = regexp.MustCompile(`^there are ([A-Za-z][^ ,]*)(, |$)`)
	takeItOut  = regexp.MustCompile(
		`^(?:remove|omit) (?:it|them|one of them|one of the rules|the (?:probe|call|rule|issuer))(?:$|[^ ]| [^f]| fo)`)
	takeOut = regexp.MustCompile(
		`^(?:remove|omit) ([A-Za-z][A-Za-z0-9.-]*(?: and [A-Za-z][A-Za-z0-9.-]*)*)(?:$|[^ a-z]| [^f]| fo)`)
	takeOutOf   = regexp.MustCompile(`^remove ([A-Za-z0-9]+) from ([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)`)
	addElement  = regexp.MustCompile(`^add (\{.*\}) to ([a-z][^ ]*)$`)
	addTo       = regexp.MustCompile(`^add to ([a-z][^ ]*): (.*)$`)
	inPlace     = regexp.MustCompile(`^(.*?)(?: or less| or more)? in ((?:services|gateways)\.[^ ,]+)(?:,.*)?$`)
	orElse      = regexp.MustCompile(` or (?:less|more|"[^"]*")$`)
	wordsEnd    = regexp.MustCompile(`: |\bwrite `)
	placeholder = regexp.MustCompile(`\b(?:NAME|VALUE|BEGIN|DOMAIN|HOST|NAMESPACE)\b|…`)
)

// alternatives are the ways that a hint gives, each with what it may mean; those that only a reader understands have
// no edit.
func alternatives(d diag.Diagnostic) [][]edit {
	if strings.HasSuffix(d.Hint, ".") {
		return nil // what the schema says of a field
	}
	var out [][]edit
	for text := range strings.SplitSeq(d.Hint, ", or ") {
		all := []edit{func(*site) bool { return true }}
		for part := range strings.SplitSeq(text, ", and ") {
			var both []edit
			for _, a := range all {
				for _, b := range meanings(d, strings.TrimPrefix(strings.TrimPrefix(part, "instead of bind, "),
					"write ")) {
					both = append(both, func(s *site) bool { return a(s) && b(s) })
				}
			}
			all = both
		}
		if len(all) > 0 {
			out = append(out, all)
		}
	}
	return out
}

// meanings are what the reader of a hint may do.
func meanings(d diag.Diagnostic, text string) []edit {
	switch {
	case didYouMean.MatchString(text):
		word, _ := strconv.Unquote(didYouMean.FindStringSubmatch(text)[1])
		return []edit{func(s *site) bool { return s.rename(d.Message, word) }}
	case thereAre.MatchString(text):
		word := thereAre.FindStringSubmatch(text)[1]
		if word == "none" {
			return nil
		}
		return []edit{func(s *site) bool { return s.rename(d.Message, word) }}
	case takeItOut.MatchString(text):
		return []edit{(*site).remove, (*site).removeAround}
	case takeOut.MatchString(text):
		names := strings.Split(takeOut.FindStringSubmatch(text)[1], " and ")
		return []edit{func(s *site) bool {
			return !slices.ContainsFunc(names,
				func(name string) bool { return !s.removeNamed(strings.Split(name, ".")) })
		}}
	case takeOutOf.MatchString(text):
		m := takeOutOf.FindStringSubmatch(text)
		return []edit{func(s *site) bool { return s.removeNamed(append(strings.Split(m[2], "."), m[1])) }}
	case strings.HasSuffix(text, "put the narrower route first"):
		return []edit{(*site).first}
	case placeholder.MatchString(text):
		return nil
	case addElement.MatchString(text):
		m := addElement.FindStringSubmatch(text)
		return []edit{func(s *site) bool { return s.appendTo(m[2], m[1]) }}
	case addTo.MatchString(text):
		m := addTo.FindStringSubmatch(text)
		return written(m[2], m[1])
	case inPlace.MatchString(text):
		m := inPlace.FindStringSubmatch(text)
		return written(m[1], m[2])
	}
	return written(text, "")
}

// written are what it may mean to write the CUE at the end of a text: in place of what is there, or into it.
func written(text, at string) []edit {
	text = orElse.ReplaceAllString(text, "")
	for start := 0; start <= len(text); {
		rest := text[start:]
		if literal, after, ok := cutLiteral(rest); ok && at == "" && (after == "" || strings.HasPrefix(after, " or ") ||
			strings.HasPrefix(after, ", ")) {
			return []edit{func(s *site) bool { return s.replace(literal) }}
		}
		if f, err := parser.ParseFile("hint", rest); err == nil && len(f.Decls) > 0 &&
			!slices.ContainsFunc(f.Decls, func(d ast.Decl) bool { return !concrete(d) }) {
			var out []edit
			for _, replace := range []bool{false, true} {
				for _, where := range []placement{named, inside, beside} {
					out = append(out, func(s *site) bool { return s.write(rest, at, replace, where) })
				}
			}
			return out
		}
		next := wordsEnd.FindStringIndex(rest)
		if next == nil {
			return nil
		}
		start += next[1]
	}
	return nil
}

// concrete reports whether what is written are fields with values and no names of anything.
func concrete(d ast.Decl) bool {
	f, ok := d.(*ast.Field)
	if !ok {
		return false
	}
	switch v := f.Value.(type) {
	case *ast.BasicLit:
		return true
	case *ast.StructLit:
		return !slices.ContainsFunc(v.Elts, func(d ast.Decl) bool { return !concrete(d) })
	case *ast.ListLit:
		return !slices.ContainsFunc(v.Elts,
			func(e ast.Expr) bool { return !concrete(&ast.Field{Label: ast.NewIdent("_"), Value: e}) })
	}
	return false
}

// cutLiteral cuts a string of CUE off the beginning of a text.
func cutLiteral(text string) (literal, after string, ok bool) {
	quoted, err := strconv.QuotedPrefix(text)
	return quoted, strings.TrimPrefix(text, quoted), err == nil && quoted != "" && quoted[0] == '"'
}

// site is a finding's place in the files of a spec.
type site struct {
	files map[string]*ast.File
	file  *ast.File
	nodes []ast.Node // from the file to the innermost that stands at the place
}

// open parses the files and finds the place.
func open(files map[string]string, at source.Position) *site {
	s := &site{files: map[string]*ast.File{}}
	for name, text := range files {
		if path.Ext(name) != ".cue" {
			continue
		}
		f, err := parser.ParseFile(name, text, parser.ParseComments)
		if err != nil {
			return nil
		}
		s.files[name] = f
	}
	if s.file = s.files[at.File]; s.file == nil || at.Line == 0 {
		return nil
	}
	contains := func(n ast.Node) bool {
		before := func(aLine, aColumn, bLine, bColumn int) bool {
			return aLine < bLine || aLine == bLine && aColumn <= bColumn
		}
		from, to := n.Pos(), n.End()
		return before(from.Line(), from.Column(), at.Line, at.Column) &&
			!before(to.Line(), to.Column(), at.Line, at.Column)
	}
	s.nodes = []ast.Node{s.file}
	var walk func(n ast.Node)
	walk = func(n ast.Node) {
		for _, child := range children(n) {
			if contains(child) {
				s.nodes = append(s.nodes, child)
				walk(child)
				return
			}
		}
	}
	walk(s.file)
	return s
}

// children are the parts of a node in which a finding can stand.
func children(n ast.Node) (out []ast.Node) {
	switch n := n.(type) {
	case *ast.File:
		for _, d := range n.Decls {
			out = append(out, d)
		}
	case *ast.StructLit:
		for _, d := range n.Elts {
			out = append(out, d)
		}
	case *ast.ListLit:
		for _, e := range n.Elts {
			out = append(out, e)
		}
	case *ast.Field:
		out = append(out, n.Label, n.Value)
	}
	return out
}

// print are the files as they are now; nil when one of them cannot be.
func (s *site) print(files map[string]string) map[string]string {
	out := maps.Clone(files)
	for name, f := range s.files {
		text, err := format.Node(f)
		if err != nil {
			return nil
		}
		out[name] = string(text)
	}
	return out
}
