package link

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/membername"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/compiler/spec"
)

// names are the namespaces in which there is a member of a plain name, by the kind of member, sorted. A name that
// several namespaces have is written NAME.NAMESPACE, or plain in the namespace of the one that is meant; in the mesh it
// is NAME.NAMESPACE everywhere.
type names struct {
	services, gateways map[string][]string
	// qualified are further names that are NAME.NAMESPACE in the mesh.
	qualified map[string]bool
}

func newNames(units []*spec.Unit, qualified []string) names {
	n := names{services: map[string][]string{}, gateways: map[string][]string{}, qualified: map[string]bool{}}
	for _, name := range qualified {
		n.qualified[name] = true
	}
	add := func(to map[string][]string, name, namespace string) {
		if at, known := slices.BinarySearch(to[name], namespace); !known {
			to[name] = slices.Insert(to[name], at, namespace)
		}
	}
	for _, u := range units {
		for name, s := range u.Services {
			add(n.services, name, s.Namespace.Or(defaultNamespace))
		}
		for name, g := range u.Gateways {
			add(n.gateways, name, g.Namespace.Or(defaultNamespace))
		}
	}
	return n
}

// namespacesOf are the namespaces by plain names of that kind of member.
func (n *names) namespacesOf(kind ir.MemberKind) map[string][]string {
	if kind == ir.KindGateway {
		return n.gateways
	}
	return n.services
}

// inMesh is the name that the member of that plain name and namespace has in the mesh.
func (n *names) inMesh(kind ir.MemberKind, plain, namespace string) string {
	if len(n.namespacesOf(kind)[plain]) > 1 || n.qualified[plain] {
		return ir.QualifiedName(plain, namespace)
	}
	return plain
}

// find is the name in the mesh of the member that is meant by a name, where it is written by a member of the namespace;
// "" for by nobody's. A name that leads nowhere stays as it is. When several members could be meant, those are the
// candidates.
func (n *names) find(kind ir.MemberKind, written, namespace string) (name string, candidates []string) {
	plain, in, qualified := membername.Split(written)
	namespaces := n.namespacesOf(kind)[plain]
	switch {
	case qualified && slices.Contains(namespaces, in):
		return n.inMesh(kind, plain, in), nil
	case qualified || len(namespaces) == 0:
		return written, nil
	case slices.Contains(namespaces, namespace):
		return n.inMesh(kind, plain, namespace), nil
	case len(namespaces) == 1:
		return n.inMesh(kind, plain, namespaces[0]), nil
	}
	for _, in := range namespaces {
		candidates = append(candidates, ir.QualifiedName(plain, in))
	}
	return written, candidates
}

// named is a part of the spec in which every name of a member is the one that it has in the mesh. The part is written
// in that namespace; "" for what belongs to none.
func named[T any](l *linker, here place, namespace string, part *T) *T {
	r := renamer{l, namespace}
	return r.copied(reflect.ValueOf(part), here, "").Interface().(*T)
}

// renamer copies a part of the spec and changes the names in fields with the tag member, which says of what kind they
// are. It is apart from ir's renaming, which has less to do: here a name is a [spec.Field] with a position, a finding
// needs the place that led to it, the kind comes down from a list or a map to its elements, and two keys may become
// one. One walker for both would take all of that as functions, and save a dozen lines.
type renamer struct {
	*linker
	namespace string
}

// reaches reports whether a part of that type has names of members in it. Other parts are not copied.
func (l *linker) reaches(t reflect.Type) bool {
	if known, ok := l.naming[t]; ok {
		return known
	}
	l.naming[t] = false
	found := false
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		found = l.reaches(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			field := t.Field(i)
			found = found || field.Tag.Get("member") != "" || field.Tag.Get("cue") != "" && l.reaches(field.Type)
		}
	}
	l.naming[t] = found
	return found
}

func (r *renamer) copied(v reflect.Value, here place, kind ir.MemberKind) reflect.Value {
	if kind == "" && !r.reaches(v.Type()) {
		return v
	}
	if f, ok := nameIn(v); ok && kind != "" {
		f.Value = r.name(here, kind, f.Value, here.pos(f.Pos))
		return reflect.ValueOf(f)
	}
	out := reflect.New(v.Type()).Elem()
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			out.Set(reflect.New(v.Type().Elem()))
			out.Elem().Set(r.copied(v.Elem(), here, kind))
		}
	case reflect.Struct:
		out.Set(v)
		for i := range v.NumField() {
			field := v.Type().Field(i)
			kind := ir.MemberKind(field.Tag.Get("member"))
			if name := field.Tag.Get("cue"); name != "" && (kind != "" || r.reaches(field.Type)) {
				out.Field(i).Set(r.copied(v.Field(i), here.field(name), kind))
			}
		}
	case reflect.Slice:
		if !v.IsNil() {
			out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
			for i := range v.Len() {
				out.Index(i).Set(r.copied(v.Index(i), here.index(i), kind))
			}
		}
	case reflect.Map:
		if !v.IsNil() {
			out.Set(reflect.MakeMapWithSize(v.Type(), v.Len()))
			r.entries(v, out, here, kind)
		}
	default:
		out.Set(v)
	}
	return out
}

// nameIn is a value that may be a name.
func nameIn(v reflect.Value) (spec.Field[string], bool) {
	if v.Type() != reflect.TypeFor[spec.Field[string]]() {
		return spec.Field[string]{}, false
	}
	f := v.Interface().(spec.Field[string])
	return f, f.IsSet()
}

// entries copies those of a map, whose keys are members' names where there is a kind of them. Two keys that name one
// member are refused.
func (r *renamer) entries(v, out reflect.Value, here place, kind ir.MemberKind) {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	for _, key := range keys {
		value, written := v.MapIndex(key), key.String()
		at := here.field(written)
		if kind == "" {
			out.SetMapIndex(key, r.copied(value, at, ""))
			continue
		}
		pos := at.pos(posIn(value))
		name := reflect.ValueOf(r.name(at, kind, written, pos))
		if out.MapIndex(name).IsValid() {
			r.add(diag.NameTaken, at, fmt.Sprintf("%s is written twice: with its namespace and without", name), pos,
				at.pos(posIn(out.MapIndex(name)))).
				hint("write it once")
			continue
		}
		out.SetMapIndex(name, r.copied(value, at, ""))
	}
}

// posIn is where a value of a map was written.
func posIn(v reflect.Value) spec.Pos {
	return spec.Pos(reflect.Indirect(v).FieldByName("Pos").Uint())
}

// name is what the member has in the mesh, of one that is written.
func (r *renamer) name(here place, kind ir.MemberKind, written string, pos source.Position) string {
	name, candidates := r.names.find(kind, written, r.namespace)
	if candidates == nil {
		return name
	}
	r.add(diag.AmbiguousName, here, fmt.Sprintf("%d %ss have the name %q: %s", len(candidates), kind, written,
		strings.Join(candidates, ", ")), pos).hint("write %q", candidates[0])
	r.ambiguous[written] = true
	return written
}
