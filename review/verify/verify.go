// Package verify runs the tests of a mesh: first followed through the mesh, then sent through real Envoys with
// applications that stand in for the mesh's own.
package verify

import (
	"context"
	"slices"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/compiler/try"
)

// Report is what the tests of a mesh showed.
type Report struct {
	Mesh string `json:"mesh"`
	// Proxies are Envoys whose configuration was validated, and that connected and acknowledged all that they were
	// sent; 0 when none was started.
	Proxies  int      `json:"proxies"`
	Tests    []Test   `json:"tests"`
	Coverage Coverage `json:"coverage"`
	// failUndecided says that undecided tests are failures to whoever reads the report.
	failUndecided bool
}

// Test is one test, in each way that it was run.
type Test struct {
	Title string          `json:"title"`
	Pos   source.Position `json:"source,omitzero"`
	// Command shows each step of its request.
	Command string `json:"command"`
	// Offline is followed through the mesh, and Sent through Envoys; nil when that was not done.
	Offline *Run `json:"offline"`
	Sent    *Run `json:"sent,omitempty"`
}

// Run is a test that was run.
type Run struct {
	// Outcome is what became of the request, in words.
	Outcome string `json:"outcome"`
	// Failure says what was expected; empty when it was so.
	Failure string `json:"failure,omitempty"`
	// Undecided says on what it depends whether it is as expected, or what was not seen of it; empty when that is
	// decided.
	Undecided string        `json:"undecided,omitempty"`
	Time      time.Duration `json:"nanoseconds"`
}

// Failed is how many tests failed, in some way.
func (r *Report) Failed() (n int) {
	for i := range r.Tests {
		if r.Tests[i].failed() {
			n++
		}
	}
	return n
}

// Undecided is how many tests neither failed in some way nor passed in all.
func (r *Report) Undecided() (n int) {
	for i := range r.Tests {
		if t := &r.Tests[i]; !t.failed() && t.undecided() {
			n++
		}
	}
	return n
}

func (t *Test) failed() bool {
	return slices.ContainsFunc(t.runs(), func(r namedRun) bool { return r.Failure != "" })
}

func (t *Test) undecided() bool {
	return slices.ContainsFunc(t.runs(), func(r namedRun) bool { return r.Undecided != "" })
}

// Options say how tests are run.
type Options struct {
	// Offline starts no Envoys.
	Offline bool
	// FailUndecided has reports say that tests which are not decided failed.
	FailUndecided bool
	// Envoy is the binary; empty for what [local.Envoy] finds.
	Envoy string
	// Part is whose tests are run, through the whole mesh; nil for all.
	Part *source.Part
	// Outside is a reviewed tree, of which no program is run; empty for none.
	Outside string
}

// Verify runs the tests of a mesh. An error is of what they run in, and not that they fail.
func Verify(ctx context.Context, m *ir.Mesh, o Options) (*Report, error) {
	r := &Report{Mesh: m.Name, Tests: []Test{}, failUndecided: o.FailUndecided}
	var judgements []*try.Judgement
	reached := newReached()
	var tests []*ir.Test
	for _, t := range m.Tests {
		if o.Part.Has(t.Pos) {
			tests = append(tests, t)
		}
	}
	for _, t := range tests {
		request := try.OfTest(t)
		result := Test{Title: t.Title, Pos: t.Pos, Command: request.Command(), Offline: &Run{}}
		began := time.Now()
		j, err := try.Judge(m, t)
		result.Offline.Time = time.Since(began)
		if err != nil {
			result.Offline.Outcome, result.Offline.Failure = "cannot be sent", err.Error()
		} else {
			reached.add(j.Trial)
			result.Offline.Outcome = j.Trial.Outcome()
			switch j.Verdict {
			case try.Fails:
				result.Offline.Failure = expected(&t.Expect)
			case try.Undecided:
				result.Offline.Undecided = try.On(j.DependsOn)
			}
		}
		judgements = append(judgements, j)
		r.Tests = append(r.Tests, result)
	}
	r.Coverage = reached.coverage(m, o.Part)
	if o.Offline {
		return r, nil
	}
	s, err := startSender(ctx, m, o.Envoy, o.Outside)
	if err != nil {
		return nil, err
	}
	r.Proxies = len(s.mesh.Status().Proxies)
	for i, t := range tests {
		if judgements[i] != nil {
			r.Tests[i].Sent = s.run(ctx, t, judgements[i])
		}
	}
	return r, s.mesh.Stop()
}

// expected is what a test expects, in words.
func expected(e *ir.Expectation) string {
	text := "it must be let in"
	if !e.Allowed {
		return "it must not be let in"
	}
	if e.Service != "" {
		text += " by " + e.Service
	}
	if e.Version != "" {
		text += ", version " + e.Version
	}
	return text
}
