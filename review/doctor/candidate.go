package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
)

// certainty is how directly a cause is known.
type certainty int

const (
	// byElimination: the numbers have no other explanation.
	byElimination certainty = iota + 1
	// byNumbers: the proxies name the failure.
	byNumbers
	// byState: what is served, refused, connected or changed says it, and the numbers agree.
	byState
)

// candidate is a cause that may be the first one.
type candidate struct {
	Verdict
	evidence []Evidence
	// explains are the symptoms that it causes itself. What follows from them, topology tells.
	explains []symptom
	sure     certainty
	// since is when it began, where that is known otherwise than by its symptoms.
	since time.Time
	next  string
}

// patient is the mesh, and what fails in it.
type patient struct {
	*Observations
	name     string // of the member that matters; empty for all
	edges    []*edge
	symptoms []symptom
}

func newPatient(o *Observations, name string) *patient {
	p := &patient{Observations: o, name: name, edges: edgesOf(o.Server)}
	for _, e := range p.edges {
		p.symptoms = append(p.symptoms, e.symptoms()...)
	}
	return p
}

// having are the symptoms of some kinds.
func (p *patient) having(kinds ...kind) (out []symptom) {
	for _, s := range p.symptoms {
		if slices.Contains(kinds, s.kind) {
			out = append(out, s)
		}
	}
	return out
}

// byCallee are the symptoms of some kinds by the callee of their edges.
func (p *patient) byCallee(kinds ...kind) map[ir.Ref][]symptom {
	out := map[ir.Ref][]symptom{}
	for _, s := range p.having(kinds...) {
		if s.edge.callee.Name != "" {
			out[s.edge.callee] = append(out[s.edge.callee], s)
		}
	}
	return out
}

// callees are the keys of that map, sorted.
func callees(of map[ir.Ref][]symptom) []ir.Ref {
	var out []ir.Ref
	for ref := range of {
		out = append(out, ref)
	}
	slices.SortFunc(out, func(a, b ir.Ref) int { return cmp.Compare(a.String(), b.String()) })
	return out
}

// suffers reports whether calls that the member makes itself fail or are slow, so that its answers may follow from
// that.
func (p *patient) suffers(member ir.Ref, kinds ...kind) bool {
	return slices.ContainsFunc(p.symptoms, func(s symptom) bool {
		return s.edge.caller == member && s.edge.callee != member && (len(kinds) == 0 || slices.Contains(kinds, s.kind))
	})
}

// affected are the symptoms that a candidate explains: its own, and those of all who call whom it fails, as far as each
// of them fails too.
func (p *patient) affected(c *candidate) []symptom {
	out := slices.Clone(c.explains)
	reached, todo := map[ir.Ref]bool{}, []ir.Ref{}
	reach := func(caller ir.Ref) {
		if caller.Name != "" && !reached[caller] {
			reached[caller] = true
			todo = append(todo, caller)
		}
	}
	for _, s := range c.explains {
		reach(s.edge.caller)
	}
	for len(todo) > 0 {
		member := todo[0]
		todo = todo[1:]
		for _, s := range p.symptoms {
			if s.edge.callee == member && s.kind != denied && !slices.Contains(out, s) {
				out = append(out, s)
				reach(s.edge.caller)
			}
		}
	}
	return out
}

// weight is how many requests fail by symptoms. One that fails may be slow besides, so of an edge the largest counts.
func weight(list []symptom) (n uint64) {
	most := map[*edge]uint64{}
	for _, s := range list {
		most[s.edge] = max(most[s.edge], s.n)
	}
	for _, of := range most {
		n += of
	}
	return n
}

// concerns reports whether a candidate has to do with the member that matters.
func (p *patient) concerns(c *candidate) bool {
	if p.name == "" || c.Subject == "mesh" {
		return true
	}
	is := func(r ir.Ref) bool { return r.Name == p.name }
	if ref, err := ir.ParseRef(c.Subject); err == nil && is(ref) {
		return true
	}
	return slices.ContainsFunc(p.affected(c), func(s symptom) bool { return is(s.edge.caller) || is(s.edge.callee) })
}

// choose is the candidate that explains most of what fails; of those that explain about as much, the one that is known
// most directly, and then the one that fails more itself and began earlier. It is nil where there is none.
func (p *patient) choose(found []candidate) *candidate {
	found = slices.DeleteFunc(found, func(c candidate) bool { return !p.concerns(&c) })
	if len(found) == 0 {
		return nil
	}
	most := uint64(0)
	explained := make([]uint64, len(found))
	for i := range found {
		explained[i] = weight(p.affected(&found[i]))
		most = max(most, explained[i])
	}
	order := make([]int, 0, len(found))
	for i := range found {
		if explained[i]*10 >= most*8 { // numbers of neighbours are never just the same
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := &found[a], &found[b]
		return cmp.Or(cmp.Compare(y.sure, x.sure), cmp.Compare(weight(y.explains), weight(x.explains)),
			x.began(p).Compare(y.began(p)), cmp.Compare(x.Subject, y.Subject))
	})
	return &found[order[0]]
}

