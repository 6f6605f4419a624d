package spec

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/token"

	"github.com/meshc/meshc/compiler/source"
)

// Locator knows where the values of a unit were written.
type Locator struct {
	files   []string
	indices map[string]int // by the names that the syntax knows the files by
	root    *node
}

// NewLocator is the locator of a unit's files, from the module's root down. The
// names are relative to the module's root.
func NewLocator(names []string, syntax []*ast.File) *Locator {
	l := &Locator{files: names, indices: make(map[string]int, len(names)), root: index(syntax)}
	for i, f := range syntax {
		l.indices[f.Filename] = i
	}
	return l
}

// Position is where the value at that path was written: in the syntax if the
// path stands there or a pattern makes it, else where CUE says that it came
// from. It is not valid when that is in none of the unit's files.
func (l *Locator) Position(v cue.Value, path []string) source.Position {
	u := Unit{Files: l.files}
	return u.At(l.find(v, l.placeAt(path)))
}

// First is the beginning of the unit's last file, the one nearest to it.
func (l *Locator) First() source.Position {
	return source.Position{File: l.files[len(l.files)-1], Line: 1, Column: 1}
}

// Children are the names that the syntax writes out below a path, sorted.
func (l *Locator) Children(path []string) []string {
	names := map[string]bool{}
	for _, n := range l.placeAt(path) {
		for name := range n.children {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func (l *Locator) placeAt(path []string) place {
	p := place{l.root}
	for _, name := range path {
		p = p.get(name)
	}
	return p
}

// find is where the value was written; 0 when that is not known.
func (l *Locator) find(v cue.Value, at place) Pos {
	for _, n := range at {
		if p := l.pack(n.pos); p != 0 {
			return p
		}
	}
	return l.pack(v.Pos())
}

func (l *Locator) pack(pos token.Pos) Pos {
	if !pos.IsValid() {
		return 0
	}
	p := pos.Position()
	file, ok := l.indices[p.Filename]
	if !ok {
		return 0
	}
	return pack(file, p.Line, p.Column)
}

// place is all that the syntax says of one path: where it is written out, then
// the patterns that make it.
type place []*node

// get is the place of that name below.
func (p place) get(name string) place {
	var below, made place
	for _, n := range p {
		if c := n.children[name]; c != nil {
			below = append(below, c)
		}
		for _, pattern := range n.patterns {
			if pattern.matches(name) {
				made = append(made, &pattern.node)
			}
		}
	}
	return append(below, made...)
}

// node is where a path of the spec was written, and what lies below it.
type node struct {
	pos      token.Pos
	children map[string]*node
	patterns []*pattern
}

// pattern is a field whose label is a pattern: [Name=string]: …
type pattern struct {
	node
	matches func(name string) bool
}

// index finds where each path was written in the syntax. Files that come later,
// those nearer to the unit, win. Paths that only a comprehension or a reference
// makes are not in it.
func index(files []*ast.File) *node {
	root := &node{}
	for _, f := range files {
		root.decls(f.Decls)
	}
	return root
}

func (n *node) decls(decls []ast.Decl) {
	for _, decl := range decls {
		switch d := decl.(type) {
		case *ast.Field:
			if name, ok := staticLabel(d.Label); ok {
				child := n.child(name)
				child.pos = d.Label.Pos()
				child.expr(d.Value)
			} else if list, ok := d.Label.(*ast.ListLit); ok && len(list.Elts) == 1 {
				made := &pattern{matches: patternMatch(list.Elts[0])}
				made.pos = d.Label.Pos()
				made.expr(d.Value)
				n.patterns = append(n.patterns, made)
			}
		case *ast.EmbedDecl:
			n.expr(d.Expr)
		}
	}
}

func (n *node) expr(e ast.Expr) {
	switch x := e.(type) {
	case *ast.StructLit:
		n.decls(x.Elts)
	case *ast.ParenExpr:
		n.expr(x.X)
	case *ast.BinaryExpr:
		if x.Op == token.AND {
			n.expr(x.X)
			n.expr(x.Y)
		}
	case *ast.ListLit:
		for i, elem := range x.Elts {
			switch elem.(type) {
			case *ast.Ellipsis, *ast.Comprehension:
				return
			}
			child := n.child(strconv.Itoa(i))
			child.pos = elem.Pos()
			child.expr(elem)
		}
	}
}

func (n *node) child(name string) *node {
	if n.children == nil {
		n.children = make(map[string]*node)
	}
	c := n.children[name]
	if c == nil {
		c = &node{}
		n.children[name] = c
	}
	return c
}

// patternMatch says which names a pattern takes, as far as the syntax tells:
// string, a literal, and =~ with a literal. It takes none that it cannot tell.
func patternMatch(e ast.Expr) func(string) bool {
	switch x := e.(type) {
	case *ast.Alias:
		return patternMatch(x.Expr)
	case *ast.Ident:
		return func(string) bool { return x.Name == "string" || x.Name == "_" }
	case *ast.BasicLit:
		if text, err := literal.Unquote(x.Value); err == nil {
			return func(name string) bool { return name == text }
		}
	case *ast.UnaryExpr:
		if lit, ok := x.X.(*ast.BasicLit); ok && x.Op == token.MAT {
			text, _ := literal.Unquote(lit.Value)
			if re, err := regexp.Compile(text); err == nil {
				return re.MatchString
			}
		}
	}
	return func(string) bool { return false }
}

// staticLabel is the name of a field that is written out.
func staticLabel(label ast.Label) (string, bool) {
	switch l := label.(type) {
	case *ast.Ident: // hidden fields and definitions are the user's own
		return l.Name, !strings.HasPrefix(l.Name, "_") && !strings.HasPrefix(l.Name, "#")
	case *ast.BasicLit:
		name, err := literal.Unquote(l.Value)
		return name, err == nil
	case *ast.Alias:
		inner, ok := l.Expr.(ast.Label)
		if !ok {
			return "", false
		}
		return staticLabel(inner)
	}
	return "", false
}
