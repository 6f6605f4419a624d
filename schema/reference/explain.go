package reference

import (
	"cmp"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"

	"github.com/meshc/meshc/compiler/similar"
)

// Field is a field of the language, or a definition.
type Field struct {
	// Path leads to it from the root of a repository, with NAME for names of the user's own. Of a definition it is its
	// name: "#Retries".
	Path string
	// Type is what may be written, as CUE.
	Type string
	// Doc is the comment of the field, and TypeDoc that of the definition which is its type; "" for none.
	Doc, TypeDoc string
	// Fields are those of a struct.
	Fields []Field
	// Required fields must be written.
	Required bool
}

// Explain finds a field by its path, as "services.retries.attempts": names of the user's own may be written
// ("services.cart.retries") or left out. Where no path begins with that name, it returns all fields of that name.
// The error says which fields there are.
func Explain(files fs.FS, path string) ([]Field, error) {
	l, err := parse(files)
	if err != nil {
		return nil, err
	}
	names := strings.Split(path, ".")
	if definition := l[names[0]]; definition != nil {
		return l.follow(Field{Path: names[0]}, definition.Value, names[1:])
	}
	root := l["#Repository"]
	if root == nil {
		return nil, fmt.Errorf("the schema has no #Repository")
	}
	top := l.members(root.Value)
	if slices.Contains(names, "") {
		return nil, noField("a mesh repository", "", top)
	}
	if slices.ContainsFunc(top, func(m member) bool { return m.name == names[0] }) {
		return l.follow(Field{}, root.Value, names)
	}
	var found []Field
	l.everywhere(root.Value, nil, nil, names[0], func(at Field, value ast.Expr) {
		if below, err := l.follow(at, value, names[1:]); err == nil {
			found = append(found, below...)
		}
	})
	if len(found) == 0 {
		return nil, noField("a mesh repository", names[0], top)
	}
	return found, nil
}

// language is the definitions of the schema by name.
type language map[string]*ast.Field

func parse(files fs.FS) (language, error) {
	l := language{}
	err := eachDefinition(files, func(_ string, field *ast.Field) error {
		name, _, err := ast.LabelName(field.Label)
		l[name] = field
		return err
	})
	return l, err
}

// member is a field of a struct; its name is "" where names are the user's own.
type member struct {
	name     string
	doc      string
	required bool
	value    ast.Expr
}

// members are the fields of a type: of a struct, of a definition, of what a list has, and of alternatives together.
func (l language) members(e ast.Expr) []member {
	switch e := e.(type) {
	case *ast.StructLit:
		var out []member
		for _, decl := range e.Elts {
			if field, ok := decl.(*ast.Field); ok {
				m := member{doc: doc(field), required: field.Constraint == token.NOT, value: field.Value}
				if !isPattern(field) {
					m.name, _, _ = ast.LabelName(field.Label)
				}
				out = append(out, m)
			}
		}
		return out
	case *ast.Ident:
		if definition := l[e.Name]; definition != nil {
			return l.members(definition.Value)
		}
	case *ast.BinaryExpr:
		if e.Op == token.AND || e.Op == token.OR {
			return append(l.members(e.X), l.members(e.Y)...)
		}
	case *ast.ParenExpr:
		return l.members(e.X)
	case *ast.ListLit:
		for _, element := range e.Elts {
			if rest, ok := element.(*ast.Ellipsis); ok && rest.Type != nil {
				return l.members(rest.Type)
			}
		}
	}
	return nil
}

// follow goes down a path from a type.
func (l language) follow(at Field, value ast.Expr, names []string) ([]Field, error) {
	if len(names) == 0 {
		f, err := l.explained(at, value)
		return []Field{f}, err
	}
	members := l.members(value)
	for _, m := range members {
		if m.name == names[0] {
			return l.follow(m.below(at), m.value, names[1:])
		}
	}
	for _, m := range members {
		if m.name != "" {
			continue
		}
		inside := l.members(m.value)
		switch near := nearest(names[0], inside); near {
		case names[0]: // the name of the user's own is left out
			return l.follow(m.below(at), m.value, names)
		case "":
			return l.follow(m.below(at), m.value, names[1:])
		}
		return nil, noField(m.below(at).Path, names[0], inside)
	}
	return nil, noField(cmp.Or(at.Path, "a mesh repository"), names[0], members)
}

func noField(of, name string, members []member) error {
	if near := nearest(name, members); near != "" {
		return fmt.Errorf("%s has no field %q; did you mean %s?", of, name, near)
	}
	if len(members) == 0 {
		return fmt.Errorf("%s has no fields", of)
	}
	return fmt.Errorf("%s has no field %q: its fields are %s", of, name, strings.Join(namesOf(members), ", "))
}

// nearest is the field of that name, or of a most similar one; "" for none.
func nearest(name string, members []member) string { return similar.Name(name, namesOf(members)) }

func namesOf(members []member) []string {
	var names []string
	for _, m := range members {
		names = append(names, cmp.Or(m.name, "NAME"))
	}
	return names
}

// below is the field as it stands in another one.
func (m member) below(of Field) Field {
	f := Field{Path: strings.TrimPrefix(of.Path+"."+cmp.Or(m.name, "NAME"), "."), Doc: m.doc, Required: m.required}
	if m.doc == "" {
		f.Doc = of.Doc // a: b: type, and [name]: type, have one comment for both
	}
	return f
}

// explained says what a field is, and what its fields are.
func (l language) explained(f Field, value ast.Expr) (Field, error) {
	if members := l.members(value); len(members) == 1 && members[0].name == "" {
		return l.explained(members[0].below(f), members[0].value)
	}
	text, err := source(value)
	if err != nil {
		return f, err
	}
	f.Type = text
	if name := alone.FindStringSubmatch(text); name != nil && l[name[1]] != nil {
		f.TypeDoc = doc(l[name[1]])
	} else if definition := l[f.Path]; definition != nil {
		f.TypeDoc = doc(definition)
	}
	for _, m := range l.members(value) {
		text, err := source(m.value)
		if err != nil {
			return f, err
		}
		f.Fields = append(f.Fields, Field{
			Path: cmp.Or(m.name, "NAME"), Type: text, Doc: m.doc, Required: m.required,
		})
	}
	return f, nil
}

// everywhere calls found for each field of a name, at each path that leads there. No definition is looked into twice on
// one path.
func (l language) everywhere(value ast.Expr, path, within []string, name string, found func(Field, ast.Expr)) {
	if text, err := source(value); err == nil {
		if definition := alone.FindStringSubmatch(text); definition != nil {
			if slices.Contains(within, definition[1]) {
				return
			}
			within = append(slices.Clip(within), definition[1])
		}
	}
	for _, m := range l.members(value) {
		below := append(slices.Clip(path), cmp.Or(m.name, "NAME"))
		if m.name == name {
			found(Field{Path: strings.Join(below, "."), Doc: m.doc, Required: m.required}, m.value)
			continue
		}
		l.everywhere(m.value, below, within, name, found)
	}
}
