package diff

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/review/values"
)

// said is what a spec says about reviews, in words, and where.
type said struct {
	words string
	pos   source.Position
}

// gate compares the rules by which changes are checked: who loosens them may pass the next check. A mesh that was
// compiled before has none, and nothing is told then. A test that is added loosens nothing.
func (d *differ) gate() {
	a, b := &d.old.Review, &d.new.Review
	if !a.Known || !b.Known {
		return
	}
	d.rulesOfGate(d.ownersIn(a), d.ownersIn(b))
	d.rulesOfGate(grantsIn(d.old), grantsIn(d.new))
	d.rulesOfGate(allowedIn(d.old), allowedIn(d.new))
	d.rulesOfGate(silencesIn(a), silencesIn(b))
	was, is := testsIn(a), testsIn(b)
	for test, t := range is {
		if _, before := was[test]; !before {
			d.tell(&Effect{Kind: Setting, To: test.of, Was: "none", Is: t.words, IsBy: t.pos})
			delete(is, test)
		}
	}
	d.rulesOfGate(was, is)
}

// gateRule names something that a spec says about reviews.
type gateRule struct {
	of   Subject
	what string
}

// rulesOfGate tells of those that differ.
func (d *differ) rulesOfGate(was, is map[gateRule]said) {
	rules := maps.Clone(was)
	maps.Copy(rules, is)
	for rule := range rules {
		if a, b := was[rule], is[rule]; a.words != b.words {
			d.tell(&Effect{
				Kind: Gate, To: rule.of, What: rule.what, Was: none(a.words), Is: none(b.words),
				WasBy: a.pos, IsBy: b.pos,
			})
		}
	}
}

func none(words string) string {
	if words == "" {
		return "none"
	}
	return words
}

func (d *differ) ownersIn(r *ir.Review) map[gateRule]said {
	out := map[gateRule]said{}
	for _, o := range r.Owners {
		words := strings.Join(slices.Sorted(slices.Values(o.Owners)), ", ")
		if words == "" {
			words = "nobody"
		}
		out[gateRule{d.mesh(), "owners." + o.Path}] = said{words, o.Pos}
	}
	return out
}

func grantsIn(m *ir.Mesh) map[gateRule]said {
	out := map[gateRule]said{}
	for of, owners := range m.Grants {
		out[gateRule{member(of), "grants"}] = said{
			strings.Join(slices.Sorted(slices.Values(owners)), ", "), positionOf(m, of),
		}
	}
	return out
}

func allowedIn(m *ir.Mesh) map[gateRule]said {
	out := map[gateRule]said{}
	for of, list := range m.AllowedRoutes {
		var words []string
		for _, a := range list {
			words = append(words, a.Text())
		}
		out[gateRule{member(of), "allowedRoutes"}] = said{strings.Join(words, "; "), list[0].Pos}
	}
	return out
}

func silencesIn(r *ir.Review) map[gateRule]said {
	out := map[gateRule]said{}
	for _, s := range r.Silences {
		// With another reason it is silent as it was.
		out[gateRule{other(s.At), "silence." + s.Code}] = said{"silent", s.Pos}
	}
	return out
}

func testsIn(r *ir.Review) map[gateRule]said {
	out := map[gateRule]said{}
	for _, t := range r.Tests {
		words := *t
		words.Title, words.Pos, words.Expect.Pos = "", source.Position{}, source.Position{}
		var parts []string
		v := reflect.ValueOf(words)
		for i := range v.NumField() {
			if f := values.Text(v.Field(i)); f != "" && f != "0" {
				parts = append(parts, fmt.Sprintf("%s %s", v.Type().Field(i).Name, f))
			}
		}
		out[gateRule{of: other("test " + t.Title)}] = said{strings.Join(parts, ", "), t.Pos}
	}
	return out
}
