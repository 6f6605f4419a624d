package serve

import (
	"cmp"
	"slices"

	"github.com/meshc/meshc/serve/telemetry"
)

// Add has the report tell of what another server knows too: of several servers each knows what the proxies that are
// connected to it told.
func (r *EdgeReport) Add(other *EdgeReport) {
	if other.Since.After(r.Since) {
		r.Since = other.Since // since then all is known
	}
	r.Silent = append(r.Silent, other.Silent...)
	r.Omitted += other.Omitted
	type key struct {
		caller, callee string
		port           uint16
	}
	known := map[key]int{}
	for i, e := range r.Edges {
		known[key{e.Caller, e.Callee, e.Port}] = i
	}
	for _, e := range other.Edges {
		i, is := known[key{e.Caller, e.Callee, e.Port}]
		if !is {
			r.Edges = append(r.Edges, e)
			continue
		}
		had := &r.Edges[i]
		had.Client, had.Server = together(had.Client, e.Client), together(had.Server, e.Server)
		had.Reports = had.Reports || e.Reports
		if !had.Declared && e.Declared {
			had.Declared, had.Uses, had.Allow = true, e.Uses, e.Allow
		}
	}
	slices.SortFunc(r.Edges, compareEdges)
	r.addUndeclared(other.Undeclared)
}

func compareEdges(a, b Edge) int {
	return cmp.Or(cmp.Compare(a.Caller, b.Caller), cmp.Compare(a.Callee, b.Callee), cmp.Compare(a.Port, b.Port))
}

func together(a, b *telemetry.End) *telemetry.End {
	if a == nil || b == nil {
		return cmp.Or(a, b)
	}
	a.Add(b)
	return a
}
