package spec

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/format"
	"cuelang.org/go/cue/literal"
)

// Written is a field as if it stood in a file: for a repository that is made and then
// printed with [Print].
func Written[T any](value T) Field[T] { return Field[T]{Value: value, Pos: 1} }

// WrittenAll are such fields.
func WrittenAll[T any](values ...T) []Field[T] {
	var out []Field[T]
	for _, v := range values {
		out = append(out, Written(v))
	}
	return out
}

// inlineWidth is up to how many characters a struct stands in one line.
const inlineWidth = 72

// Print is a repository as CUE, in the order of the schema and formatted as cue fmt does.
// It says what [Decode] would read from it again.
func Print(r *Repository) ([]byte, error) {
	var b strings.Builder
	if err := printFields(&b, reflect.ValueOf(r).Elem()); err != nil {
		return nil, err
	}
	return format.Source([]byte(b.String()))
}

// printFields prints the fields of a struct or a map, one a line.
func printFields(b *strings.Builder, v reflect.Value) error {
	for _, f := range fieldsOf(v) {
		line, err := f.line()
		if err != nil {
			return err
		}
		b.WriteString(line + "\n")
	}
	return nil
}

// line is a field with its value: "a: b: 1" where a holds nothing but b.
func (f named) line() (string, error) {
	v := f.value
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if v.Kind() == reflect.Map || v.Kind() == reflect.Struct && !v.FieldByName("Value").IsValid() {
		if fields := fieldsOf(v); len(fields) == 1 {
			line, err := fields[0].line()
			return label(f.name) + ": " + line, err
		}
	}
	text, err := printed(v)
	if err != nil {
		return "", fmt.Errorf("%s: %w", f.name, err)
	}
	return label(f.name) + ": " + text, nil
}

// named is a field that is written.
type named struct {
	name  string
	value reflect.Value
}

// fieldsOf are the written fields of a struct in the order of its type, or of a map in
// the order of its keys.
func fieldsOf(v reflect.Value) []named {
	var out []named
	if v.Kind() == reflect.Map {
		keys := map[string]reflect.Value{}
		for _, key := range v.MapKeys() {
			keys[key.String()] = v.MapIndex(key)
		}
		for _, name := range slices.Sorted(maps.Keys(keys)) {
			out = append(out, named{name, keys[name]})
		}
		return out
	}
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("cue")
		if name != "" && isWritten(v.Field(i)) {
			out = append(out, named{name, v.Field(i)})
		}
	}
	return out
}

func isWritten(v reflect.Value) bool {
	if s, ok := v.Interface().(interface{ IsSet() bool }); ok {
		return s.IsSet()
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice:
		return !v.IsNil()
	}
	return false // Unsupported has no value
}

// printed is a value: a scalar, a list or a struct.
func printed(v reflect.Value) (string, error) {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if f := v; f.Kind() == reflect.Struct && f.FieldByName("Value").IsValid() {
		return printedScalar(f.FieldByName("Value"))
	}
	switch v.Kind() {
	case reflect.Slice:
		return printedList(v)
	case reflect.Struct, reflect.Map:
		return printedStruct(v)
	}
	return "", fmt.Errorf("%v cannot be printed", v.Type())
}

func printedScalar(v reflect.Value) (string, error) {
	switch v.Kind() {
	case reflect.String:
		return literal.String.Quote(v.String()), nil
	case reflect.Bool:
		return strconv.FormatBool(v.Bool()), nil
	case reflect.Int:
		return strconv.FormatInt(v.Int(), 10), nil
	case reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'f', -1, 64), nil
	}
	return "", fmt.Errorf("%v cannot be printed", v.Type())
}

func printedList(v reflect.Value) (string, error) {
	var elements []string
	for i := range v.Len() {
		text, err := printed(v.Index(i))
		if err != nil {
			return "", err
		}
		elements = append(elements, text)
	}
	if inline := "[" + strings.Join(elements, ", ") + "]"; len(inline) <= inlineWidth &&
		!strings.Contains(inline, "\n") {
		return inline, nil
	}
	return "[\n" + strings.Join(elements, ",\n") + ",\n]", nil
}

// printedStruct is a struct in one line where it is short, without braces where they
// would hold one field, and else a field a line.
func printedStruct(v reflect.Value) (string, error) {
	var lines []string
	for _, f := range fieldsOf(v) {
		line, err := f.line()
		if err != nil {
			return "", err
		}
		lines = append(lines, line)
	}
	inline := "{" + strings.Join(lines, ", ") + "}"
	if len(inline) <= inlineWidth && !strings.Contains(inline, "\n") {
		return inline, nil
	}
	return "{\n" + strings.Join(lines, "\n") + "\n}", nil
}

func label(name string) string {
	if ast.StringLabelNeedsQuoting(name) {
		return literal.String.Quote(name)
	}
	return name
}