// began is when the cause began, by its symptoms where it is not known otherwise.
func (c *candidate) began(p *patient) time.Time {
	at := c.since
	for _, s := range c.explains {
		if !s.since.IsZero() && (at.IsZero() || s.since.Before(at)) {
			at = s.since
		}
	}
	return cmp.Or(at, p.Now)
}

// report is that of a candidate.
func (p *patient) report(c *candidate) *Report {
	r := &Report{Verdict: c.Verdict, Evidence: c.evidence, Since: c.began(p).UTC(), Next: c.next}
	all := p.affected(c)
	r.Blast = blastOf(all)
	for _, s := range c.explains {
		r.Evidence = append(r.Evidence, numbersOf(s))
	}
	if len(r.Evidence) > mostEvidence {
		r.Evidence = r.Evidence[:mostEvidence]
	}
	r.Changes = p.changes(r.Since)
	if r.Next == "" {
		r.Next = "meshc top --by failure"
	}
	return r
}

// mostEvidence is how many observations are told.
const mostEvidence = 8

func numbersOf(s symptom) Evidence {
	text := fmt.Sprintf("%s: %d of %d requests in the last %s: %s", s.edge.name(), s.n, max(s.n, s.edge.requests()),
		30*time.Second, s.kind)
	if s.kind == slow {
		usual, _ := s.edge.usual()
		text = fmt.Sprintf("%s: half of the requests took longer than %.0f ms, and %.0f ms before", s.edge.name(),
			s.edge.latestMedian(), usual)
	}
	return Evidence{text, "meshc top --by failure"}
}

// latestMedian is how long half of the requests take now, in milliseconds.
func (e *edge) latestMedian() float64 {
	end := e.Server
	if end == nil || len(end.Steps) == 0 {
		end = e.Client
	}
	_, recent := split(end)
	for _, s := range slices.Backward(recent) {
		if s.Samples >= fewest {
			return s.P50
		}
	}
	return 0
}

func blastOf(all []symptom) Blast {
	b := Blast{Edges: []string{}, Callers: []string{}}
	for _, s := range all {
		b.Edges = append(b.Edges, s.edge.name())
		if s.edge.caller.Name != "" {
			b.Callers = append(b.Callers, s.edge.caller.String())
		}
	}
	slices.Sort(b.Edges)
	slices.Sort(b.Callers)
	b.Edges, b.Callers = slices.Compact(b.Edges), slices.Compact(b.Callers)
	return b
}

// plain is a verdict without evidence of a candidate.
func (p *patient) plain(cause Cause, party Party, text string) *Report {
	return &Report{
		Verdict: Verdict{Cause: cause, Subject: "mesh", Text: text, Party: party}, Evidence: []Evidence{},
		Blast: blastOf(p.symptoms), Changes: p.changes(p.Now), Next: "meshc status", Since: p.Now,
	}
}

func (p *patient) healthy() *Report {
	r := p.plain(Nothing, ByNobody, "nothing is wrong: the mesh does what the spec says, and no number deviates")
	proxies, total := 0, uint64(0)
	for _, one := range p.Server.Status.Proxies {
		if one.Connected {
			proxies++
		}
	}
	for _, e := range p.edges {
		total += e.requests()
	}
	r.Evidence = append(r.Evidence, Evidence{
		fmt.Sprintf("%d proxies have taken the mesh, and %d requests on %d edges in the last 30s have no failures that count",
			proxies, total, len(p.edges)), "meshc status",
	})
	return r
}

// unexplained is for symptoms without a cause.
func (p *patient) unexplained() *Report {
	r := p.plain(Unknown, ByNobody, "requests fail, and no cause that is known explains it")
	for _, s := range p.symptoms {
		r.Evidence = append(r.Evidence, numbersOf(s))
		if !s.since.IsZero() && s.since.Before(r.Since) {
			r.Since = s.since.UTC()
		}
	}
	r.Evidence, r.Next = r.Evidence[:min(len(r.Evidence), mostEvidence)], "meshc top --by failure"
	return r
}

// unheard is for a mesh of which nothing is known.
func (p *patient) unheard() *Report {
	return p.plain(Unknown, ByNobody, "nothing is known of the mesh: no server tells of its edges")
}

// lineOf is the position of a verdict.
func lineOf(p source.Position) string {
	if !p.IsValid() {
		return ""
	}
	return fmt.Sprintf("%s:%d", source.Printable(p.File), p.Line)
}
