package values

import (
	"slices"
	"testing"

	"github.com/meshc/meshc/compiler/ir"
)

// TestWhatIsNotSameDiffers compares lists of rules, among them rules of one name: no field differs exactly where the
// lists have the same rules.
func TestWhatIsNotSameDiffers(t *testing.T) {
	audited, enforced := ir.Rule{Name: "anyone", Audit: true}, ir.Rule{Name: "anyone"}
	named := ir.Rule{Name: "admins", Methods: []string{"GET"}}
	var lists [][]ir.Rule
	for _, a := range [][]ir.Rule{nil, {audited}, {enforced}} {
		for _, b := range [][]ir.Rule{nil, {audited}, {enforced}} {
			for _, c := range [][]ir.Rule{nil, {named}} {
				lists = append(lists, slices.Concat(a, b, c))
			}
		}
	}
	for _, a := range lists {
		for _, b := range lists {
			found := Differing(&ir.Guards{Allow: a}, &ir.Guards{Allow: b})
			if same := ir.Same(a, b); same != (len(found) == 0) {
				t.Errorf("%v and %v: same is %v, and these fields differ: %v", a, b, same, found)
			}
		}
	}
}

// TestFieldsGoByName compares lists that have elements of one name, and names the elements that differ.
func TestFieldsGoByName(t *testing.T) {
	rule := func(name string, methods ...string) ir.Rule { return ir.Rule{Name: name, Methods: methods} }
	for _, c := range []struct {
		name string
		a, b []ir.Rule
		want []string
	}{
		{"changed", []ir.Rule{rule("a", "GET")}, []ir.Rule{rule("a", "PUT")}, []string{"allow.a.methods"}},
		{"added", []ir.Rule{rule("a")}, []ir.Rule{rule("a"), rule("b")}, []string{"allow.b"}},
		{
			"added with a known name",
			[]ir.Rule{rule("a")},
			[]ir.Rule{rule("a"), rule("a", "GET")},
			[]string{"allow.a (2)"},
		},
		{"removed", []ir.Rule{rule("a"), rule("a")}, []ir.Rule{rule("a")}, []string{"allow.a (2)"}},
		{"in another order", []ir.Rule{rule("a"), rule("b")}, []ir.Rule{rule("b"), rule("a")}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var paths []string
			for _, f := range Differing(&ir.Guards{Allow: c.a}, &ir.Guards{Allow: c.b}) {
				paths = append(paths, f.Path)
			}
			if !slices.Equal(paths, c.want) {
				t.Errorf("these differ: %q, want %q", paths, c.want)
			}
		})
	}
}
