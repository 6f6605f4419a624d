package importer

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	kjson "sigs.k8s.io/json"

	"github.com/meshc/meshc/compiler/diag"
)

// DecodePart decodes a field of an object into a type that has only some of its fields. If the field is not valid, it
// adds a finding and returns false.
func (m *Mesh) DecodePart(o *Object, field string, into any) bool {
	err := noHoles(o.field(field))
	if err == nil {
		err = kjson.UnmarshalCaseSensitivePreserveInts(o.field(field), into)
	}
	if err != nil {
		m.Add(o, diag.BadObject, reason(err), field)
	}
	return err == nil
}

// noHoles refuses lists with a null element, as the API server does.
func noHoles(data []byte) error {
	var tree any
	if err := json.Unmarshal(data, &tree); err != nil {
		return err
	}
	var walk func(tree any) bool
	walk = func(tree any) bool {
		switch v := tree.(type) {
		case map[string]any:
			for _, value := range v {
				if !walk(value) {
					return false
				}
			}
		case []any:
			return !slices.ContainsFunc(v, func(element any) bool { return element == nil || !walk(element) })
		}
		return true
	}
	if !walk(tree) {
		return errors.New("a list has an element that is nothing")
	}
	return nil
}

// Decode decodes a field of an object, for example "spec", into a type of its API. It adds a finding for each field
// that the type does not have, because an API server would drop it. If the field is not valid, it adds a finding and
// returns false.
func (m *Mesh) Decode(o *Object, field string, into any) bool {
	if !m.DecodePart(o, field, into) {
		return false
	}
	written, err := leaves(o.field(field))
	if err != nil {
		m.Add(o, diag.BadObject, reason(err), field)
		return false
	}
	known, err := fieldsOf(into)
	if err != nil {
		m.Add(o, diag.BadObject, reason(err), field)
		return false
	}
	for _, leaf := range written {
		if !known(leaf.path) {
			m.Add(o, diag.BadObject, fmt.Sprintf("%s has no field %s", o.Kind,
				dotted(append([]string{field}, leaf.path...))), append([]string{field}, leaf.path...)...)
		}
	}
	return true
}

// fieldsOf says which fields a value has whose type was just filled.
func fieldsOf(v any) (func(path []string) bool, error) {
	if message, ok := v.(interface {
		ProtoReflect() protoreflect.Message
	}); ok {
		return func(path []string) bool { return hasField(message.ProtoReflect().Descriptor(), path) }, nil
	}
	known, err := leavesOf(v)
	values, above := map[string]bool{}, map[string]bool{}
	for _, leaf := range known {
		values[joined(leaf.path)] = true
		for n := range leaf.path {
			above[joined(leaf.path[:n])] = true
		}
	}
	return func(path []string) bool {
		if above[joined(path)] {
			return true
		}
		for n := range len(path) + 1 {
			if values[joined(path[:n])] {
				return true
			}
		}
		return false
	}, err
}

// joined is a path as the key of a map. No name in JSON that was valid YAML has the byte that separates them.
func joined(path []string) string { return strings.Join(path, "\xff") }

// hasField reports whether a message has the field that a path in its JSON leads to.
func hasField(d protoreflect.MessageDescriptor, path []string) bool {
	if len(path) == 0 || d == nil || d.ParentFile().Package() == "google.protobuf" {
		return true
	}
	f := d.Fields().ByJSONName(path[0])
	if f == nil {
		f = d.Fields().ByTextName(path[0])
	}
	if f == nil {
		return false
	}
	rest := path[1:]
	switch {
	case f.IsMap():
		if len(rest) == 0 {
			return true
		}
		return hasField(f.MapValue().Message(), rest[1:])
	case f.IsList() && len(rest) > 0:
		rest = rest[1:]
	}
	return hasField(f.Message(), rest)
}
