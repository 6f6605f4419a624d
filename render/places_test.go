package render_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue/ast"

	"github.com/meshc/meshc/compiler/spec"
)

// site is a place of a spec where the schema accepts a field.
type site struct {
	// field is the place in the types of the spec: "services.[].uses.[].retries.on.[]".
	field string
	// path is the place in one spec, with the names of members and the numbers of elements.
	path []string
	// of is the field's place in the definition of the schema that has it: "#Retries.on".
	of string
}

// created is a step of a path to an element that no list or map of the spec has.
const created = "+"

// sites are all places where the schema accepts a field, by a walk through it from #Repository, in a spec that has
// each kind of member.
func sites(definitions map[string]ast.Expr, unit *spec.Unit) []site {
	w := &siteWalk{definitions: definitions}
	w.walk(site{of: "#Repository"}, definitions["#Repository"], reflect.ValueOf(&unit.Repository))
	// Elements are created where the spec has none of a kind, in as many others as there are.
	missing, least := func(s site) int {
		return len(slices.DeleteFunc(slices.Clone(s.path), func(p string) bool { return p != created }))
	}, map[string]int{}
	for _, s := range w.found {
		if n, known := least[s.field]; !known || missing(s) < n {
			least[s.field] = missing(s)
		}
	}
	return slices.DeleteFunc(w.found, func(s site) bool { return missing(s) > least[s.field] })
}

type siteWalk struct {
	definitions map[string]ast.Expr
	found       []site
}

// walk adds the places of a value: v is what the spec has there, or not valid.
func (w *siteWalk) walk(at site, e ast.Expr, v reflect.Value) {
	if name, ok := e.(*ast.Ident); ok {
		if structure, ok := w.definitions[name.Name].(*ast.StructLit); ok {
			at.of, e = name.Name, structure
		}
	}
	switch e := e.(type) {
	case *ast.StructLit:
		w.fields(at, e, v)
	case *ast.ListLit:
		w.elements(at, e.Elts[len(e.Elts)-1].(*ast.Ellipsis).Type, v)
	default:
		w.found = append(w.found, at)
	}
}

func (w *siteWalk) fields(at site, e *ast.StructLit, v reflect.Value) {
	for _, decl := range e.Elts {
		field, ok := decl.(*ast.Field)
		if !ok {
			continue
		}
		if _, ok := field.Label.(*ast.ListLit); ok { // [#Name]: …
			w.elements(at, field.Value, v)
			continue
		}
		name, _, err := ast.LabelName(field.Label)
		if err != nil {
			panic(err)
		}
		w.walk(at.step(name, name), field.Value, child(v, name))
	}
}

// elements are the places in the elements of a list or a map. One of values is a field as a whole.
func (w *siteWalk) elements(at site, e ast.Expr, v reflect.Value) {
	if !w.isStructure(e) {
		at.field += ".[]"
		if _, ok := e.(*ast.ListLit); ok {
			at.field += ".[]"
		}
		w.found = append(w.found, at)
		return
	}
	for _, key := range elementsOf(v) {
		w.walk(at.step("[]", key), e, child(v, key))
	}
	w.walk(at.step("[]", created), e, reflect.Value{})
}

// isStructure reports whether a value has fields of its own.
func (w *siteWalk) isStructure(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return w.definitions[e.Name] != nil && w.isStructure(w.definitions[e.Name])
	case *ast.StructLit:
		return true
	}
	return false
}

// step is a field or an element below.
func (s site) step(field, key string) site {
	return site{
		field: strings.TrimPrefix(s.field+"."+field, "."),
		path:  append(slices.Clone(s.path), key),
		of:    s.of + "." + field,
	}
}

// child is the field or element of that name; not valid when it is not there.
func child(v reflect.Value, name string) reflect.Value {
	for v.IsValid() && v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if !v.IsValid() {
		return v
	}
	switch v.Kind() {
	case reflect.Map:
		return v.MapIndex(reflect.ValueOf(name))
	case reflect.Slice:
		if i, err := strconv.Atoi(name); err == nil && i < v.Len() {
			return v.Index(i)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("cue") == name {
				return v.Field(i)
			}
		}
	}
	return reflect.Value{}
}

// elementsOf are the keys of a map and the numbers of a list's elements.
func elementsOf(v reflect.Value) []string {
	for v.IsValid() && v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	var out []string
	if !v.IsValid() {
		return nil
	}
	switch v.Kind() {
	case reflect.Map:
		for _, key := range v.MapKeys() {
			out = append(out, key.String())
		}
		slices.Sort(out)
	case reflect.Slice:
		for i := range v.Len() {
			out = append(out, strconv.Itoa(i))
		}
	}
	return out
}

// kind is the field with what tells the members and elements on its path apart, so far as it may matter: others of the
// same kind need not be tried.
func (s site) kind(unit *spec.Unit) string {
	out := s.field
	v := reflect.ValueOf(&unit.Repository)
	for i, step := range s.path {
		v = child(v, step)
		switch {
		case i == 1 && s.path[0] != "mesh":
			out += " " + memberKind(unit, step)
		case i > 1 && s.path[i-1] == "uses":
			out += " " + memberKind(unit, step)
		case i > 0 && strings.HasSuffix(fieldAt(s.path[:i+1]), ".[]"):
			out += " " + allFields(v)
		}
	}
	return out
}

// home is the field, and of what a service says of itself with the kind of the service.
func (s site) home(unit *spec.Unit) string {
	if s.path[0] == "services" && !slices.Contains(strings.Split(s.field, ".")[2:], "[]") {
		return s.field + " " + memberKind(unit, s.path[1])
	}
	return s.field
}

// allFields are the fields of a value that are written, with those of its parts.
func allFields(v reflect.Value) string {
	var out []string
	if v.IsValid() && !isScalar(v.Type()) {
		for _, f := range fieldsThere(v) {
			out = append(out, f+allFields(child(v, f)))
		}
	}
	return fmt.Sprint(out)
}

// memberKind is where a member's instances are, and what it speaks.
func memberKind(unit *spec.Unit, name string) string {
	out := map[string]bool{}
	if s := unit.Services[name]; s != nil {
		for _, p := range s.Ports {
			out[p.Protocol.Value] = true
		}
		out[fmt.Sprint(fieldsThere(reflect.ValueOf(s.Workload).Elem()))] = true
	}
	if g := unit.Gateways[name]; g != nil {
		for _, l := range g.Listeners {
			out["listens "+l.Protocol.Or("http")] = true
		}
	}
	if e := unit.External[name]; e != nil {
		for _, p := range e.Ports {
			out["out "+p.Protocol.Value] = true
		}
		out["via "+e.Via.Value] = true
	}
	return fmt.Sprint(slices.Sorted(maps.Keys(out)))
}
