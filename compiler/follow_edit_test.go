package compiler_test

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"
)

// named is a field's name, as it is without quotes.
func nameOf(n ast.Node) string {
	switch n := n.(type) {
	case *ast.Ident:
		return n.Name
	case *ast.BasicLit:
		if text, err := strconv.Unquote(n.Value); err == nil {
			return text
		}
		return n.Value
	}
	return ""
}

// quoted are the words that a message quotes.
var quoted = regexp.MustCompile(`"([^"]*)"`)

// rename writes another word in place of the one that the message quotes, or else of what stands at the place.
func (s *site) rename(message, word string) bool {
	to := ast.NewString(word)
	wrong := map[string]bool{}
	for _, m := range quoted.FindAllStringSubmatch(message, -1) {
		wrong[m[1]] = true
	}
	var find func(n ast.Node, is func(ast.Node) bool) bool
	find = func(n ast.Node, is func(ast.Node) bool) bool {
		switch n := n.(type) {
		case *ast.Field:
			if is(n.Label) {
				n.Label = to
				return true
			}
			if is(n.Value) {
				n.Value = to
				return true
			}
		case *ast.ListLit:
			for i := range n.Elts {
				if is(n.Elts[i]) {
					n.Elts[i] = to
					return true
				}
			}
		}
		return slices.ContainsFunc(children(n), func(c ast.Node) bool { return find(c, is) })
	}
	for i := len(s.nodes) - 1; i > 0; i-- {
		if _, ok := s.nodes[i].(*ast.File); !ok &&
			find(s.nodes[i], func(n ast.Node) bool { return wrong[nameOf(n)] && nameOf(n) != "" }) {
			return true
		}
	}
	last := s.nodes[len(s.nodes)-1]
	return len(s.nodes) > 1 && find(s.nodes[len(s.nodes)-2], func(n ast.Node) bool { return n == last })
}

// removeFrom takes a field or an element out of what has it.
func removeFrom(parent, child ast.Node) bool {
	switch p := parent.(type) {
	case *ast.File:
		p.Decls = slices.DeleteFunc(p.Decls, func(d ast.Decl) bool { return d == child })
	case *ast.StructLit:
		p.Elts = slices.DeleteFunc(p.Elts, func(d ast.Decl) bool { return d == child })
	case *ast.ListLit:
		p.Elts = slices.DeleteFunc(p.Elts, func(e ast.Expr) bool { return e == child })
	default:
		return false
	}
	return true
}

// remove takes the innermost field or element out that stands at the place.
func (s *site) remove() bool { return s.removeAt(0) }

// removeAround takes the one around it out.
func (s *site) removeAround() bool { return s.removeAt(1) }

func (s *site) removeAt(skip int) bool {
	for i := len(s.nodes) - 1; i > 0; i-- {
		_, field := s.nodes[i].(*ast.Field)
		_, element := s.nodes[i-1].(*ast.ListLit)
		if !field && !element {
			continue
		}
		if skip--; skip < 0 {
			return removeFrom(s.nodes[i-1], s.nodes[i])
		}
	}
	return false
}

// removeNamed takes a field out by its path, from the place or from the top.
func (s *site) removeNamed(path []string) bool {
	for i := len(s.nodes) - 1; i >= 0; i-- {
		if removePath(s.nodes[i], path) {
			return true
		}
	}
	for _, f := range s.files {
		if removePath(f, path) {
			return true
		}
	}
	return false
}

func removePath(n ast.Node, path []string) bool {
	if f, ok := n.(*ast.Field); ok {
		return removePath(f.Value, path)
	}
	for _, child := range children(n) {
		f, ok := child.(*ast.Field)
		if !ok {
			if len(path) == 1 && nameOf(child) == path[0] {
				return removeFrom(n, child)
			}
			continue
		}
		if nameOf(f.Label) != path[0] {
			continue
		}
		if len(path) == 1 {
			return removeFrom(n, child)
		}
		if removePath(f.Value, path[1:]) {
			return true
		}
	}
	return false
}

// replace writes a literal in place of the value at the place.
func (s *site) replace(literal string) bool {
	value, err := parser.ParseExpr("hint", literal)
	if err != nil {
		return false
	}
	for i := len(s.nodes) - 1; i > 0; i-- {
		switch parent := s.nodes[i-1].(type) {
		case *ast.ListLit:
			parent.Elts[slices.IndexFunc(parent.Elts, func(e ast.Expr) bool { return e == s.nodes[i] })] = value
			return true
		case *ast.Field:
			if _, name := parent.Value.(*ast.BasicLit); name || parent.Value == s.nodes[i] {
				parent.Value = value
				return true
			}
			parent.Label = ast.NewString(nameOf(value))
			return true
		}
	}
	return false
}

// placement is where a field is written that a hint names.
type placement int

const (
	named  placement = iota // where one of that name is, at the place or around it; at the top what belongs there
	inside                  // into the struct at the place
	beside                  // into the struct around it
)

var top = []string{"mesh", "services", "gateways", "external", "tests"}

