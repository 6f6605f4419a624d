package render_test

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

// edit is one difference of two specs: another value, a structure that has nothing in it, or with the zero Value that
// what was there is gone.
type edit struct {
	path  []string
	value reflect.Value
}

// edits are what makes one spec another.
func edits(from, to *spec.Unit) []edit {
	var out []edit
	differ(reflect.ValueOf(&from.Repository), reflect.ValueOf(&to.Repository), nil, &out)
	return out
}

// isScalar reports whether a type is that of a field with a value, or of a list of those, which is changed as a whole.
func isScalar(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t.NumField() > 0 && t.Field(0).Name == "Value" ||
		t.Kind() == reflect.Slice && isScalar(t.Elem())
}

func isThere(v reflect.Value) bool {
	switch {
	case !v.IsValid() || v.Type() == reflect.TypeFor[spec.Unsupported]():
		return false
	case v.Kind() == reflect.Pointer || v.Kind() == reflect.Map || v.Kind() == reflect.Slice:
		return !v.IsNil()
	case isScalar(v.Type()):
		return v.FieldByName("Pos").Uint() != 0
	}
	return true
}

// differ adds the differences below a path. Either value may be not there.
func differ(from, to reflect.Value, path []string, out *[]edit) {
	if !isThere(to) {
		if isThere(from) {
			*out = append(*out, edit{path: slices.Clone(path)})
		}
		return
	}
	for to.Kind() == reflect.Pointer {
		if to = to.Elem(); isThere(from) {
			from = from.Elem()
		} else {
			from = reflect.Value{}
		}
	}
	if isScalar(to.Type()) {
		if !isThere(from) || !sameValue(from, to) {
			*out = append(*out, edit{slices.Clone(path), to})
		}
		return
	}
	keys := fieldsThere(to)
	if to.Kind() == reflect.Slice && isThere(from) && from.Len() > to.Len() {
		*out = append(*out, edit{path: slices.Clone(path)})
		from = reflect.Value{}
	}
	if len(keys) == 0 && !isThere(from) {
		*out = append(*out, edit{slices.Clone(path), to})
	}
	for _, key := range keys {
		differ(child(from, key), child(to, key), append(path, key), out)
	}
	for _, key := range fieldsThere(from) {
		if !slices.Contains(keys, key) {
			*out = append(*out, edit{path: append(slices.Clone(path), key)})
		}
	}
}

// fieldsThere are the fields of a structure that are written, and the elements of a map or a list.
func fieldsThere(v reflect.Value) []string {
	for v.IsValid() && v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if !v.IsValid() || v.Kind() != reflect.Struct {
		return elementsOf(v)
	}
	var out []string
	for i := range v.NumField() {
		if name := v.Type().Field(i).Tag.Get("cue"); name != "" && isThere(v.Field(i)) {
			out = append(out, name)
		}
	}
	return out
}

// sameValue compares scalars, and lists of them, without their positions.
func sameValue(a, b reflect.Value) bool {
	if a.Kind() == reflect.Slice {
		return a.Len() == b.Len() &&
			!slices.ContainsFunc(elementsOf(a), func(i string) bool { return !sameValue(child(a, i), child(b, i)) })
	}
	return ir.SameValue(a.FieldByName("Value"), b.FieldByName("Value"))
}

// copied is a copy of a unit that shares nothing with it that is changed.
func copied(u *spec.Unit) *spec.Unit {
	out := &spec.Unit{Files: u.Files, Unsupported: u.Unsupported}
	out.Repository = copiedValue(reflect.ValueOf(u.Repository)).Interface().(spec.Repository)
	return out
}

func copiedValue(v reflect.Value) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	out.Set(v)
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			out.Set(reflect.New(v.Type().Elem()))
			out.Elem().Set(copiedValue(v.Elem()))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			out.Field(i).Set(copiedValue(v.Field(i)))
		}
	case reflect.Slice:
		if !v.IsNil() {
			out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
			for i := range v.Len() {
				out.Index(i).Set(copiedValue(v.Index(i)))
			}
		}
	case reflect.Map:
		if !v.IsNil() {
			out.Set(reflect.MakeMap(v.Type()))
			for _, key := range v.MapKeys() {
				out.SetMapIndex(key, copiedValue(v.MapIndex(key)))
			}
		}
	}
	return out
}

// apply makes an edit in a spec. At is where it is written.
func (e *edit) apply(u *spec.Unit, at spec.Pos) {
	set(reflect.ValueOf(&u.Repository).Elem(), e.path, e.value, at)
}

// set sets what is below a value at a path, and makes what is missing on the way.
func set(v reflect.Value, path []string, to reflect.Value, at spec.Pos) {
	if len(path) == 0 {
		switch {
		case !to.IsValid():
			v.SetZero()
		case v.Kind() == reflect.Pointer && to.Kind() == reflect.Struct && !v.IsNil():
			// A structure with nothing in it takes nothing out of one that is there.
		case v.Kind() == reflect.Pointer:
			v.Set(reflect.New(v.Type().Elem()))
			v.Elem().Set(copiedValue(to))
			place(v, at)
		default:
			v.Set(copiedValue(to))
			place(v, at)
		}
		return
	}
	step, rest := path[0], path[1:]
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			if !to.IsValid() { // there is nothing to take away
				return
			}
			v.Set(reflect.New(v.Type().Elem()))
			place(v, at)
		}
		set(v.Elem(), path, to, at)
	case reflect.Map:
		if v.IsNil() && to.IsValid() {
			v.Set(reflect.MakeMap(v.Type()))
		}
		key := reflect.ValueOf(step)
		elem := reflect.New(v.Type().Elem()).Elem()
		if had := v.MapIndex(key); had.IsValid() {
			elem.Set(had)
		} else if !to.IsValid() {
			return
		}
		if len(rest) == 0 && !to.IsValid() {
			v.SetMapIndex(key, reflect.Value{})
			return
		}
		set(elem, rest, to, at)
		v.SetMapIndex(key, elem)
	case reflect.Slice:
		i, err := strconv.Atoi(step)
		if err != nil { // it is created
			i = v.Len()
		}
		if i = min(i, v.Len()); i == v.Len() {
			if !to.IsValid() {
				return
			}
			v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
		}
		set(v.Index(i), rest, to, at)
	case reflect.Struct:
		field := child(v, step)
		if !field.IsValid() {
			panic(fmt.Sprintf("%v has no field %s", v.Type(), step))
		}
		set(field, rest, to, at)
	default:
		panic(fmt.Sprintf("no way to %s in %v", strings.Join(path, "."), v.Type()))
	}
}

// place says where a value was written.
func place(v reflect.Value, at spec.Pos) {
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.Struct:
		if pos := v.FieldByName("Pos"); pos.IsValid() {
			pos.SetUint(uint64(at))
		}
	case reflect.Slice:
		for i := range v.Len() {
			place(v.Index(i), at)
		}
	}
}
