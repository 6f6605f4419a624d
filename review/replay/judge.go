package replay

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/series"
	"github.com/meshc/meshc/compiler/try"
	"github.com/meshc/meshc/review/logs"
)

// Change is what would be another with a request.
type Change string

// The changes.
const (
	// Denied and Allowed are requests that would be refused and were not, and the reverse.
	Denied  Change = "denied"
	Allowed Change = "allowed"
	// Routed are requests that would go to another callee or version, or be answered by another proxy.
	Routed Change = "routed"
	// Undecided are requests of which one of these is true or not by what the log does not say.
	Undecided Change = "undecided"
	// Unknown are requests that the mesh cannot be asked for: their caller or callee is not in it.
	Unknown Change = "unknown"
	// Same are all others.
	Same Change = "same"
)

var changes = []Change{Denied, Routed, Undecided, Allowed, Unknown, Same}

// verdict is what happens to a request in place of what was logged.
type verdict struct {
	change Change
	// why is what happens, in words; then is what did.
	why, then string
	// request is the one that the mesh was asked for; nil where nothing changed.
	request *try.Request
}

// judge puts a request to the mesh, and to the one in which it was logged where that is known.
func (r *Replay) judge(is request, line *logs.Line) verdict {
	if line.Malformed() { // whatever the mesh says
		return verdict{change: Same}
	}
	renamed := *line
	renamed.Caller = r.identityNow(line)
	entries := entriesOf(r.then, line)
	if r.then == nil {
		entries = entriesOf(r.now, line)
	}
	now := ways(r.now, &renamed, entries)
	if len(now) == 0 {
		return verdict{change: Unknown, why: "the mesh does not have this caller or callee"}
	}
	if r.then != nil {
		if then := ways(r.then, line, entries); len(then) > 0 {
			return compared(asRecorded(then, is.recorded), now)
		}
	}
	return against(is, line, now)
}

// identityNow is the identity by which the caller of a line calls in the mesh that requests are put to: another one,
// where the same member has another account there.
func (r *Replay) identityNow(line *logs.Line) string {
	if r.then == nil {
		return line.Caller
	}
	from, known := logs.Sender(r.then, line.Caller, line.Callee)
	switch {
	case !known:
	case from.Kind == ir.KindService && r.now.Service(from.Name) != nil:
		return r.now.Service(from.Name).Identity.String()
	case from.Kind == ir.KindGateway && r.now.Gateway(from.Name) != nil:
		return r.now.Gateway(from.Name).Identity.String()
	}
	return line.Caller
}

// asRecorded are the ways that may have been those of the request, by how it ended; all, if none is.
func asRecorded(list []way, recorded string) []way {
	out := slices.DeleteFunc(slices.Clone(list), func(w way) bool {
		return w.lets != (recorded == recordedPassed) && recorded != recordedMaybe
	})
	if len(out) == 0 {
		return list
	}
	return out
}

// compared are two meshes' ways of one request. Two ways are of the same request unless they want different answers to
// one question.
func compared(then, now []way) verdict {
	var found []Change
	for _, was := range then {
		for _, is := range now {
			if c := changeOf(&was, &is); was.agrees(&is) && !slices.Contains(found, c) {
				found = append(found, c)
			}
		}
	}
	switch was := textOf(then); {
	case len(found) != 1:
		return undecided(now, was)
	case found[0] == Same:
		return verdict{change: Same}
	default:
		return changed(found[0], now, was)
	}
}

// changeOf is what is another for a request that goes one way in place of another.
func changeOf(was, is *way) Change {
	switch {
	case was.lets && !is.lets:
		return Denied
	case !was.lets && is.lets:
		return Allowed
	case was.lets && was.id != is.id:
		return Routed
	}
	return Same // or refused in another way
}

// against is what a mesh does with a request, against what the log says of it.
func against(is request, line *logs.Line, now []way) verdict {
	then := "was answered " + strconv.Itoa(line.Status)
	switch {
	case is.recorded == recordedDenied:
		then = "was denied"
	case line.GRPC != 0:
		then += fmt.Sprintf(", with the status %d of gRPC", line.GRPC)
	case line.Status == 0:
		then = "was let in"
	}
	switch lets := allowed(now); {
	case lets == some:
		return undecided(now, then)
	case is.recorded == recordedPassed && lets == none:
		return changed(Denied, now, then)
	case is.recorded != recordedPassed && lets == all:
		return changed(Allowed, now, then)
	case lets == none || !goesElsewhere(line, now):
		return verdict{change: Same}
	}
	if line.Callee != "" {
		then = "went to " + strings.TrimSpace(line.Callee+" "+line.Version)
	}
	return changed(Routed, now, then)
}

// goesElsewhere reports whether a request of a caller's line goes to another callee or version than it did, or to one
// where a proxy answered.
func goesElsewhere(line *logs.Line, now []way) bool {
	if line.Kind != series.ClientHTTP {
		return false
	}
	answered := line.Callee == "" || line.Details == "direct_response"
	return !slices.ContainsFunc(now, func(w way) bool {
		return slices.ContainsFunc(w.ends, func(o try.Outcome) bool {
			if o.Reach == nil || answered {
				return o.Reach == nil && answered
			}
			callee := o.Reach.Service + o.Reach.External
			plain, _, _ := strings.Cut(line.Callee, ".")
			return (callee == line.Callee || callee == plain) && o.Reach.Version == line.Version
		})
	})
}

func changed(c Change, now []way, then string) verdict {
	return verdict{change: c, why: textOf(now), then: then, request: &now[0].request}
}

// undecided is for a request of which the mesh decides by what the log does not say.
func undecided(now []way, then string) verdict {
	v := changed(Undecided, now, then)
	var on []string
	for i := range now {
		for _, c := range now[i].when {
			if !slices.Contains(on, c.On) {
				on = append(on, c.On)
			}
		}
	}
	if len(on) > 0 {
		v.why += "; it depends on " + strings.Join(on, ", and on ")
	}
	return v
}