// write writes fields, in place of those of the same name or into them.
func (s *site) write(text, at string, replace bool, where placement) bool {
	f, err := parser.ParseFile("hint", text)
	if err != nil {
		return false
	}
	if at != "" {
		into := s.structAt(strings.Split(at, "."))
		return into != nil && where == named && set(into, f.Decls, replace)
	}
	name := nameOf(f.Decls[0].(*ast.Field).Label)
	seen := 0
	for i := len(s.nodes) - 1; i >= 0; i-- {
		n := s.nodes[i]
		if field, ok := n.(*ast.Field); ok {
			n = field.Value
		} else if i > 0 && isField(s.nodes[i-1]) {
			continue // its field comes next
		}
		isStruct := false
		switch n.(type) {
		case *ast.StructLit, *ast.File:
			isStruct = true
		}
		switch {
		case !isStruct:
		case where == named && hasField(n, name):
			return set(n, f.Decls, replace)
		case where == inside, where == beside && seen == 1:
			return set(n, f.Decls, replace)
		default:
			seen++
		}
	}
	if where != named || !slices.Contains(top, name) {
		return false
	}
	to := s.file
	if root := s.files["mesh.cue"]; name == "mesh" && root != nil {
		to = root
	}
	if into, ok := f.Decls[0].(*ast.Field).Value.(*ast.StructLit); ok && len(into.Elts) == 1 {
		for _, f := range s.files { // what is written already is written anew
			for _, c := range children(f) {
				field, ok := c.(*ast.Field)
				if ok && nameOf(field.Label) == name && hasField(field.Value, nameOf(into.Elts[0].(*ast.Field).Label)) {
					return set(field.Value, into.Elts, replace)
				}
			}
		}
	}
	to.Decls = append(to.Decls, f.Decls...)
	return true
}

// first puts the route at the place before all others.
func (s *site) first() bool {
	for i := len(s.nodes) - 1; i > 0; i-- {
		list, ok := s.nodes[i-1].(*ast.ListLit)
		if !ok {
			continue
		}
		at := slices.IndexFunc(list.Elts, func(e ast.Expr) bool { return e == s.nodes[i] })
		route := list.Elts[at]
		list.Elts = slices.Insert(slices.Delete(list.Elts, at, at+1), 0, route)
		return true
	}
	return false
}

func isField(n ast.Node) bool { _, ok := n.(*ast.Field); return ok }

func hasField(n ast.Node, name string) bool {
	return slices.ContainsFunc(children(n),
		func(c ast.Node) bool { f, ok := c.(*ast.Field); return ok && nameOf(f.Label) == name })
}

// set writes fields into a struct or file.
func set(n ast.Node, fields []ast.Decl, replace bool) bool {
	for _, d := range fields {
		field := d.(*ast.Field)
		done := false
		for _, c := range children(n) {
			old, ok := c.(*ast.Field)
			if !ok || nameOf(old.Label) != nameOf(field.Label) {
				continue
			}
			into, isStruct := field.Value.(*ast.StructLit)
			if _, wasStruct := old.Value.(*ast.StructLit); isStruct && wasStruct && !replace {
				set(old.Value, into.Elts, replace)
			} else {
				old.Value = field.Value
			}
			done = true
			break
		}
		if done {
			continue
		}
		switch n := n.(type) {
		case *ast.StructLit:
			n.Elts = append(n.Elts, field)
		case *ast.File:
			n.Decls = append(n.Decls, field)
		}
	}
	return true
}

// structAt is the struct with that path, which is made in the innermost one that is there.
func (s *site) structAt(path []string) ast.Node {
	var best ast.Node
	depth := 0
	var find func(n ast.Node, d int)
	find = func(n ast.Node, d int) {
		if d > depth {
			best, depth = n, d
		}
		if d == len(path) {
			return
		}
		for _, c := range children(n) {
			if f, ok := c.(*ast.Field); ok && nameOf(f.Label) == strings.Trim(path[d], `"`) {
				find(f.Value, d+1)
			}
		}
	}
	for _, f := range s.files {
		find(f, 0)
	}
	if best == nil {
		return nil
	}
	for _, name := range path[depth:] {
		made := ast.NewStruct()
		set(best, []ast.Decl{&ast.Field{Label: ast.NewString(name), Value: made}}, false)
		best = made
	}
	return best
}

// appendTo appends an element to the list with that path.
func (s *site) appendTo(path, element string) bool {
	value, err := parser.ParseExpr("hint", element)
	if err != nil {
		return false
	}
	names := strings.Split(path, ".")
	owner := s.structAt(names[:len(names)-1])
	if owner == nil {
		return false
	}
	name := names[len(names)-1]
	for _, c := range children(owner) {
		if f, ok := c.(*ast.Field); ok && nameOf(f.Label) == name {
			list, ok := f.Value.(*ast.ListLit)
			if ok {
				list.Elts = append(list.Elts, value)
			}
			return ok
		}
	}
	return set(owner, []ast.Decl{&ast.Field{Label: ast.NewIdent(name), Value: ast.NewList(value)}}, false)
}
