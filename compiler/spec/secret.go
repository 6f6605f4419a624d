package spec

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/meshc/meshc/compiler/secret"
)

// Secret is a value or a name of the spec that looks like one.
type Secret struct {
	Mention
	// Kind says in words what it looks like.
	Kind string
}

// credentials are headers that say who somebody is: a value written for one is a
// secret, whatever it looks like.
var credentials = []string{"authorization", "proxy-authorization", "cookie", "x-api-key", "x-auth-token"}

// HasNoSecrets says that the unit was searched for secrets before, and has none.
func (u *Unit) HasNoSecrets() { u.searched, u.secrets = true, nil }

// Secrets are the values and names of the unit that look like secrets. It is searched once.
func (u *Unit) Secrets() []Secret {
	if !u.searched {
		u.searched, u.secrets = true, u.search()
	}
	return u.secrets
}

func (u *Unit) search() []Secret {
	var out []Secret
	walk(reflect.ValueOf(&u.Repository).Elem(), nil, func(at *step, header string, f Field[string]) {
		kind := secret.Find(f.Value)
		if kind == "" && slices.Contains(credentials, header) && f.Value != "" {
			kind = "the value of " + header
		}
		if kind != "" {
			out = append(out, Secret{Mention{at.String(), f.Pos}, kind})
		}
	})
	return out
}

// step is the last step of a path, and the way to it. Few paths are ever written
// out.
type step struct {
	before *step
	name   string
	index  int // when there is no name
}

func (s *step) String() string {
	switch {
	case s == nil:
		return ""
	case s.name == "":
		return fmt.Sprintf("%s[%d]", s.before, s.index)
	case s.before == nil:
		return s.name
	}
	return s.before.String() + "." + s.name
}

// walk visits every text that is written, names too. The header is the name of one that a
// route sets.
func walk(v reflect.Value, at *step, visit func(at *step, header string, f Field[string])) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			walk(v.Elem(), at, visit)
		}
	case reflect.Slice:
		for i := range v.Len() {
			walk(v.Index(i), &step{at, "", i}, visit)
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			name := it.Key().String()
			visit(&step{at, name, 0}, "", Field[string]{name, position(it.Value())})
			walk(it.Value(), &step{at, name, 0}, visit)
		}
	case reflect.Struct:
		switch f := v.Interface().(type) {
		case Field[string]:
			visit(at, "", f)
			return
		case HeaderEdits:
			for list, edits := range map[string]map[string]Field[string]{"set": f.Set, "add": f.Add} {
				for name, value := range edits {
					here := &step{&step{at, list, 0}, name, 0}
					visit(here, "", Field[string]{name, value.Pos})
					visit(here, name, value)
				}
			}
			return
		}
		for i := range v.NumField() {
			if tag := v.Type().Field(i).Tag.Get("cue"); tag != "" {
				walk(v.Field(i), &step{at, tag, 0}, visit)
			}
		}
	}
}

// position is where a named thing stands; 0 when it has none of its own.
func position(v reflect.Value) Pos {
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if v.Kind() == reflect.Struct {
		if pos := v.FieldByName("Pos"); pos.IsValid() {
			return pos.Interface().(Pos)
		}
	}
	return 0
}
