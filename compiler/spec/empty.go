package spec

import (
	"cmp"
	"reflect"
	"slices"
)

// An empty list is not the same as none: methods: [] is an error, and without methods a rule is about all. But gob, by
// which units are kept and handed from one process to another, sends both as none. So a unit says beside where they
// are.

// emptyLists are the lists that are written and empty, by their numbers among all that have no elements, in the order
// of a walk.
func emptyLists(r *Repository) (numbers []int) {
	n := 0
	eachWithoutElements(reflect.ValueOf(r).Elem(), func(list reflect.Value) {
		if !list.IsNil() {
			numbers = append(numbers, n)
		}
		n++
	})
	return numbers
}

// Restore makes a unit that was sent by gob what it was before.
func (u *Unit) Restore() {
	if len(u.Empty) == 0 {
		return
	}
	n, next := 0, u.Empty
	eachWithoutElements(reflect.ValueOf(&u.Repository).Elem(), func(list reflect.Value) {
		if len(next) > 0 && next[0] == n {
			list.Set(reflect.MakeSlice(list.Type(), 0, 0))
			next = next[1:]
		}
		n++
	})
}

// eachWithoutElements calls f with each list that has no elements, in an order that depends on the rest alone.
func eachWithoutElements(v reflect.Value, f func(list reflect.Value)) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			eachWithoutElements(v.Elem(), f)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			eachWithoutElements(v.Field(i), f)
		}
	case reflect.Slice:
		if v.Len() == 0 {
			f(v)
		}
		for i := range v.Len() {
			eachWithoutElements(v.Index(i), f)
		}
	case reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return cmp.Compare(a.String(), b.String()) })
		for _, key := range keys {
			elem := reflect.New(v.Type().Elem()).Elem() // as elements of maps cannot be set
			elem.Set(v.MapIndex(key))
			eachWithoutElements(elem, f)
			v.SetMapIndex(key, elem)
		}
	}
}
