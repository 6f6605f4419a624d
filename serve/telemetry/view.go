package telemetry

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"time"
)

// End is what one end of an edge has told of a window of time.
type End struct {
	Kind Kind `json:"kind"`
	// Caller is the SPIFFE ID of the caller, empty for one without a certificate.
	Caller string `json:"caller,omitempty"`
	// Member is the caller by its name, "service NAME", where several members have its identity and its own proxy
	// tells.
	Member string `json:"member,omitempty"`
	// Callee is NAME.NAMESPACE of a service, or the name of an external; empty where the proxy answers itself.
	Callee string `json:"callee,omitempty"`
	Port   string `json:"port,omitempty"`
	// Last is when it was reported last, also without requests.
	Last time.Time `json:"last"`
	Stats
	// Failures are those with a status from 400 on, with a status of gRPC other than OK, or with a response flag, in
	// the minutes of the window; the most frequent first.
	Failures []Failure `json:"failures,omitempty"`
	// Lines are the routes or the rules that the requests went by, in the minutes of the window; most requests first.
	Lines []Line `json:"lines,omitempty"`
	// Steps are the same window in steps of 15 seconds, the oldest first, where they are asked for.
	Steps []Stage `json:"steps,omitempty"`
}

// Stage is what was told of [Step], which began at that time. The last one has not ended.
type Stage struct {
	At time.Time `json:"at"`
	// Requests, Errors and Denied are those of [Stats].
	Requests uint64 `json:"requests"`
	Errors   uint64 `json:"errors"`
	Denied   uint64 `json:"denied,omitempty"`
	// Samples is the number of durations, and P50 and P95 are quantiles of them in milliseconds.
	Samples uint64  `json:"samples,omitempty"`
	P50     float64 `json:"p50,omitempty"`
	P95     float64 `json:"p95,omitempty"`
}

// Stats are counts of requests, or of connections below HTTP, in a window of time.
type Stats struct {
	Requests uint64 `json:"requests"`
	// Errors are requests with a status from 500 on, without a status, or with a status of gRPC that is the server's
	// fault; below HTTP, connections with a response flag.
	Errors uint64 `json:"errors"`
	// Denied are requests that no rule of the callee allows, or that one denies, as its proxy tells. As a client a
	// gateway tells of those that its own rules deny.
	Denied uint64 `json:"denied,omitempty"`
	// PerSecond is the rate of requests over the whole steps of the window that every proxy has reported.
	PerSecond float64 `json:"perSecond"`
	// Latency is how long requests took.
	Latency Latency `json:"latency"`
}

// SuccessRate is the share of requests that are no errors, from 0 to 1; 1 where there are none.
func (s *Stats) SuccessRate() float64 {
	if s.Requests == 0 {
		return 1
	}
	return 1 - min(1, float64(s.Errors)/float64(s.Requests))
}

// Add has s tell of both.
func (s *Stats) Add(other *Stats) {
	s.Requests += other.Requests
	s.Errors += other.Errors
	s.Denied += other.Denied
	s.PerSecond += other.PerSecond
	s.Latency = s.Latency.merge(&other.Latency)
}

// Add has the end tell of what another server knows of it too.
func (e *End) Add(other *End) {
	e.Stats.Add(&other.Stats)
	if other.Last.After(e.Last) {
		e.Last = other.Last
	}
	for _, f := range other.Failures {
		i := slices.IndexFunc(e.Failures, func(had Failure) bool {
			return had.Status == f.Status && had.GRPC == f.GRPC && had.Flags == f.Flags
		})
		if i < 0 {
			e.Failures = append(e.Failures, f)
		} else {
			e.Failures[i].Requests += f.Requests
		}
	}
	slices.SortFunc(e.Failures, compareFailures)
	for _, l := range other.Lines {
		i := slices.IndexFunc(e.Lines, func(had Line) bool {
			return had.Name == l.Name && had.Source == l.Source && had.Version == l.Version
		})
		if i < 0 {
			e.Lines = append(e.Lines, l)
		} else {
			e.Lines[i].Requests += l.Requests
			e.Lines[i].Errors += l.Errors
		}
	}
	slices.SortStableFunc(e.Lines, compareLines)
}

