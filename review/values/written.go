package values

import (
	"reflect"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
)

// Value is what a field has.
type Value struct {
	// Path is by the names in mesh.json; elements that have names go by them.
	Path, Text string
	// Pos is where the nearest thing stands that has a place.
	Pos source.Position
}

// Written are the fields of a value that are not the zero value of their type, in the order of the type. Skipped are
// fields of the value itself, by name.
func Written(v any, skipped ...string) []Value {
	return written("", reflect.ValueOf(v), source.Position{}, skipped)
}

func written(path string, v reflect.Value, pos source.Position, skipped []string) []Value {
	v = reflect.Indirect(v)
	if !v.IsValid() || v.IsZero() || v.Type() == reflect.TypeFor[source.Position]() {
		return nil
	}
	pos = placeOf(v, pos)
	var out []Value
	switch {
	case isMatch(v.Type()):
		for _, f := range written(path, v.FieldByName("Kind"), pos, nil) { // "prefix /api"
			value := strings.TrimSpace(f.Text + " " + v.FieldByName("Value").String())
			if inverted := v.FieldByName("Invert"); inverted.IsValid() && inverted.Bool() {
				value = "not " + value
			}
			out = append(out, Value{path, value, pos})
		}
	case v.Kind() == reflect.Struct && !ir.Opaque(v.Type()) && !isSetting(v.Type()):
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			if name == "-" || slices.Contains(skipped, name) {
				continue
			}
			var inside []string
			if name == "" { // embedded
				inside = skipped
			}
			out = append(out, written(join(path, name), v.Field(i), pos, inside)...)
		}
	case v.Kind() == reflect.Slice && named(v.Type().Elem()):
		for i := range v.Len() {
			out = append(out, written(join(path, nameOf(v.Index(i))), v.Index(i), pos, []string{"name"})...)
		}
	default:
		out = append(out, Value{path, Text(v), pos})
	}
	return out
}

// isMatch is for ways to match a text.
func isMatch(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	kind, is := t.FieldByName("Kind")
	value, has := t.FieldByName("Value")
	return is && has && kind.Type == reflect.TypeFor[ir.MatchKind]() && value.Type.Kind() == reflect.String
}
