// Package same compares values by reflection: two are the same when they say the same, wherever that was written.
package same

import (
	"encoding"
	"fmt"
	"reflect"
)

// Comparison says what of values makes a difference.
type Comparison struct {
	// Ignored is the type whose values make none: where something was written.
	Ignored reflect.Type
	// Fields are the indices of the fields of a struct that are compared; nil for all.
	Fields func(reflect.Type) []int
}

// Values reports whether two values are the same. Values of different types are not. Opaque values are the same when
// their texts are, pointers when what they point to is, and a nil slice or map is the same as an empty one.
func (c *Comparison) Values(a, b reflect.Value) bool {
	if a.IsValid() != b.IsValid() {
		return false
	}
	if !a.IsValid() || a.Type() == c.Ignored {
		return true
	}
	if a.Type() != b.Type() {
		return false
	}
	if Opaque(a.Type()) {
		return Text(a) == Text(b)
	}
	switch a.Kind() {
	case reflect.Interface:
		return c.Values(a.Elem(), b.Elem())
	case reflect.Pointer:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() == b.IsNil()
		}
		return a.Pointer() == b.Pointer() || c.Values(a.Elem(), b.Elem())
	case reflect.Struct:
		return c.structs(a, b)
	case reflect.Slice:
		if a.Len() != b.Len() {
			return false
		}
		if a.Pointer() == b.Pointer() {
			return true
		}
		for i := range a.Len() {
			if !c.Values(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	case reflect.Map:
		if a.Len() != b.Len() {
			return false
		}
		if a.Pointer() == b.Pointer() {
			return true
		}
		for _, k := range a.MapKeys() {
			if other := b.MapIndex(k); !other.IsValid() || !c.Values(a.MapIndex(k), other) {
				return false
			}
		}
		return true
	}
	return a.Equal(b)
}

func (c *Comparison) structs(a, b reflect.Value) bool {
	if c.Fields != nil {
		for _, i := range c.Fields(a.Type()) {
			if !c.Values(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	}
	for i := range a.NumField() {
		if !c.Values(a.Field(i), b.Field(i)) {
			return false
		}
	}
	return true
}

// Opaque types have a text, and fields that are nobody's business: identities, prefixes, times.
func Opaque(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	return t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) ||
		reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextMarshaler]())
}

// Text is the text of an opaque value.
func Text(v reflect.Value) string {
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		if data, err := m.MarshalText(); err == nil {
			return string(data)
		}
	}
	return fmt.Sprint(v.Interface())
}
