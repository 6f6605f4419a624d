package ir

import (
	"slices"
	"strconv"
	"time"

	"github.com/meshc/meshc/compiler/source"
)

// Objectives are what part of the requests of a service, or of an edge, is to be well.
type Objectives struct {
	// Availability is the share of requests that succeed, in percent; nil for no objective.
	Availability *Setting[float64] `json:"availability,omitempty" scope:"-"`
	// Latency is sorted by Within.
	Latency []LatencyObjective `json:"latency,omitempty"`
	Pos     source.Position    `json:"pos,omitzero"`
}

// LatencyObjective is a share of the requests that take less than a time.
type LatencyObjective struct {
	Within Duration `json:"within"`
	// Percent of the requests.
	Percent float64         `json:"percent" scope:"-"`
	Pos     source.Position `json:"pos,omitzero"`
}

// usualBuckets are those of OpenTelemetry's semantic conventions for the duration of requests.
var usualBuckets = []Duration{
	ms(5), ms(10), ms(25), ms(50), ms(75), ms(100), ms(250), ms(500), ms(750), ms(1000), ms(2500), ms(5000), ms(7500),
	ms(10000),
}

func ms(n int) Duration { return Duration(n) * Duration(time.Millisecond) }

// Buckets are the upper bounds of the buckets in which a member's proxies count how long requests take: the usual ones,
// and those that the objectives of the member, of its calls and of those whom it calls need.
func (s *Scope) Buckets() []Duration {
	out := slices.Clone(usualBuckets)
	add := func(o *Objectives) {
		if o == nil {
			return
		}
		for _, l := range o.Latency {
			out = append(out, l.Within)
		}
	}
	if s.Service != nil {
		add(s.Service.Objectives)
	}
	uses := s.Member().Uses
	for i := range uses {
		add(uses[i].Objectives)
		if u := s.Upstreams[uses[i].To]; u != nil {
			add(u.Objectives)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Milliseconds of a time.
func (d Duration) Milliseconds() float64 { return float64(d) / float64(time.Millisecond) }

// Bucket is the name of the bucket with that upper bound, as a proxy's metrics have it: milliseconds.
func (d Duration) Bucket() string { return strconv.FormatFloat(d.Milliseconds(), 'f', -1, 64) }

// GRPCServerFaults are the statuses of gRPC that are the server's fault, as OpenTelemetry has it: UNKNOWN,
// DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS.
var GRPCServerFaults = []int{2, 4, 12, 13, 14, 15}
