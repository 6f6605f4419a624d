package replay

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
	"github.com/meshc/meshc/review/logs"
)

// way is how a request may end in a mesh, under conditions of which a log says nothing: in one end, or by weights in
// several.
type way struct {
	when []try.Condition
	ends []try.Outcome
	// id is the same for two ways that are the same to a caller, and lets says that the request is let in.
	id      string
	lets    bool
	request try.Request
}

// agrees reports whether one request may go both ways.
func (w *way) agrees(other *way) bool {
	for _, a := range w.when {
		for _, b := range other.when {
			if a.Key == b.Key && a.Is != b.Is {
				return false
			}
		}
	}
	return true
}

// ways are those of the request of a line in a mesh, but for what load, chance and services of authorization decide;
// none when there is no such request. Entries are the listeners at which it may have come to a gateway.
func ways(m *ir.Mesh, line *logs.Line, entries []entry) (out []way) {
	for _, e := range entries {
		q, known := requestOf(m, line, e)
		if !known {
			continue
		}
		outcomes, _, err := try.Outcomes(m, q)
		if err != nil {
			continue
		}
		for _, o := range outcomes {
			if o.Transient() || slices.ContainsFunc(o.When, func(c try.Condition) bool {
				return c.Refuses && (c.Kind == try.OnAuthorization || c.Kind == try.OnCertificate)
			}) {
				continue
			}
			w := way{ends: []try.Outcome{o}, lets: o.Allowed(), request: q}
			for _, c := range o.When {
				if c.Kind != try.OnSplit {
					w.when = append(w.when, c)
				}
			}
			if len(entries) > 1 {
				w.when = append(w.when, try.Condition{On: "at which listener it came", Key: "listener", Is: e.name})
			}
			out = joined(out, w)
		}
	}
	for i := range out {
		var ids []string
		for _, o := range out[i].ends {
			ids = append(ids, idOfEnd(&o))
		}
		slices.Sort(ids)
		out[i].id = strings.Join(slices.Compact(ids), ", ")
	}
	return out
}

// joined adds a way, or its end to the way that has the same conditions.
func joined(list []way, w way) []way {
	alike := func(a, b try.Condition) bool { return a.Key == b.Key && a.Is == b.Is }
	i := slices.IndexFunc(list, func(other way) bool { return slices.EqualFunc(other.when, w.when, alike) })
	if i < 0 {
		return append(list, w)
	}
	list[i].ends, list[i].lets = append(list[i].ends, w.ends...), list[i].lets && w.lets
	return list
}

// idOfEnd is the same for two ends that are the same to a caller.
func idOfEnd(o *try.Outcome) string {
	if a := o.Answer; a != nil {
		return fmt.Sprintf("answer %s %d %d %s", a.By, a.Status, a.GRPCStatus, a.Location)
	}
	return fmt.Sprintf("reach %s|%s|%s|%s|%d", o.Reach.Service, o.Reach.External, o.Reach.Version, o.Reach.Port,
		o.Reach.Refused)
}

// How many of the ways let a request in.
const (
	none = iota
	some
	all
)

func allowed(list []way) int {
	lets, refuses := false, false
	for i := range list {
		if list[i].lets {
			lets = true
		} else {
			refuses = true
		}
	}
	switch {
	case lets && refuses:
		return some
	case lets:
		return all
	}
	return none
}

// textOf are ways in words.
func textOf(list []way) string {
	var out []string
	for i := range list {
		for _, o := range list[i].ends {
			if text := o.Text(); !slices.Contains(out, text) {
				out = append(out, text)
			}
		}
	}
	return strings.Join(out, ", or ")
}
