package load

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/errors"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/similar"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/compiler/spec"
)

// explain says in the user's words why a unit is refused. CUE has judged; this
// walks the unit beside the schema to find every reason, as CUE stops at some.
func explain(v, root cue.Value, locator *spec.Locator, refusal error) diag.List {
	var found diag.List
	if err := v.Validate(cue.Concrete(true)); err != nil {
		found = located(fromCUE(err, diag.CUEEvaluation, ""), v, locator)
	}
	var bySchema diag.List
	x := explainer{locator: locator, docs: schemaDocs(), found: &bySchema}
	x.value(v, root, nil, source.Position{})
	// A repository may check itself by the schema too: of one path it is said once.
	said := map[string]bool{}
	for _, d := range bySchema {
		said[d.Path] = true
	}
	found = slices.DeleteFunc(found, func(d diag.Diagnostic) bool { return said[d.Path] })
	found.Add(bySchema...)
	if !found.HasErrors() {
		found = located(fromCUE(refusal, diag.CUEEvaluation, ""), v, locator)
	}
	return found
}

// located gives a place to findings that CUE knows none for: that of their
// path, else the beginning of the unit.
func located(found diag.List, v cue.Value, locator *spec.Locator) diag.List {
	for i, d := range found {
		if len(d.Positions) > 0 {
			continue
		}
		path := cue.ParsePath(d.Path)
		var names []string
		for _, selector := range path.Selectors() {
			names = append(names, strings.Trim(selector.String(), `"`))
		}
		pos := locator.Position(v.LookupPath(path), names)
		if !pos.IsValid() {
			pos = locator.First()
		}
		found[i].Positions = []source.Position{pos}
	}
	return found
}

type explainer struct {
	locator *spec.Locator
	docs    docs
	found   *diag.List
}

// value compares a value with the schema that holds there.
func (x *explainer) value(v, schema cue.Value, path []string, parent source.Position) {
	pos := x.locator.Position(v, path)
	if !pos.IsValid() {
		pos = parent
	}
	wanted := schema.IncompleteKind()
	switch kind := x.kind(v, path); {
	case kind == cue.BottomKind:
		return // said already
	case kind&wanted == 0:
		x.wrongType(schema, path, kind, pos)
	case kind == cue.StructKind:
		x.fields(v, schema, path, pos)
	case kind == cue.ListKind:
		elem := schema.LookupPath(cue.MakePath(cue.AnyIndex))
		for i := 0; ; i++ {
			item := v.LookupPath(cue.MakePath(cue.Index(i)))
			if !item.Exists() {
				return
			}
			x.value(item, elem, append(slices.Clip(path), strconv.Itoa(i)), pos)
		}
	default:
		x.scalar(v, schema, path, pos)
	}
}

// kind is the kind of a value, also of a struct or list with errors inside. It is
// bottom where CUE has no value at all, as in a unit that does not compile.
func (x *explainer) kind(v cue.Value, path []string) cue.Kind {
	kind := v.IncompleteKind()
	if kind != cue.BottomKind {
		return kind
	}
	if v.LookupPath(cue.MakePath(cue.Index(0))).Exists() {
		return cue.ListKind
	}
	for _, name := range x.locator.Children(path) {
		if v.LookupPath(cue.MakePath(cue.Str(name))).Exists() {
			return cue.StructKind
		}
	}
	return cue.BottomKind
}

// names are the fields of a struct, also of one with errors inside.
func (x *explainer) names(v cue.Value, path []string) []string {
	fields, err := v.Fields()
	if err != nil {
		return x.locator.Children(path)
	}
	var names []string
	for fields.Next() {
		names = append(names, fields.Selector().Unquoted())
	}
	return names
}

