package importer

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
)

// Take returns the value of a field and sets the field to its zero value.
func Take[T any](field *T) T {
	value := *field
	var zero T
	*field = zero
	return value
}

// Left adds findings for what was not taken from a field of an object. The map has the reasons by path, without
// indices, for example "http[].mirrors"; a reason applies to everything below its path.
func (m *Mesh) Left(o *Object, field string, rest any, reasons map[string]string) {
	left, err := leavesOf(rest)
	if err != nil {
		m.Add(o, diag.BadObject, reason(err), field)
		return
	}
	told := map[string]bool{}
	for _, leaf := range left {
		path, why := leaf.path, "the language has nothing like it"
		for n := 1; n <= len(leaf.path); n++ {
			if text, ok := reasons[pattern(leaf.path[:n])]; ok {
				path, why = leaf.path[:n], text
				break
			}
		}
		if at := dotted(append([]string{field}, path...)); !told[at] {
			told[at] = true
			m.NotCarried(o, why, append([]string{field}, path...)...)
		}
	}
}

// LeftAt adds findings for what was not taken from the part of an object at the path, all with the same reason.
func (m *Mesh) LeftAt(o *Object, rest any, why string, path ...string) {
	left, err := leavesOf(rest)
	if err != nil {
		m.Add(o, diag.BadObject, reason(err), path...)
	}
	for _, leaf := range left {
		m.NotCarried(o, why, slices.Concat(path, leaf.path)...)
	}
}

// NotCarried adds the warning MC1801: the part of an object at the path, for example "spec", "http", "0", is not
// carried over for the given reason.
func (m *Mesh) NotCarried(o *Object, why string, path ...string) {
	subject := dotted(path)
	if subject == "" {
		subject = "it"
	}
	m.Add(o, diag.NotCarried, subject+" is not carried over: "+why, path...)
}

// LetsMore adds the error MC1803: the part of an object at the path denied requests, and it is not carried over for
// the given reason.
func (m *Mesh) LetsMore(o *Object, why string, path ...string) {
	subject := dotted(path)
	if subject == "" {
		subject = "it"
	}
	m.Add(o, diag.LetsMore, subject+" is not carried over, and what it kept out is let in: "+why, path...)
}

// Note adds the warning MC1801 with a text of its own: what a part of an object at the path means in the mesh.
func (m *Mesh) Note(o *Object, text string, path ...string) { m.Add(o, diag.NotCarried, text, path...) }

// Add adds a finding about an object, with the position of the path.
func (m *Mesh) Add(o *Object, code diag.Code, text string, path ...string) {
	m.Found.Add(diag.New(code, "", o.String()+": "+text, o.Position(path...)))
}

// scalar is a value in an object that holds no other, by the names and numbers that lead to it.
type scalar struct{ path []string }

// leavesOf are what a value says that is not empty.
func leavesOf(v any) ([]scalar, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return leaves(data)
}

func leaves(data []byte) ([]scalar, error) {
	var tree any
	if err := json.Unmarshal(data, &tree); err != nil {
		return nil, err
	}
	var out []scalar
	collect(tree, nil, &out)
	return out, nil
}

func collect(tree any, path []string, out *[]scalar) {
	switch v := tree.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			collect(v[name], append(slices.Clone(path), name), out)
		}
	case []any:
		for i, element := range v {
			collect(element, append(slices.Clone(path), strconv.Itoa(i)), out)
		}
	case nil:
	default:
		if v != "" && v != false && v != 0.0 {
			*out = append(*out, scalar{path})
		}
	}
}

// dotted is a path as it is read: "spec.http[0].match".
func dotted(path []string) string {
	var b strings.Builder
	for _, name := range path {
		switch {
		case isNumber(name):
			b.WriteString("[" + name + "]")
		case b.Len() > 0:
			b.WriteString("." + name)
		default:
			b.WriteString(name)
		}
	}
	return b.String()
}

// pattern is a path without its numbers.
func pattern(path []string) string {
	var b strings.Builder
	for _, name := range path {
		switch {
		case isNumber(name):
			b.WriteString("[]")
		case b.Len() > 0:
			b.WriteString("." + name)
		default:
			b.WriteString(name)
		}
	}
	return b.String()
}

func isNumber(name string) bool {
	_, err := strconv.Atoi(name)
	return err == nil
}
