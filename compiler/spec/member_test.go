package spec

import (
	"reflect"
	"slices"
	"testing"
)

// A field that is called as a member has the tag by which its name is resolved, or says something else.
func TestReferencesAreTagged(t *testing.T) {
	others := []string{"Repository.Services", "Repository.Gateways", "GRPCMatch.Service", "GRPCHealth.Service"}
	found := 0
	seen := map[reflect.Type]bool{}
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		switch typ.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			walk(typ.Elem())
		case reflect.Struct:
			if seen[typ] {
				return
			}
			seen[typ] = true
			for i := range typ.NumField() {
				f := typ.Field(i)
				walk(f.Type)
				if !slices.Contains([]string{"Service", "Services", "Gateway", "Gateways", "Uses"}, f.Name) {
					continue
				}
				if f.Tag.Get("member") != "" {
					found++
				} else if !slices.Contains(others, typ.Name()+"."+f.Name) {
					t.Errorf("%s.%s has no tag member", typ.Name(), f.Name)
				}
			}
		}
	}
	walk(reflect.TypeFor[Repository]())
	if found < 12 {
		t.Errorf("only %d references have the tag", found)
	}
}