// Latency are quantiles of durations, in milliseconds.
type Latency struct {
	// Samples is the number of durations.
	Samples uint64  `json:"samples"`
	P50     float64 `json:"p50"`
	P95     float64 `json:"p95"`
	P99     float64 `json:"p99"`
	// Quantiles are those at 0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99 and 1, by which those of several ends are merged.
	Quantiles [points]float64 `json:"quantiles"`
}

func (l *Latency) merge(other *Latency) Latency {
	var m merger
	for _, one := range []*Latency{l, other} {
		d := distributionOf(&one.Quantiles)
		m.add(&d, uint32(min(one.Samples, 1<<32-1)))
	}
	return latencyOf(&m, l.Samples+other.Samples)
}

func latencyOf(m *merger, samples uint64) Latency {
	q := m.merged()
	return Latency{Samples: samples, P50: q[2], P95: q[5], P99: q[6], Quantiles: q}
}

// Failure are failures of one kind.
type Failure struct {
	// Status is that of HTTP, 0 for none, and GRPC that of gRPC, -1 for none.
	Status int `json:"status"`
	GRPC   int `json:"grpc"`
	// Flags are Envoy's response flags in words, such as UpstreamConnectionFailure, or [ir.DeniedBelowHTTP].
	Flags    string `json:"flags,omitempty"`
	Requests uint64 `json:"requests"`
}

// Line is a route (with the version that it led to) or a rule.
type Line struct {
	Name string `json:"name"`
	// Source is its place in the spec, FILE:LINE:COLUMN.
	Source  string `json:"source,omitempty"`
	Version string `json:"version,omitempty"`
	// Denies is set for a rule that denied the requests.
	Denies   bool   `json:"denies,omitempty"`
	Requests uint64 `json:"requests"`
	Errors   uint64 `json:"errors"`
}

// behind is how old a step must be for every proxy to have reported it: the interval of reports, and some.
const behind = 6 * time.Second

// Ends are all ends of edges that were reported in the last 15 minutes, with what they tell of the window before now:
// from 5 seconds to [Kept]. They are sorted by caller, callee, port and kind.
func (s *Store) Ends(window time.Duration, now time.Time) []End { return s.ends(window, now, false) }

// EndsByStep are [Store.Ends] with their steps.
func (s *Store) EndsByStep(window time.Duration, now time.Time) []End {
	return s.ends(window, now, true)
}

func (s *Store) ends(window time.Duration, now time.Time, byStep bool) []End {
	s.mu.Lock()
	keys := make([]key, 0, len(s.series))
	for k := range s.series {
		keys = append(keys, k)
	}
	s.mu.Unlock()
	slices.SortFunc(keys, func(a, b key) int {
		return cmp.Or(cmp.Compare(a.caller, b.caller), cmp.Compare(a.callee, b.callee), cmp.Compare(a.port, b.port),
			cmp.Compare(a.kind, b.kind))
	})
	out := make([]End, 0, len(keys))
	var m merger
	for _, k := range keys { // reports come in between: a large mesh takes a second
		s.mu.Lock()
		if end := s.series[k]; end != nil {
			told := end.tell(window, now, &m)
			if byStep {
				told.Steps = end.stages(window, now, &m)
			}
			out = append(out, told)
		}
		s.mu.Unlock()
	}
	return out
}

// tell is what the series tells of the window before now.
func (s *series) tell(window time.Duration, now time.Time, m *merger) End {
	caller, member, _ := strings.Cut(s.caller, " ")
	out := End{
		Kind: s.kind, Caller: caller, Member: member, Callee: s.callee, Port: s.port, Last: time.Unix(s.seen, 0),
		Stats: Stats{PerSecond: s.rate(window, now)},
	}
	m.reset()
	samples := uint64(0)
	first, last := now.Add(-window).UnixMilli()/Step.Milliseconds(), now.UnixMilli()/Step.Milliseconds()
	for at := max(first, last-steps+1); at <= last; at++ {
		c := stepAt(s.cells[:], s.head, at)
		if c == nil {
			continue
		}
		out.Requests += uint64(c.requests)
		out.Errors += uint64(c.errors)
		out.Denied += uint64(c.denied)
		samples += uint64(c.samples)
		m.add(&c.latency, c.samples)
	}
	if s.openStep >= first && s.openStep > last-steps {
		for i := range s.open {
			samples += uint64(s.open[i].n)
			m.add(&s.open[i].latency, s.open[i].n)
		}
	}
	out.Latency = latencyOf(m, samples)
	minute := now.Add(-window).UnixMilli() / lineStep.Milliseconds()
	out.Failures, out.Lines = s.failuresSince(minute), s.linesSince(minute, now)
	return out
}

