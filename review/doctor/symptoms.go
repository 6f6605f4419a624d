package doctor

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/serve/telemetry"
)

// kind is how something fails on an edge.
type kind string

// The kinds of symptom.
const (
	denied       kind = "denied"         // by the callee's rules
	noInstance   kind = "no instance"    // NoHealthyUpstream
	timedOut     kind = "timed out"      // UpstreamRequestTimeout
	unconnected  kind = "not connected"  // UpstreamConnectionFailure at the caller
	broken       kind = "broken off"     // the callee resets or closes
	mismatched   kind = "no valid HTTP"  // UpstreamProtocolError
	overflow     kind = "overflow"       // UpstreamOverflow
	limited      kind = "rate limited"   // 429
	unauthorized kind = "not authorized" // 401, or an external authorization's refusal
	unrouted     kind = "no route"       // NoRouteFound
	gone         kind = "application gone"
	answered     kind = "answered 5xx"
	wrong        kind = "answered 4xx"
	slow         kind = "slow"
)

// symptom is something that fails on an edge.
type symptom struct {
	edge *edge
	kind kind
	// n is how many requests, of those that were made lately.
	n     uint64
	since time.Time
}

// What is too little to be a symptom: fewer requests, or a smaller share.
const (
	fewest   = 4
	smallest = 0.005
)

func enough(n, of uint64) bool { return n >= fewest && float64(n) >= smallest*float64(of) }

// symptoms are those of an edge.
func (e *edge) symptoms() (out []symptom) {
	add := func(k kind, n uint64, at time.Time) { out = append(out, symptom{e, k, n, at}) }
	errors := func(s telemetry.Stage) bool { return s.Errors > 0 }
	client, server := now(e.Client), now(e.Server)
	if enough(server.denied, server.requests) {
		add(denied, server.denied, since(e.Server, func(s telemetry.Stage) bool { return s.Denied > 0 }))
	}
	at := cmp.Or(since(e.Client, errors), since(e.Server, errors))
	failing := max(client.errors, server.errors)
	if enough(failing, e.requests()) {
		kinds := map[kind]uint64{}
		total := uint64(0)
		for k, n := range e.failures() {
			if k.is5xx() {
				kinds[k] += n
				total += n
			}
		}
		for _, k := range sorted(kinds) { // the errors of now, by the kinds of the last minutes
			if n := failing * kinds[k] / max(1, total); n > 0 {
				add(k, n, at)
			}
		}
		if total == 0 {
			add(answered, failing, at)
		}
	}
	for k, n := range e.failures() {
		if !k.is5xx() && enough(n, n+e.requests()) {
			add(k, n, e.minutes())
		}
	}
	if n, from := e.slower(); n > 0 {
		add(slow, n, from)
	}
	slices.SortFunc(out, func(a, b symptom) int { return cmp.Compare(a.kind, b.kind) })
	return out
}

// minutes is when the minutes began of which latest tells.
func (e *edge) minutes() time.Time {
	for _, end := range []*telemetry.End{e.Client, e.Server} {
		if _, steps := split(end); len(steps) > 0 {
			return steps[0].At.Truncate(time.Minute)
		}
	}
	return time.Time{}
}

func (k kind) is5xx() bool {
	switch k {
	case limited, unauthorized, unrouted, wrong, denied, slow:
		return false
	}
	return true
}

func sorted[V any](m map[kind]V) (keys []kind) {
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// failures are those of the last minutes by kind: as the caller's proxy tells them, and what the callee's alone knows.
func (e *edge) failures() map[kind]uint64 {
	out := map[kind]uint64{}
	if end := e.latest.Client; end != nil {
		for _, f := range end.Failures {
			out[kindOf(&f, true)] += f.Requests
		}
	}
	if end := e.latest.Server; end != nil {
		told := map[kind]uint64{}
		for _, f := range end.Failures {
			told[kindOf(&f, false)] += f.Requests
		}
		for k, n := range told {
			switch {
			case e.latest.Client == nil:
				out[k] += n
			case k == gone || k == mismatched || k == unauthorized || k == limited:
				// To the caller it is an answer with that status.
				out[answered] -= min(out[answered], n)
				out[k] = max(out[k], n)
			}
		}
	}
	delete(out, "")
	return out
}

// kindOf is the kind of a failure that an end tells of; "" for one that says nothing.
func kindOf(f *telemetry.Failure, client bool) kind {
	has := func(flag string) bool { return strings.Contains(f.Flags, flag) }
	switch {
	case slices.Contains(ir.Denials, f.Flags):
		return ""
	case has("UnauthorizedExternalService"), f.Status == 401:
		return unauthorized
	case has("RateLimited"), f.Status == 429:
		return limited
	case has("NoHealthyUpstream"):
		return noInstance
	case f.Flags == "UpstreamOverflow" && (f.Status < 500 || f.Status == 503):
		return overflow // besides another flag or status it is that of a retry, of what failed otherwise
	case has("UpstreamRequestTimeout"):
		return timedOut
	case has("UpstreamProtocolError"):
		return mismatched
	case has("NoRouteFound"):
		return unrouted
	case has("Downstream"):
		return "" // the client went away, for whatever it waited
	case has("UpstreamConnectionFailure") && client:
		return unconnected
	case has("UpstreamConnectionFailure"):
		return gone
	case has("UpstreamConnectionTermination"), has("UpstreamRemoteReset"):
		if client {
			return broken
		}
		return gone
	case f.Status >= 500, f.GRPC > 0 && slices.Contains(ir.GRPCServerFaults, f.GRPC):
		return answered
	case f.Status == 403 && client:
		return "" // what it is says the callee
	case f.Status >= 400:
		return wrong
	}
	return ""
}

// multiple is how many times longer than usual a slow request takes.
const multiple = 4

// slower reports how many requests of now take much longer than before, and since when.
func (e *edge) slower() (n uint64, at time.Time) {
	end := e.Server
	if end == nil || len(end.Steps) == 0 {
		end = e.Client
	}
	if end == nil {
		return 0, time.Time{}
	}
	base, known := e.usual()
	if !known {
		return 0, time.Time{}
	}
	least := 100.0
	if e.failures()[timedOut] > 0 { // longer it cannot be seen to take
		least = 50
	}
	is := func(s telemetry.Stage) bool { return s.P50 >= multiple*base && s.P50 >= base+least }
	_, recent := split(end)
	for _, s := range slices.Backward(recent) {
		if s.Samples < fewest {
			continue
		}
		if is(s) {
			return s.Samples, since(end, is)
		}
		break
	}
	return 0, time.Time{}
}

// usual is the median duration that requests of the edge had before, in the steps in which it was short: what is slow
// for long is not usual by that. An edge that is new has those of now.
func (e *edge) usual() (ms float64, known bool) {
	end := e.Server
	if end == nil || len(end.Steps) == 0 {
		end = e.Client
	}
	before, now := split(end)
	var medians []float64
	for _, steps := range [][]telemetry.Stage{before, now} {
		for _, s := range steps {
			if s.Samples >= fewest {
				medians = append(medians, s.P50)
			}
		}
		if len(medians) > 0 {
			break
		}
	}
	if len(medians) == 0 {
		return 0, false
	}
	slices.Sort(medians)
	return medians[len(medians)/10], true
}
