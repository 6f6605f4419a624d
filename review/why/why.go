// Package why explains a line of an access log by the mesh that its proxy had: the way of its request, step by step
// with the line of the spec of each, and the step that decided.
package why

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/series"
	"github.com/meshc/meshc/compiler/try"
	"github.com/meshc/meshc/review/logs"
	"github.com/meshc/meshc/review/replay"
)

// Reason is why a request ended as its line says.
type Reason struct {
	Line *logs.Line `json:"line"`
	// Trial is the way of the request.
	Trial *try.Trial `json:"trial"`
	// Decided is the number of the step, from 0 on, that decided: of a request that is refused the one that refuses it;
	// else at the caller its route, and at the callee the rule that lets it in. It is -1 where no step did.
	Decided int `json:"decided"`
	// Agrees says that the request ends on this way as the line says. Where not, the mesh is not the one that the proxy
	// had, or what decided is not in the mesh: the application, the network, the client.
	Agrees bool `json:"agrees"`
	// When is what the line does not say and the way takes to be so, in words.
	When []string `json:"when,omitempty"`
}

// ErrUnknown is for a line whose caller or callee the mesh does not have.
var ErrUnknown = errors.New("the mesh does not have this caller or callee")

// Explain finds the way of the request of a line in a mesh. What the line does not say, as headers, is taken to be as
// it leads to where the line says that the request ended.
func Explain(m *ir.Mesh, line *logs.Line) (*Reason, error) {
	var best *Reason
	most := -1
	for _, request := range replay.Requests(m, line) {
		ways, _, err := try.Ways(m, request)
		if err != nil {
			continue
		}
		for i := range ways {
			agrees, n := alike(line, ways[i].Trial)
			if agrees {
				n += 10
			}
			if n <= most {
				continue
			}
			most, best = n, &Reason{Line: line, Trial: ways[i].Trial, Agrees: agrees}
			for _, c := range ways[i].When {
				best.When = append(best.When, c.On+": "+c.Is)
			}
		}
	}
	if best == nil {
		return nil, ErrUnknown
	}
	best.Decided = decided(line, best.Trial)
	return best, nil
}

// alike reports whether a request ends on a way as a line says, and how much else of it is the same: its route and its
// version.
func alike(line *logs.Line, t *try.Trial) (ends bool, n int) {
	refused := line.Denied || line.Refused()
	status := 0
	if t.Answer != nil {
		status = t.Answer.Status
	}
	for _, r := range t.Reaches {
		status = max(status, r.Refused)
	}
	switch {
	case status >= 300: // by a proxy
		ends = line.Status == status || line.Denied
	case t.Allowed():
		ends = !refused
	default: // a connection that is closed
		ends = refused
	}
	if line.Kind == series.ClientHTTP {
		route := ""
		if k := len(t.Routes); k > 0 {
			route = t.Routes[k-1].Name
		}
		if line.Route == route || route == "" && line.Route == series.RestRoute {
			n += 2
		}
	}
	if slices.ContainsFunc(t.Reaches, func(r try.Reach) bool { return r.Version == line.Version }) {
		n++
	}
	return ends, n
}

// decided is the step that decided.
func decided(line *logs.Line, t *try.Trial) int {
	if t.Allowed() && line.Kind == series.ClientHTTP && len(t.Routes) > 0 {
		if i := stepAt(t, t.Routes[len(t.Routes)-1].Pos.String()); i >= 0 {
			return i
		}
	}
	if t.Allowed() && line.Kind != series.ClientHTTP && len(t.Rules) > 0 {
		if i := stepAt(t, t.Rules[len(t.Rules)-1].Pos.String()); i >= 0 {
			return i
		}
	}
	for i, s := range slices.Backward(t.Steps) {
		if !s.Timing && (s.Pos.IsValid() || !t.Allowed()) {
			return i
		}
	}
	return -1
}

// stepAt is the number of the first step at that place in the spec; -1 for none.
func stepAt(t *try.Trial, pos string) int {
	return slices.IndexFunc(t.Steps, func(s try.Step) bool { return !s.Timing && s.Pos.String() == pos })
}

// Text prints a reason for people.
func (r *Reason) Text(w io.Writer) error {
	l := r.Line
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s%s from %s: %d\n", l.Time, l.Method, l.Host, l.Path, r.Trial.From, l.Status)
	for i, s := range r.Trial.Steps {
		mark := " "
		if i == r.Decided {
			mark = ">"
		}
		fmt.Fprintf(&b, "%s %s  %s  %s\n", mark, s.Pos, s.At, s.Does)
	}
	for _, c := range r.When {
		fmt.Fprintf(&b, "  if %s\n", c)
	}
	if !r.Agrees {
		fmt.Fprintf(&b, "  such a request %s in this mesh: the proxy had another one, or the application, the network or the "+
			"client decided\n", r.Trial.Outcome())
	}
	b.WriteByte('\n')
	for text := range strings.Lines(b.String()) {
		if _, err := fmt.Fprintln(w, diag.Printable(strings.TrimSuffix(text, "\n"))); err != nil {
			return err
		}
	}
	return nil
}
