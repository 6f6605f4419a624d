// Package values walks through values of the IR by the names in mesh.json: what two of them do not have alike, and what
// of one is written.
package values

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
)

// Field is one that two values do not have alike.
type Field struct {
	// Path is by the names in mesh.json; elements that have names go by them.
	Path     string
	Old, New string
	// OldPos and NewPos are where the nearest thing stands that has a place.
	OldPos, NewPos source.Position
}

// Differing are the fields in which two values of one type differ, in the order of the type. Skipped are fields of the
// values themselves, by name. The order of elements that have names is no difference here; it is one for [ir.Same].
func Differing(a, b any, skipped ...string) []Field {
	w := &walk{skipped: skipped}
	w.values("", reflect.ValueOf(a), reflect.ValueOf(b), source.Position{}, source.Position{})
	return w.found
}

type walk struct {
	skipped []string
	found   []Field
}

func (w *walk) values(path string, a, b reflect.Value, posA, posB source.Position) {
	for a.Kind() == reflect.Pointer && b.Kind() == reflect.Pointer && !a.IsNil() && !b.IsNil() {
		a, b = a.Elem(), b.Elem()
	}
	if ir.SameValue(a, b) {
		return
	}
	posA, posB = placeOf(a, posA), placeOf(b, posB)
	switch {
	case a.Kind() == reflect.Struct && b.Kind() == reflect.Struct && !ir.Opaque(a.Type()) && !isSetting(a.Type()):
		for i := range a.NumField() {
			f := a.Type().Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name != "-" && (path != "" || !slices.Contains(w.skipped, name)) {
				w.values(join(path, name), a.Field(i), b.Field(i), posA, posB)
			}
		}
	case a.Kind() == reflect.Slice && named(a.Type().Elem()):
		w.named(path, a, b, posA, posB)
	default:
		w.found = append(w.found, Field{path, Text(a), Text(b), posA, posB})
	}
}

// named compares lists whose elements have names, in whatever order they stand. Of elements with one name, such as a
// rule and the audit of it, the first is compared with the first, the second with the second.
func (w *walk) named(path string, a, b reflect.Value, posA, posB source.Position) {
	of := func(list reflect.Value) (names []string, elements map[string]reflect.Value) {
		elements = map[string]reflect.Value{}
		for i := range list.Len() {
			e := list.Index(i)
			name := nameOf(e)
			for n := 2; elements[name].IsValid(); n++ {
				name = fmt.Sprintf("%s (%d)", nameOf(e), n)
			}
			names, elements[name] = append(names, name), e
		}
		return names, elements
	}
	namesA, inA := of(a)
	namesB, inB := of(b)
	for _, name := range namesA {
		if e, there := inB[name]; there {
			w.values(join(path, name), inA[name], e, posA, posB)
		} else {
			w.found = append(w.found, Field{join(path, name), Text(inA[name]), "", placeOf(inA[name], posA), posB})
		}
	}
	for _, name := range namesB {
		if _, there := inA[name]; !there {
			w.found = append(w.found, Field{join(path, name), "", Text(inB[name]), posA, placeOf(inB[name], posB)})
		}
	}
}

func join(path, name string) string {
	if path == "" || name == "" {
		return path + name
	}
	return path + "." + name
}

// named reports whether values of the type have names that tell them apart.
func named(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return false
	}
	_, name := t.FieldByName("Name")
	return name
}

func nameOf(v reflect.Value) string {
	return reflect.Indirect(v).FieldByName("Name").String()
}

// isSetting is for values with the place that decided them.
func isSetting(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t.NumField() == 2 && t.Field(0).Name == "Value"
}

// placeOf is where a value was written, or what it is a part of.
func placeOf(v reflect.Value, outer source.Position) source.Position {
	v = reflect.Indirect(v)
	if v.Kind() == reflect.Struct {
		if f := v.FieldByName("Pos"); f.IsValid() && f.Type() == reflect.TypeFor[source.Position]() {
			if p := f.Interface().(source.Position); p.IsValid() {
				return p
			}
		}
	}
	return outer
}

// Text is a value in a line; "" for none.
func Text(v reflect.Value) string {
	v = reflect.Indirect(v)
	if !v.IsValid() || v.IsZero() {
		if v.IsValid() && (v.Kind() == reflect.Bool || v.CanInt() || v.CanUint()) {
			return fmt.Sprint(v.Interface())
		}
		return ""
	}
	if isSetting(v.Type()) {
		v = v.Field(0)
	}
	data, err := json.Marshal(withoutPlaces(v.Interface()))
	if err != nil {
		return fmt.Sprint(v.Interface())
	}
	return strings.Trim(string(data), `"`)
}

// withoutPlaces is the value as JSON has it, without where things were written.
func withoutPlaces(v any) any {
	data, err := json.Marshal(v)
	if err != nil {
		return v
	}
	var out any
	if json.Unmarshal(data, &out) != nil {
		return v
	}
	dropPlaces(out)
	return out
}

func dropPlaces(v any) {
	switch v := v.(type) {
	case map[string]any:
		delete(v, "pos")
		for _, e := range v {
			dropPlaces(e)
		}
	case []any:
		for _, e := range v {
			dropPlaces(e)
		}
	}
}
