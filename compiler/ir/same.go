package ir

import (
	"reflect"

	"github.com/meshc/meshc/compiler/same"
	"github.com/meshc/meshc/compiler/source"
)

// position is what does not make a difference: where something was written.
var position = reflect.TypeFor[source.Position]()

// comparisons are by part.
var comparisons = func() (out [whole + 1]same.Comparison) {
	for p := range out {
		out[p] = same.Comparison{Ignored: position, Fields: Part(p).fields}
	}
	return out
}()

// Same reports whether two values are alike but for where they were written.
func Same(a, b any) bool { return SameValue(reflect.ValueOf(a), reflect.ValueOf(b)) }

// SameValue is [Same] of what values of reflection hold.
func SameValue(a, b reflect.Value) bool { return whole.same(a, b) }

// same compares values in what the part has of them.
func (p Part) same(a, b reflect.Value) bool { return comparisons[p].Values(a, b) }

// Opaque types have a text, and fields that are nobody's business: identities, prefixes, times.
func Opaque(t reflect.Type) bool { return t != position && same.Opaque(t) }
