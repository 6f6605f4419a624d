package diff

import (
	"reflect"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/review/values"
)

// called is something that has a name and a place.
type called struct {
	name string
	pos  source.Position
}

// renamed tells of routes or rules that are called otherwise and are else as they were: no request shows that, and
// statistics, logs and the counts of rate limits go by names.
func (d *differ) renamed(of Subject, what string, was, is map[string][]called) {
	for content, before := range was {
		gone, come := missingFrom(before, is[content]), missingFrom(is[content], before)
		for i := range min(len(gone), len(come)) {
			d.tell(&Effect{
				Kind: Setting, To: of, What: what, Was: gone[i].name, Is: come[i].name, WasBy: gone[i].pos,
				IsBy: come[i].pos,
			})
		}
	}
}

// missingFrom are those of a list whose names the other has not.
func missingFrom(list, other []called) (out []called) {
	names := map[string]bool{}
	for _, c := range other {
		names[c.name] = true
	}
	for _, c := range list {
		if !names[c.name] {
			out = append(out, c)
		}
	}
	return out
}

// namesOfRoutes are their names, by what they are besides.
func namesOfRoutes(list []ir.Route) map[string][]called {
	out := map[string][]called{}
	for _, r := range list {
		c := called{r.Name, r.Pos}
		r.Name = ""
		content := values.Text(reflect.ValueOf(r))
		out[content] = append(out[content], c)
	}
	return out
}

// namesOfRules are those of rules that are enforced, by what they are besides; [audited] has the others.
func namesOfRules(list []ir.Rule) map[string][]called {
	out := map[string][]called{}
	for _, r := range list {
		if r.Audit {
			continue
		}
		c := called{r.Name, r.Pos}
		r.Name = ""
		content := values.Text(reflect.ValueOf(r))
		out[content] = append(out[content], c)
	}
	return out
}