// fields compares the fields of a struct: those that are there, and those that
// must be.
func (x *explainer) fields(v, schema cue.Value, path []string, pos source.Position) {
	written := map[string]bool{}
	for _, name := range x.names(v, path) {
		field := v.LookupPath(cue.MakePath(cue.Str(name)))
		if !field.Exists() && field.Err() == nil {
			continue
		}
		written[name] = true
		sub := append(slices.Clip(path), name)
		if !schema.Allows(cue.Str(name)) {
			at := x.locator.Position(field, sub)
			if !at.IsValid() {
				at = pos
			}
			x.unknown(schema, sub, at)
			continue
		}
		x.value(field, constraint(schema, name), sub, pos)
	}
	known, err := schema.Fields(cue.Optional(true))
	if err != nil {
		return
	}
	for known.Next() {
		selector := known.Selector()
		if selector.ConstraintType() != cue.RequiredConstraint || written[selector.Unquoted()] {
			continue
		}
		name := selector.Unquoted()
		if len(path) == 0 && name == "mesh" {
			x.found.Add(diag.New(diag.NoMesh, "mesh", "this unit has no mesh", x.locator.First()).
				WithHint("write it in the root's mesh.cue, in the same package: mesh: {name: \"shop\", trustDomain: \"shop.example\"}"))
			continue
		}
		of := last(path)
		x.found.Add(diag.New(diag.MissingField, join(append(slices.Clip(path), name)),
			fmt.Sprintf("%s needs a field %s", of, name), pos).
			WithHint("%s", x.docs.field(known.Value(), name)))
	}
}

// unknown says that a field is not in the schema: a typo, or a bad name.
func (x *explainer) unknown(schema cue.Value, path []string, pos source.Position) {
	name := path[len(path)-1]
	names := fieldNames(schema)
	if len(names) == 0 {
		x.found.Add(diag.New(diag.BadFormat, join(path), fmt.Sprintf("%q is not a valid name here", name), pos).
			WithHint("%s", nameHint(path)))
		return
	}
	of := "a mesh repository"
	if len(path) > 1 {
		of = join(path[:len(path)-1])
	}
	d := diag.New(diag.UnknownField, join(path), fmt.Sprintf("%s has no field %q", of, name), pos)
	if near := similar.Name(name, names); near != "" {
		d = d.WithHint("did you mean %q?", near)
	} else {
		d = d.WithHint("its fields are %s", strings.Join(names, ", "))
	}
	x.found.Add(d)
}

// nameHint says what a good name is, for the map that the path leads into.
func nameHint(path []string) string {
	switch parent := path[max(0, len(path)-2)]; parent {
	case "headers", "set", "add":
		return "a header's name is written in lower case"
	case "query":
		return "a query parameter's name is not empty"
	case "silence":
		return `a warning is named by its code, as in "MC1203"`
	}
	return "a name is a DNS label: lower case letters, digits and dashes, at most 63, beginning with a letter"
}

// scalar lets CUE judge one value and says what was wanted.
func (x *explainer) scalar(v, schema cue.Value, path []string, pos source.Position) {
	err := schema.Unify(v).Validate(cue.Concrete(true))
	if err == nil {
		return
	}
	if !v.IsConcrete() {
		if _, ok := v.Default(); !ok {
			return // said already, as incomplete
		}
	}
	written := fmt.Sprint(v)
	if allowed := alternatives(schema); len(allowed) > 0 {
		d := diag.New(diag.NotOneOf, join(path), fmt.Sprintf("%s is %s and must be one of %s", last(path), written,
			strings.Join(allowed, ", ")), pos)
		if near := similar.Name(strings.Trim(written, `"`), unquoted(allowed)); near != "" {
			d = d.WithHint("did you mean %q?", near)
		}
		x.found.Add(d)
		return
	}
	d := diag.New(diag.OutOfRange, join(path), fmt.Sprintf("%s is %s, which is out of range", last(path), written), pos)
	if v.IncompleteKind() == cue.StringKind {
		d = diag.New(diag.BadFormat, join(path), fmt.Sprintf("%s is %s, which is not a valid value", last(path),
			written), pos)
	} else if bound := boundOf(err); bound != "" {
		d.Message = fmt.Sprintf("%s is %s and must be %s", last(path), written, bound)
	}
	x.found.Add(d.WithHint("%s", x.docs.wanted(err)))
}

