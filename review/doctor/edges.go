package doctor

import (
	"cmp"
	"slices"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/serve"
	"github.com/meshc/meshc/serve/telemetry"
)

// edge is an edge of the mesh with its numbers of now and of before.
type edge struct {
	*serve.Edge
	// caller is the member that calls; zero for an identity of nobody. callee is zero for what a proxy answers itself.
	caller, callee ir.Ref
	// latest has the failures and the lines of the last minutes; its ends may be nil.
	latest serve.Edge
}

// name is "CALLER -> CALLEE", by plain names.
func (e *edge) name() string {
	from, to := e.caller.Name, e.callee.Name
	return cmp.Or(from, e.Caller, "(no certificate)") + " -> " + cmp.Or(to, "(its own proxy)")
}

// recentSteps is how many steps are now: the one that goes on and the one before.
const recentSteps = 2

// edgesOf are the edges of which the server told.
func edgesOf(s *Server) (out []*edge) {
	if s == nil || s.Edges == nil {
		return nil
	}
	type key struct {
		caller, callee string
		port           uint16
	}
	latest := map[key]serve.Edge{}
	for _, e := range s.Latest.Edges {
		latest[key{e.Caller, e.Callee, e.Port}] = e
	}
	for i := range s.Edges.Edges {
		e := &edge{Edge: &s.Edges.Edges[i]}
		e.caller, _ = ir.ParseRef(e.Caller) // or an identity of nobody
		e.callee, _ = ir.ParseRef(e.Callee) // or none
		e.latest = latest[key{e.Caller, e.Callee, e.Port}]
		out = append(out, e)
	}
	return out
}

// tally is what was counted in some steps.
type tally struct{ requests, errors, denied uint64 }

func sum(steps []telemetry.Stage) (t tally) {
	for i := range steps {
		t.requests += steps[i].Requests
		t.errors += steps[i].Errors
		t.denied += steps[i].Denied
	}
	return t
}

// split are the steps of before and those of now.
func split(end *telemetry.End) (before, now []telemetry.Stage) {
	if end == nil {
		return nil, nil
	}
	n := max(0, len(end.Steps)-recentSteps)
	return end.Steps[:n], end.Steps[n:]
}

// now is what an end counted lately.
func now(end *telemetry.End) tally {
	_, steps := split(end)
	return sum(steps)
}

// requests are those of the caller's end lately, or else of the callee's.
func (e *edge) requests() uint64 { return max(now(e.Client).requests, now(e.Server).requests) }

// since is when the last run of steps began in which something is so.
func since(end *telemetry.End, is func(telemetry.Stage) bool) time.Time {
	if end == nil {
		return time.Time{}
	}
	var at time.Time
	quiet := 0
	for _, s := range slices.Backward(end.Steps) {
		switch {
		case is(s):
			at, quiet = s.At, 0
		case !at.IsZero():
			if quiet++; quiet > 1 {
				return at
			}
		}
	}
	return at
}