// stages are the steps of the window before now.
func (s *series) stages(window time.Duration, now time.Time, m *merger) (out []Stage) {
	first, last := now.Add(-window).UnixMilli()/Step.Milliseconds(), now.UnixMilli()/Step.Milliseconds()
	for at := max(first, last-steps+1); at <= last; at++ {
		stage := Stage{At: time.UnixMilli(at * Step.Milliseconds()).UTC()}
		m.reset()
		if c := stepAt(s.cells[:], s.head, at); c != nil {
			stage.Requests, stage.Errors, stage.Denied = uint64(c.requests), uint64(c.errors), uint64(c.denied)
			stage.Samples = uint64(c.samples)
			m.add(&c.latency, c.samples)
		}
		if s.openStep == at {
			for i := range s.open {
				stage.Samples += uint64(s.open[i].n)
				m.add(&s.open[i].latency, s.open[i].n)
			}
		}
		l := latencyOf(m, stage.Samples)
		stage.P50, stage.P95 = l.P50, l.P95
		out = append(out, stage)
	}
	return out
}

// rate is that of requests, by the second.
func (s *series) rate(window time.Duration, now time.Time) float64 {
	if window <= time.Minute {
		return perSecond(s.fine[:], s.fineHead, window, fineStep, now, func(t *tally) uint32 { return t.requests })
	}
	return perSecond(s.cells[:], s.head, window, Step, now, func(c *cell) uint32 { return c.requests })
}

// perSecond is the rate over the last whole steps that every proxy has reported.
func perSecond[T any](ring []T, head int64, window, step time.Duration, now time.Time, n func(*T) uint32) float64 {
	end := now.Add(-behind).UnixMilli() / step.Milliseconds()
	over := max(1, int64(window/step))
	total := uint64(0)
	for at := end - over; at < end; at++ {
		if v := stepAt(ring, head, at); v != nil {
			total += uint64(n(v))
		}
	}
	return float64(total) / (float64(over) * step.Seconds())
}

func (s *series) failuresSince(minute int64) []Failure {
	sums := map[failure]uint64{}
	for _, f := range s.failures {
		if f.minute >= minute {
			sums[f.failure] += uint64(f.n)
		}
	}
	var out []Failure
	for f, n := range sums {
		out = append(out, Failure{int(f.code), int(f.grpc), f.flags, n})
	}
	slices.SortFunc(out, compareFailures)
	return out
}

// placed is a rule's label: its name, and its place in the spec.
var placed = regexp.MustCompile(`^(.*) (\S+:[0-9]+(:[0-9]+)?)$`)

func (s *series) linesSince(minute int64, now time.Time) []Line {
	var out []Line
	for _, l := range s.lines {
		about := Line{Name: l.name, Source: l.source, Version: l.version, Denies: l.denies}
		if parts := placed.FindStringSubmatch(l.name); parts != nil && l.source == "" {
			about.Name, about.Source = parts[1], parts[2]
		}
		for at := minute; at <= now.UnixMilli()/lineStep.Milliseconds(); at++ {
			if t := stepAt(l.steps[:], l.head, at); t != nil {
				about.Requests += uint64(t.requests)
				about.Errors += uint64(t.errors)
			}
		}
		if about.Requests > 0 {
			out = append(out, about)
		}
	}
	slices.SortStableFunc(out, compareLines)
	return out
}

func compareLines(a, b Line) int {
	return cmp.Or(cmp.Compare(b.Requests, a.Requests), strings.Compare(a.Name, b.Name))
}

// Omitted is the number of metrics that were not taken: of edges of others, or beyond a bound.
func (s *Store) Omitted() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.omitted
}
