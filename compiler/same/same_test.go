package same_test

import (
	"net/netip"
	"reflect"
	"testing"

	"github.com/meshc/meshc/compiler/same"
)

type place int

type part struct {
	Name  string
	At    place
	Parts []part
	By    map[string]*part
	Of    netip.Prefix
	Any   any
}

func TestValues(t *testing.T) {
	whole := same.Comparison{Ignored: reflect.TypeFor[place]()}
	first := same.Comparison{Fields: func(reflect.Type) []int { return []int{0} }}
	of := netip.MustParsePrefix
	for _, c := range []struct {
		name        string
		a, b        any
		whole, some bool
	}{
		{"nothing", nil, nil, true, true},
		{"one is nothing", part{}, nil, false, false},
		{"another type", part{}, "", false, false},
		{"another place", part{At: 1}, part{At: 2}, true, true},
		{"another name", part{Name: "a"}, part{Name: "b"}, false, false},
		{"a field that is not compared", part{Any: 1}, part{Any: 2}, false, true},
		{"nil and empty", part{Parts: nil}, part{Parts: []part{}}, true, true},
		{"more", []part{{}}, []part{{}, {}}, false, false},
		{"another order", []part{{Name: "a"}, {Name: "b"}}, []part{{Name: "b"}, {Name: "a"}}, false, false},
		{"other keys", map[string]int{"a": 1}, map[string]int{"b": 1}, false, false},
		{"pointers to the same", &part{Name: "a", At: 1}, &part{Name: "a"}, true, true},
		{"a nil pointer", part{By: map[string]*part{"a": nil}}, part{By: map[string]*part{"a": {}}}, false, true},
		{"one text", part{Of: of("10.0.0.0/8")}, part{Of: of("10.0.0.0/8")}, true, true},
		{"other texts", part{Of: of("10.0.0.0/8")}, part{Of: of("10.0.0.0/9")}, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := reflect.ValueOf(c.a), reflect.ValueOf(c.b)
			if got := whole.Values(a, b); got != c.whole {
				t.Errorf("of everything: %v", got)
			}
			if got := first.Values(b, a); got != c.some {
				t.Errorf("of the first field: %v", got)
			}
		})
	}
}
