package spec

import (
	"io/fs"
	"reflect"
	"slices"
	"testing"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/parser"

	"github.com/meshc/meshc/schema"
)

// TestParity walks the schema beside the types: a field that only one of them
// has would be dropped without a word, or never be filled.
func TestParity(t *testing.T) {
	instance := build.NewContext().NewInstance("schema", nil)
	names, err := fs.Glob(schema.FS, "*.cue")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		data, err := fs.ReadFile(schema.FS, name)
		if err != nil {
			t.Fatal(err)
		}
		syntax, err := parser.ParseFile(name, data)
		if err != nil {
			t.Fatal(err)
		}
		if err := instance.AddSyntax(syntax); err != nil {
			t.Fatal(err)
		}
	}
	root := cuecontext.New().BuildInstance(instance).LookupPath(cue.ParsePath("#Repository"))
	if err := root.Err(); err != nil {
		t.Fatal(err)
	}
	p := parity{t: t, seen: map[reflect.Type]bool{}}
	p.compare("", root, reflect.TypeFor[Repository]())
	if len(p.seen) < 25 {
		t.Errorf("only %d types compared: the walk does not reach the whole schema", len(p.seen))
	}
}

type parity struct {
	t    *testing.T
	seen map[reflect.Type]bool
}

func (p parity) compare(path string, v cue.Value, typ reflect.Type) {
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	switch {
	case typ == reflect.TypeFor[Unsupported]():
		return
	case typ.Kind() == reflect.Map:
		p.compare(path+"[]", element(v), typ.Elem())
	case typ.Kind() == reflect.Slice:
		p.compare(path+"[]", v.LookupPath(cue.MakePath(cue.AnyIndex)), typ.Elem())
	case typ.Kind() == reflect.Struct && typ.NumField() > 0 && typ.Field(0).Name == "Value":
		p.kind(path, v, typ.Field(0).Type)
	case typ.Kind() == reflect.Struct:
		p.fields(path, v, typ)
	default:
		p.t.Errorf("%s: type %v has no counterpart", path, typ)
	}
}

// element is what the pattern of a map holds.
func element(v cue.Value) cue.Value {
	for _, name := range []string{"a", "MC1203", "x-a", "1s"} {
		if v.Allows(cue.Str(name)) {
			path := cue.MakePath(cue.Str(name))
			return v.FillPath(path, cuecontext.New().CompileString("_")).LookupPath(path)
		}
	}
	return cue.Value{}
}

func (p parity) fields(path string, v cue.Value, typ reflect.Type) {
	if p.seen[typ] {
		return
	}
	p.seen[typ] = true
	var inSchema, inType []string
	it, err := v.Fields(cue.Optional(true))
	if err != nil {
		p.t.Errorf("%s: the schema has no fields for %v: %v", path, typ, err)
		return
	}
	for it.Next() {
		name := it.Selector().Unquoted()
		inSchema = append(inSchema, name)
		for i := range typ.NumField() {
			if typ.Field(i).Tag.Get("cue") == name {
				p.compare(path+"."+name, it.Value(), typ.Field(i).Type)
			}
		}
	}
	for i := range typ.NumField() {
		if tag := typ.Field(i).Tag.Get("cue"); tag != "" {
			inType = append(inType, tag)
		}
	}
	slices.Sort(inSchema)
	slices.Sort(inType)
	if !slices.Equal(inSchema, inType) {
		p.t.Errorf("%s: the schema has the fields %q, and %v has %q", path, inSchema, typ, inType)
	}
}

func (p parity) kind(path string, v cue.Value, typ reflect.Type) {
	want := map[reflect.Kind]cue.Kind{
		reflect.String: cue.StringKind, reflect.Int: cue.IntKind,
		reflect.Bool: cue.BoolKind, reflect.Float64: cue.NumberKind,
	}[typ.Kind()]
	if got := v.IncompleteKind(); got != want {
		p.t.Errorf("%s: the schema has %v, the type %v", path, got, typ)
	}
}
