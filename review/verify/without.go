package verify

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
)

// Absence is what the callers of a service or an external get when it is not there.
type Absence struct {
	Mesh string `json:"mesh"`
	Of   ir.Ref `json:"of"`
	// Calls are those to it, with what real Envoys answered.
	Calls []Unanswered `json:"calls"`
	// Through are those who call it through others, each with whom they call.
	Through []string `json:"through"`
	// Objectives are those that break, and those that do where callers fail with it.
	Objectives []Broken `json:"objectives"`
}

// Unanswered is a way to what is not there.
type Unanswered struct {
	Way string `json:"edge"`
	// Gone is what a request gets when nothing of it runs, Hangs when it takes requests and answers none.
	Gone  string `json:"gone"`
	Hangs string `json:"hangs"`
}

// Broken is an objective that does not hold.
type Broken struct {
	Of  string          `json:"of"`
	Is  string          `json:"objective"`
	Pos source.Position `json:"source"`
	// If is on what it depends whether it breaks; empty where it does.
	If string `json:"if,omitempty"`
}

// withoutLongest is how long a request may take whose callee is not there: more than the time that a try has where
// nothing is written.
const withoutLongest = 20 * time.Second

// Without has a service or an external hang, and then be gone, and asks for it as each of its callers does.
func Without(ctx context.Context, m *ir.Mesh, of ir.Ref, o FailureOptions) (*Absence, error) {
	o.Longest = cmp.Or(o.Longest, withoutLongest)
	a := &Absence{Mesh: m.Name, Of: of, Calls: []Unanswered{}, Through: []string{}, Objectives: []Broken{}}
	p, err := startProber(ctx, m, o)
	if err != nil {
		return nil, err
	}
	longest, err := p.absence(ctx, a)
	if err != nil {
		_ = p.mesh.Stop() // the first error is the cause
		return nil, err
	}
	a.follow(m, longest)
	return a, p.mesh.Stop()
}

// absence asks on each way to what is not there: first when it hangs, then when it is gone. Longest is how long the
// latest answer took.
func (p *prober) absence(ctx context.Context, a *Absence) (longest time.Duration, err error) {
	edges, _ := edgesOf(p.running.Mesh)
	edges = slices.DeleteFunc(edges, func(e *edge) bool {
		return !slices.Contains(e.ends, a.Of) || !e.protocol.IsHTTP()
	})
	ask := func(do doing, add func(i int, text string)) {
		for i, e := range edges {
			var seen *observed
			if seen, err = p.ask(ctx, e, do); err != nil {
				return
			}
			longest = max(longest, seen.took)
			add(i, seen.answer())
		}
	}
	ask(hanging, func(i int, text string) { a.Calls = append(a.Calls, Unanswered{Way: edges[i].way(), Hangs: text}) })
	if err == nil {
		p.end(a.Of)
		ask(nil, func(i int, text string) { a.Calls[i].Gone = text })
	}
	return longest, err
}

// end ends the applications of a service, or what stands in for an external.
func (p *prober) end(of ir.Ref) {
	for _, application := range p.callees(&edge{ends: []ir.Ref{of}}) {
		application.Close()
	}
}

// answer is what came back, in words, but for tries that nobody counts.
func (o *observed) answer() string {
	text := o.text()
	if o.tries == 0 {
		text, _, _ = strings.Cut(text, " and 0 tries")
	}
	return text
}

// follow finds who calls it through others, and the objectives that break: those of what is not there, and where its
// callers fail with it theirs, and those of who calls them.
func (a *Absence) follow(m *ir.Mesh, longest time.Duration) {
	if s := m.Service(a.Of.Name); s != nil && a.Of.Kind == ir.KindService {
		a.breaks(a.Of.String(), s.Objectives, "", longest)
	}
	reached := map[ir.Ref]bool{a.Of: true}
	for next := []ir.Ref{a.Of}; len(next) > 0; next = next[1:] {
		for _, scope := range m.Scopes() {
			member := scope.Member()
			caller := member.Peer.Ref()
			i := slices.IndexFunc(member.Uses, func(u ir.Use) bool { return u.Callee() == next[0] })
			if i < 0 {
				continue
			}
			only := ""
			if next[0] != a.Of {
				only = next[0].String() + " fails with it"
				a.Through = append(a.Through, fmt.Sprintf("%s, which calls %s", caller, next[0]))
			}
			a.breaks(fmt.Sprintf("%s → %s", caller, next[0].Name), member.Uses[i].Objectives, only, longest)
			if reached[caller] {
				continue
			}
			reached[caller], next = true, append(next, caller)
			if s := scope.Service; s != nil {
				a.breaks(caller.String(), s.Objectives, caller.String()+" fails with it", longest)
			}
		}
	}
}

// breaks adds the objectives that requests break which fail, and take that long when it hangs.
func (a *Absence) breaks(of string, o *ir.Objectives, only string, longest time.Duration) {
	if o == nil {
		return
	}
	if share := o.Availability; share != nil {
		a.Objectives = append(a.Objectives, Broken{of, fmt.Sprintf("availability %g%%", share.Value), share.Pos, only})
	}
	for _, l := range o.Latency {
		if longest > time.Duration(l.Within) {
			is := fmt.Sprintf("latency: %g%% within %s, when it hangs", l.Percent, l.Within)
			a.Objectives = append(a.Objectives, Broken{of, is, l.Pos, only})
		}
	}
}

// Text prints the report for a terminal.
func (a *Absence) Text(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "without %s a request on\n", a.Of)
	for _, c := range a.Calls {
		fmt.Fprintf(&b, "  %s\n    %s when it is gone\n    %s when it hangs\n", diag.Printable(c.Way), c.Gone, c.Hangs)
	}
	if len(a.Calls) == 0 {
		b.WriteString("  no way fails: nobody sends requests of HTTP to it\n")
	}
	if len(a.Through) > 0 {
		fmt.Fprintf(&b, "\nit is called through others by\n  %s\n", strings.Join(a.Through, "\n  "))
	}
	b.WriteString("\nobjectives that break\n")
	for _, o := range a.Objectives {
		fmt.Fprintf(&b, "  %s: %s  %s\n", o.Of, o.Is, o.Pos)
		if o.If != "" {
			fmt.Fprintf(&b, "    if %s\n", o.If)
		}
	}
	if len(a.Objectives) == 0 {
		b.WriteString("  none that is written\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
