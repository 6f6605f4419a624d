package ir

import (
	"encoding"
	"fmt"
	"reflect"

	"github.com/meshc/meshc/compiler/source"
)

// position is what does not make a difference: where something was written.
var position = reflect.TypeFor[source.Position]()

// Same reports whether two values are alike but for where they were written.
func Same(a, b any) bool { return SameValue(reflect.ValueOf(a), reflect.ValueOf(b)) }

// SameValue is [Same] of what values of reflection hold.
func SameValue(a, b reflect.Value) bool { return whole.same(a, b) }

// same compares values in what the part has of them.
func (p Part) same(a, b reflect.Value) bool {
	if a.IsValid() != b.IsValid() {
		return false
	}
	if !a.IsValid() || a.Type() == position {
		return true
	}
	if a.Type() != b.Type() {
		return false
	}
	if Opaque(a.Type()) {
		return textOf(a) == textOf(b)
	}
	switch a.Kind() {
	case reflect.Interface:
		return p.same(a.Elem(), b.Elem())
	case reflect.Pointer:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() == b.IsNil()
		}
		return a.Pointer() == b.Pointer() || p.same(a.Elem(), b.Elem())
	case reflect.Struct:
		for _, i := range p.fields(a.Type()) {
			if !p.same(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Slice:
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !p.same(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	case reflect.Map:
		if a.Len() != b.Len() {
			return false
		}
		for _, k := range a.MapKeys() {
			if other := b.MapIndex(k); !other.IsValid() || !p.same(a.MapIndex(k), other) {
				return false
			}
		}
		return true
	}
	return a.Equal(b)
}

// Opaque types have a text, and fields that are nobody's business: identities, prefixes, times.
func Opaque(t reflect.Type) bool {
	if t.Kind() != reflect.Struct || t == position {
		return false
	}
	return t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) ||
		reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextMarshaler]())
}

// textOf is the text of an opaque value.
func textOf(v reflect.Value) string {
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		if data, err := m.MarshalText(); err == nil {
			return string(data)
		}
	}
	return fmt.Sprint(v.Interface())
}