// wrongType says of what type a value must be, and of a struct which fields it has.
func (x *explainer) wrongType(schema cue.Value, path []string, kind cue.Kind, pos source.Position) {
	wanted := schema.IncompleteKind()
	d := diag.New(diag.WrongType, join(path),
		fmt.Sprintf("%s is %s and must be %s", last(path), article(kind), article(wanted)), pos)
	if names := fieldNames(schema); len(names) > 0 {
		d = d.WithHint("its fields are %s", strings.Join(names, ", "))
	} else if hint := x.docs.commentAt(schema.Pos()); hint != "" {
		d = d.WithHint("%s", hint)
	}
	x.found.Add(d)
}

// fieldNames are the fields of a struct of the schema; none of a map, whose names are the user's own.
func fieldNames(schema cue.Value) []string {
	if schema.IncompleteKind() != cue.StructKind {
		return nil
	}
	known, err := schema.Fields(cue.Optional(true))
	if err != nil {
		return nil
	}
	var names []string
	for known.Next() {
		names = append(names, known.Selector().Unquoted())
	}
	return names
}

// boundOf is the bound that CUE found a number outside of, as "<=100".
func boundOf(err error) string {
	for _, e := range errors.Errors(err) {
		if format, args := e.Msg(); strings.Contains(format, "out of bound") && len(args) > 1 {
			return fmt.Sprint(args[1])
		}
	}
	return ""
}

// constraint is what the schema says of the field of that name, whether it is
// optional, required or made by a pattern.
func constraint(schema cue.Value, name string) cue.Value {
	path := cue.MakePath(cue.Str(name))
	return schema.FillPath(path, cuecontext.New().CompileString("_")).LookupPath(path)
}

// alternatives are the literal values that the schema lists, as CUE.
func alternatives(schema cue.Value) []string {
	op, values := cue.Dereference(schema).Eval().Expr()
	switch op {
	case cue.OrOp:
		var all []string
		for _, v := range values {
			if sub := alternatives(v); sub != nil {
				all = append(all, sub...)
			} else if v.IsConcrete() {
				all = append(all, fmt.Sprint(v))
			} else {
				return nil
			}
		}
		return all
	case cue.AndOp:
		for _, v := range values {
			if all := alternatives(v); all != nil {
				return all
			}
		}
	}
	return nil
}

func unquoted(values []string) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = strings.Trim(v, `"`)
	}
	return out
}

// article names a kind in words.
func article(kind cue.Kind) string {
	switch {
	case kind == cue.StructKind:
		return "a struct {…}"
	case kind == cue.ListKind:
		return "a list […]"
	case kind == cue.StringKind:
		return "a string"
	case kind == cue.IntKind:
		return "a whole number"
	case kind&cue.NumberKind != 0 && kind&^cue.NumberKind == 0:
		return "a number"
	case kind == cue.BoolKind:
		return "true or false"
	case kind == cue.NullKind:
		return "null"
	case kind == cue.BytesKind:
		return "bytes"
	}
	return kind.String()
}

// last is the name that a path ends with, for a message; with its list for an
// index.
func last(path []string) string {
	if len(path) == 0 {
		return "the mesh repository"
	}
	name := path[len(path)-1]
	if _, err := strconv.Atoi(name); err == nil && len(path) > 1 {
		return path[len(path)-2] + "[" + name + "]"
	}
	return name
}

// join writes a path as CUE does.
func join(path []string) string {
	var b strings.Builder
	for i, name := range path {
		if _, err := strconv.Atoi(name); err == nil && i > 0 {
			b.WriteString("[" + name + "]")
			continue
		}
		if i > 0 {
			b.WriteByte('.')
		}
		if strings.HasPrefix(name, "#") || strings.HasPrefix(name, "_") {
			b.WriteString(name) // a definition or hidden field, as the user wrote it
			continue
		}
		b.WriteString(cue.MakePath(cue.Str(name)).String())
	}
	return b.String()
}
