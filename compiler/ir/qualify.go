package ir

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
)

// Alike are two meshes in which every member that both have has the same name: where one of them has a second member of
// a name, that name is NAME.NAMESPACE in both.
func Alike(a, b *Mesh) (*Mesh, *Mesh) {
	qualified := map[string]bool{}
	if a == nil || b == nil {
		return a, b
	}
	for _, m := range []*Mesh{a, b} {
		for _, name := range m.memberNames() {
			if plain := PlainName(name); plain != name {
				qualified[plain] = true
			}
		}
	}
	return a.qualify(qualified), b.qualify(qualified)
}

func (m *Mesh) memberNames() []string {
	var out []string
	for _, s := range m.Services {
		out = append(out, s.Name)
	}
	for _, g := range m.Gateways {
		out = append(out, g.Name)
	}
	return out
}

// qualify is the mesh in which those plain names of members have their namespaces; itself when there is none of them.
func (m *Mesh) qualify(plain map[string]bool) *Mesh {
	r := renaming{names: map[string]string{}, reaches: map[reflect.Type]bool{}}
	for _, s := range m.Services {
		if plain[s.Name] {
			r.names[s.Name] = s.QualifiedName()
		}
	}
	for _, g := range m.Gateways {
		if plain[g.Name] {
			r.names[g.Name] = QualifiedName(g.Name, g.Namespace)
		}
	}
	if len(r.names) == 0 {
		return m
	}
	out := r.copied(reflect.ValueOf(m), false).Interface().(*Mesh)
	byUse := func(a, b Use) int { return strings.Compare(a.To, b.To) }
	slices.SortFunc(out.Services, func(a, b *Service) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(out.Gateways, func(a, b *Gateway) int { return strings.Compare(a.Name, b.Name) })
	for _, s := range out.Services {
		slices.SortStableFunc(s.Uses, byUse)
	}
	for _, g := range out.Gateways {
		slices.SortStableFunc(g.Uses, byUse)
	}
	for i := range out.Silences {
		at, name, _ := strings.Cut(out.Silences[i].At, ".")
		out.Silences[i].At = strings.TrimSuffix(at+"."+cmp.Or(r.names[name], name), ".")
	}
	return out
}

// renaming copies a mesh and changes names of members, which stand in fields with the tag member, and in each [Ref].
// All names in a mesh are good and have one meaning, so it needs nothing of what the linker's renamer knows of the
// spec.
type renaming struct {
	names   map[string]string
	reaches map[reflect.Type]bool
}

// has reports whether values of that type have names of members in them. Others are not copied.
func (r *renaming) has(t reflect.Type) bool {
	if t == reflect.TypeFor[Ref]() {
		return true
	}
	if known, ok := r.reaches[t]; ok {
		return known
	}
	r.reaches[t] = false
	found := false
	switch t.Kind() {
	case reflect.Map:
		found = r.has(t.Key()) || r.has(t.Elem())
	case reflect.Pointer, reflect.Slice:
		found = r.has(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			_, tagged := t.Field(i).Tag.Lookup("member")
			found = found || tagged || t.Field(i).IsExported() && r.has(t.Field(i).Type)
		}
	}
	r.reaches[t] = found
	return found
}

func (r *renaming) copied(v reflect.Value, tagged bool) reflect.Value {
	switch {
	case tagged && v.Kind() == reflect.String:
		return reflect.ValueOf(cmp.Or(r.names[v.String()], v.String())).Convert(v.Type())
	case !r.has(v.Type()):
		return v
	}
	out := reflect.New(v.Type()).Elem()
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			out.Set(reflect.New(v.Type().Elem()))
			out.Elem().Set(r.copied(v.Elem(), false))
		}
	case reflect.Struct:
		out.Set(v)
		for i := range v.NumField() {
			if _, tagged := v.Type().Field(i).Tag.Lookup("member"); v.Type().Field(i).IsExported() {
				out.Field(i).Set(r.copied(v.Field(i), tagged))
			}
		}
	case reflect.Slice:
		if !v.IsNil() {
			out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
			for i := range v.Len() {
				out.Index(i).Set(r.copied(v.Index(i), false))
			}
		}
	case reflect.Map:
		if !v.IsNil() {
			out.Set(reflect.MakeMapWithSize(v.Type(), v.Len()))
			for _, key := range v.MapKeys() {
				out.SetMapIndex(r.copied(key, false), r.copied(v.MapIndex(key), false))
			}
		}
	}
	return out
}
