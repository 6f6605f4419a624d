package doctor

import (
	"fmt"
	"strings"
	"time"

	"github.com/meshc/meshc/review/diff"
)

// mostChanges is how many effects of changes are told.
const mostChanges = 6

// shortlyBefore is how long before the first symptom a change can be its cause: what was pushed takes a moment.
const shortlyBefore = time.Minute

// changes are what has changed in the mesh since shortly before a time, in words; the newest last.
func (p *patient) changes(since time.Time) []string {
	out := []string{}
	if p.Mesh == nil {
		return out
	}
	for i, past := range p.Past {
		if past.Until.Before(since.Add(-shortlyBefore)) {
			continue
		}
		after := p.Mesh
		if i+1 < len(p.Past) {
			after = p.Past[i+1].Mesh
		}
		for _, e := range diff.Of(past.Mesh, after).Effects {
			if len(out) == mostChanges {
				return append(out, "…")
			}
			what := strings.TrimSpace(e.To.String() + " " + e.What)
			out = append(out, fmt.Sprintf("%s %s: %s, %s: %s → %s", past.Until.UTC().Format(time.TimeOnly), lineOf(e.IsBy),
				e.Kind, what, e.Was, e.Is))
		}
	}
	return out
}

// lastChange are the effects of the last change.
func (p *patient) lastChange() []*diff.Effect {
	return diff.Of(p.Past[len(p.Past)-1].Mesh, p.Mesh).Effects
}
