package ir

import (
	"reflect"
	"slices"
	"testing"
)

// TestEveryGuardIsCompared sets each guard alone, and wants whoever compares, joins and shuts guards to know it: a
// guard that is forgotten there is lifted or put up at the wrong time while a change is on its way.
func TestEveryGuardIsCompared(t *testing.T) {
	typ := reflect.TypeFor[Guards]()
	if len(guards) != typ.NumField() {
		t.Errorf("%d of %d guards are compared", len(guards), typ.NumField())
	}
	for i := range typ.NumField() {
		name := typ.Field(i).Name
		k := slices.IndexFunc(guards, func(g guard) bool { return g.field == name })
		if k < 0 {
			t.Errorf("the guard %s is not among the guards that are compared", name)
			continue
		}
		var none, set Guards
		var leafs []leaf
		fill(reflect.ValueOf(&set).Elem().Field(i), name, true, true, &leafs)
		if guards[k].within(&none, &set) && guards[k].within(&set, &none) {
			t.Errorf("%s: setting it makes no difference", name)
		}
		if none.Within(&set) && set.Within(&none) {
			t.Errorf("%s: Within does not know it", name)
		}
		if u := none.Union(&set); !none.Within(&u) && !set.Within(&u) {
			t.Errorf("%s: the union lets in what neither does, or less than both", name)
		}
		shut := set.Shut()
		if opens := none.Within(&set) && !set.Within(&none); opens && !Same(shut, none) {
			t.Errorf("%s lets somebody in, and is not shut", name)
		}
	}
}
