package spec

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/meshc/meshc/compiler/secret"
)

// Secret is a value of the spec that looks like one.
type Secret struct {
	Mention
	// Kind says in words what it looks like.
	Kind string
}

// credentials are headers that say who somebody is: a value written for one is a
// secret, whatever it looks like.
var credentials = []string{"authorization", "proxy-authorization", "cookie", "x-api-key", "x-auth-token"}

// Secrets are the values of the unit that look like secrets.
func (u *Unit) Secrets() []Secret {
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

// walk visits every text that is written. The header is the name of one that a
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
			walk(it.Value(), &step{at, it.Key().String(), 0}, visit)
		}
	case reflect.Struct:
		switch f := v.Interface().(type) {
		case Field[string]:
			visit(at, "", f)
			return
		case HeaderEdits:
			for list, edits := range map[string]map[string]Field[string]{"set": f.Set, "add": f.Add} {
				for name, value := range edits {
					visit(&step{&step{at, list, 0}, name, 0}, name, value)
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
