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
	mesh := "mesh " + d.new.Name
	d.rulesOfGate(func(string) string { return mesh }, func(path string) string { return "owners." + path },
		ownersOf(a), ownersOf(b))
	d.rulesOfGate(func(member string) string { return member }, func(string) string { return "grants" },
		d.grantsIn(d.old), d.grantsIn(d.new))
	part := func(i int) func(string) string {
		return func(key string) string { return strings.SplitN(key, "\x00", 2)[i] }
	}
	d.rulesOfGate(part(0), part(1), silencesIn(a), silencesIn(b))
	was, is := testsIn(a), testsIn(b)
	for title, t := range is {
		if _, before := was[title]; !before {
			d.tell(&Effect{Kind: Setting, To: "test " + title, Was: "none", Is: t.words, IsBy: t.pos})
			delete(is, title)
		}
	}
	d.rulesOfGate(func(title string) string { return "test " + title }, func(string) string { return "" }, was, is)
}

// rulesOfGate tells of those that differ; to and what name one by its key.
func (d *differ) rulesOfGate(to, what func(key string) string, was, is map[string]said) {
	keys := maps.Clone(was)
	maps.Copy(keys, is)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if a, b := was[key], is[key]; a.words != b.words {
			d.tell(&Effect{
				Kind: Gate, To: to(key), What: what(key), Was: none(a.words), Is: none(b.words),
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

func ownersOf(r *ir.Review) map[string]said {
	out := map[string]said{}
	for _, o := range r.Owners {
		words := strings.Join(slices.Sorted(slices.Values(o.Owners)), ", ")
		if words == "" {
			words = "nobody"
		}
		out[o.Path] = said{words, o.Pos}
	}
	return out
}

func (d *differ) grantsIn(m *ir.Mesh) map[string]said {
	out := map[string]said{}
	for member, owners := range m.Grants {
		out[member.String()] = said{strings.Join(slices.Sorted(slices.Values(owners)), ", "), positionOf(m, member)}
	}
	return out
}

// silencesIn are by what they are of, and by a name.
func silencesIn(r *ir.Review) map[string]said {
	out := map[string]said{}
	for _, s := range r.Silences {
		// With another reason it is silent as it was.
		out[s.At+"\x00silence."+s.Code] = said{"silent", s.Pos}
	}
	return out
}

func testsIn(r *ir.Review) map[string]said {
	out := map[string]said{}
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
		out[t.Title] = said{strings.Join(parts, ", "), t.Pos}
	}
	return out
}
