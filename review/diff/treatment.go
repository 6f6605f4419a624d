package diff

import (
	"fmt"
	"reflect"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
	"github.com/meshc/meshc/review/values"
)

// treated compares what else is in force for a request that is let in by both meshes, or answered by routes of both:
// time and tries, and what its routes do with it.
func (d *differ) treated(r *try.Request, who []Subject, to Subject, a, b outcome) {
	if a.class() != b.class() || a.trial == nil || b.trial == nil || a.class() == refused && !byRoute(a, b) {
		return
	}
	for _, f := range timing(a.trial.Policy, b.trial.Policy) {
		d.addField(Timing, f, r, who, to, a, b)
	}
	var first, second *ir.Route
	for i := range max(len(a.trial.Routes), len(b.trial.Routes)) {
		first, second = route(a.trial.Routes, i), route(b.trial.Routes, i)
		for _, f := range values.Differing(first, second, "name", "match", "to", "traffic", "rewrite") {
			d.addField(kindOfTreatment(f.Path), f, r, who, to, a, b)
		}
	}
}

// kindOfTreatment is what kind of effect it is that routes do something else with a request: a mirror lets another
// read it.
func kindOfTreatment(path string) Kind {
	if begins("mirror", path) {
		return Protection
	}
	return Handled
}

// byRoute reports whether routes answer in both.
func byRoute(a, b outcome) bool {
	for _, o := range []outcome{a, b} {
		if n := len(o.trial.Routes); n == 0 || !o.trial.Routes[n-1].Answers() {
			return false
		}
	}
	return true
}

// route is a route of a way, as one that does nothing when there is none.
func route(by []*ir.Route, i int) *ir.Route {
	if i < len(by) {
		return by[i]
	}
	return &ir.Route{}
}

func (d *differ) addField(kind Kind, f values.Field, r *try.Request, who []Subject, to Subject, a, b outcome) {
	e := &Effect{
		Kind: kind, From: who, To: to, What: f.Path, Was: orNone(f.Old), Is: orNone(f.New), WasBy: f.OldPos,
		IsBy: f.NewPos,
	}
	d.add(e, r, a, b)
}

func orNone(text string) string {
	if text == "" {
		return "unset"
	}
	return text
}

// timing are the settings of two policies that differ, each with the line that decided it.
func timing(a, b *ir.Policy) (out []values.Field) {
	if a == nil || b == nil {
		return nil
	}
	old, is := append(a.Settings(), a.Bounds.Settings()...), append(b.Settings(), b.Bounds.Settings()...)
	for i := range old {
		if x, y := &old[i], &is[i]; !reflect.DeepEqual(x.Value, y.Value) {
			out = append(out, values.Field{
				Path: x.Path, Old: fmt.Sprint(x.Value), New: fmt.Sprint(y.Value),
				OldPos: x.Pos, NewPos: y.Pos,
			})
		}
	}
	return out
}
