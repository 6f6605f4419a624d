package spec

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
)

// Decode reads an evaluated unit, which the schema has accepted. An error means
// that schema and types do not agree, which is a fault of meshc.
func Decode(v cue.Value, l *Locator) (*Unit, error) {
	u := &Unit{Files: l.files}
	d := decoder{Locator: l, unit: u}
	err := d.decode(v, reflect.ValueOf(&u.Repository).Elem(), place{l.root}, 0)
	u.Empty = emptyLists(&u.Repository)
	return u, err
}

type decoder struct {
	*Locator
	unit *Unit
}

// position is where the value was written, else where its parent was.
func (d *decoder) position(v cue.Value, at place, parent Pos) Pos {
	if p := d.find(v, at); p != 0 {
		return p
	}
	return parent
}

// scalar is a [Field].
type scalar interface {
	decode(v cue.Value, pos Pos) error
}

func (d *decoder) decode(v cue.Value, into reflect.Value, at place, parent Pos) error {
	pos := d.position(v, at, parent)
	if s, ok := into.Addr().Interface().(scalar); ok {
		return s.decode(v, pos)
	}
	if _, ok := into.Addr().Interface().(*Unsupported); ok {
		path := strings.TrimPrefix(v.Path().String(), "#Repository.")
		d.unit.Unsupported = append(d.unit.Unsupported, Mention{path, pos})
		return nil
	}
	switch into.Kind() {
	case reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		return d.decode(v, into.Elem(), at, parent)
	case reflect.Struct:
		return d.decodeStruct(v, into, at, pos)
	case reflect.Map:
		return d.decodeMap(v, into, at, pos)
	case reflect.Slice:
		return d.decodeSlice(v, into, at, pos)
	}
	return fmt.Errorf("%v: no way to decode into %v", v.Path(), into.Type())
}

func (d *decoder) decodeStruct(v cue.Value, into reflect.Value, at place, pos Pos) error {
	if f := into.FieldByName("Pos"); f.IsValid() {
		f.SetUint(uint64(pos))
	}
	fields, err := v.Fields()
	if err != nil {
		return err
	}
	for fields.Next() {
		name := fields.Selector().Unquoted()
		field := fieldByTag(into, name)
		if !field.IsValid() {
			return fmt.Errorf("%v: the schema has a field that %v has not", fields.Value().Path(), into.Type())
		}
		if err := d.decode(fields.Value(), field, at.get(name), pos); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) decodeMap(v cue.Value, into reflect.Value, at place, pos Pos) error {
	fields, err := v.Fields()
	if err != nil {
		return err
	}
	into.Set(reflect.MakeMap(into.Type()))
	for fields.Next() {
		name := fields.Selector().Unquoted()
		elem := reflect.New(into.Type().Elem()).Elem()
		if err := d.decode(fields.Value(), elem, at.get(name), pos); err != nil {
			return err
		}
		into.SetMapIndex(reflect.ValueOf(name), elem)
	}
	return nil
}

func (d *decoder) decodeSlice(v cue.Value, into reflect.Value, at place, pos Pos) error {
	list, err := v.List()
	if err != nil {
		return err
	}
	into.Set(reflect.MakeSlice(into.Type(), 0, 2))
	for i := 0; list.Next(); i++ {
		elem := reflect.New(into.Type().Elem()).Elem()
		if err := d.decode(list.Value(), elem, at.get(strconv.Itoa(i)), pos); err != nil {
			return err
		}
		into.Set(reflect.Append(into, elem))
	}
	return nil
}

// fieldByTag is the struct's field with that name in its cue tag.
func fieldByTag(into reflect.Value, name string) reflect.Value {
	t := into.Type()
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("cue") == name {
			return into.Field(i)
		}
	}
	return reflect.Value{}
}

func (f *Field[T]) decode(v cue.Value, pos Pos) error {
	f.Pos = pos
	var err error
	switch into := any(&f.Value).(type) {
	case *string:
		*into, err = v.String()
	case *bool:
		*into, err = v.Bool()
	case *int:
		var n int64
		n, err = v.Int64()
		*into = int(n)
	case *float64:
		// What a float64 cannot hold exactly is rounded, which is not an error here.
		var text []byte
		if text, err = v.MarshalJSON(); err == nil {
			*into, err = strconv.ParseFloat(string(text), 64)
		}
	default:
		err = fmt.Errorf("%v: no way to decode into %T", v.Path(), f.Value)
	}
	return err
}
