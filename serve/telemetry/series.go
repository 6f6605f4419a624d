package telemetry

import (
	"cmp"
	"slices"
	"time"
)

// How the last 15 minutes are kept.
const (
	Kept = 15 * time.Minute
	// Step is that of counts, errors and durations, and fineStep that of the last minute, from which rates come.
	Step     = 15 * time.Second
	fineStep = 5 * time.Second
	// Shortest is the shortest window that can be asked for.
	Shortest = fineStep

	steps      = int64(Kept/Step) + 2
	fineSteps  = 16
	lineStep   = time.Minute
	lineSteps  = int64(Kept/lineStep) + 1
	finePerOne = int64(Step / fineStep)
)

// Bounds of one series: its routes or rules, and its kinds of failure in each minute. Beyond them are "(others)".
const (
	mostLines    = 64
	mostFailures = 128
)

// Kind is which end of an edge reports, and what it counts.
type Kind string

// The kinds, as the names of metrics begin with them.
const (
	ClientHTTP Kind = "http.client"
	ServerHTTP Kind = "http.server"
	ClientTCP  Kind = "tcp.client"
	ServerTCP  Kind = "tcp.server"
	// What passes undeclared: the callee is the name that the application gave, if any, and the port the address that
	// it asked for, IP:PORT.
	UndeclaredHTTP Kind = "undeclared.http"
	UndeclaredTCP  Kind = "undeclared.tcp"
)

// Undeclared reports whether it is of what passes undeclared.
func (k Kind) Undeclared() bool { return k == UndeclaredHTTP || k == UndeclaredTCP }

// Client reports whether it is the end that chooses the route.
func (k Kind) Client() bool { return k == ClientHTTP || k == ClientTCP || k.Undeclared() }

// key is what a series is of.
type key struct {
	kind Kind
	// caller is an identity, and behind a space [End.Member] if it has one.
	caller, callee, port string
}

// series is one end of an edge.
type series struct {
	key
	owner *owner
	seen  int64 // when it was reported last, in seconds since 1970
	// fineHead and head are the last steps that were written; older ones than fit are overwritten.
	fineHead, head int64
	fine           [fineSteps]tally
	cells          [steps]cell
	lines          []*line
	failures       []failed
	// open are the durations of the step that is written now, as they were reported: merged one by one they would
	// drift from those of all.
	open     []reported
	openStep int64
}

// reported are durations as a report told them.
type reported struct {
	latency distribution
	n       uint32
}

// mostOpen is how many reports of one step are kept apart: those of 1,000 proxies.
const mostOpen = 4000

// tally is what is counted of requests, or of connections below HTTP.
type tally struct{ requests, errors uint32 }

// cell is one step of 15 seconds.
type cell struct {
	tally
	denied  uint32
	samples uint32 // of durations
	latency distribution
}

// line is a route or a rule that requests of the edge went by, with its place in the spec.
type line struct {
	lineKey
	denies bool
	head   int64
	steps  [lineSteps]tally
}

type lineKey struct{ name, source, version string }

// failed are failures of one kind within a minute.
type failed struct {
	failure
	minute int64
	n      uint32
}

// failure is a kind: the status, that of gRPC (-1 for none), and the response flags in words.
type failure struct {
	code  uint16
	grpc  int16
	flags string
}

// advance empties the steps from the last that was written to this one, and says whether it is still kept.
func advance[T any](ring []T, head *int64, to int64) bool {
	size := int64(len(ring))
	if to <= *head-size {
		return false
	}
	for s := max(*head+1, to-size+1); s <= to; s++ {
		var empty T
		ring[s%size] = empty
	}
	*head = max(*head, to)
	return true
}

// stepAt is the content of a step; that of one that was not written is empty.
func stepAt[T any](ring []T, head, at int64) *T {
	if size := int64(len(ring)); at <= head && at > head-size {
		return &ring[at%size]
	}
	return nil
}

// span is the time that a report tells of, in milliseconds since 1970.
type span struct{ from, until int64 }

// count adds requests, errors and denied ones, which are taken to have come evenly over the time of the report.
func (s *series) count(t tally, denied uint32, over span) {
	fine := fineStep.Milliseconds()
	length := max(1, over.until-over.from)
	begun := over.until - length
	given := cell{}
	for at := begun; at < over.until; {
		end := min(over.until, (at/fine+1)*fine)
		upTo := func(n uint32) uint32 {
			return uint32(uint64(n) * uint64(end-begun) / uint64(length))
		}
		part := tally{upTo(t.requests) - given.requests, upTo(t.errors) - given.errors}
		refused := upTo(denied) - given.denied
		s.put(at/fine, part, refused)
		given.requests, given.errors = given.requests+part.requests, given.errors+part.errors
		given.denied += refused
		at = end
	}
}

func (s *series) put(fine int64, t tally, denied uint32) {
	if advance(s.fine[:], &s.fineHead, fine) {
		s.fine[fine%fineSteps].add(t)
	}
	if at := fine / finePerOne; advance(s.cells[:], &s.head, at) {
		c := &s.cells[at%steps]
		c.add(t)
		c.denied += denied
	}
}

func (t *tally) add(other tally) {
	t.requests += other.requests
	t.errors += other.errors
}

// took adds durations, at the end of the time of the report. Apart says whether there is room to keep them apart.
func (s *series) took(n uint32, latency *[points]float64, over span, m *merger, apart bool) {
	at := (over.until - 1) / Step.Milliseconds()
	if n == 0 || !advance(s.cells[:], &s.head, at) {
		return
	}
	if at > s.openStep {
		s.settle(m)
		s.openStep = at
	}
	one := reported{distributionOf(latency), n}
	if at < s.openStep {
		s.cells[at%steps].merge([]reported{one}, m)
		return
	}
	if !apart || len(s.open) >= mostOpen {
		s.settle(m)
	}
	s.open = append(s.open, one)
}

// settle puts the durations of the open step into its cell.
func (s *series) settle(m *merger) {
	if c := stepAt(s.cells[:], s.head, s.openStep); c != nil && len(s.open) > 0 {
		c.merge(s.open, m)
	}
	s.open = s.open[:0]
}

// merge adds durations to those of the step.
func (c *cell) merge(more []reported, m *merger) {
	m.reset()
	m.add(&c.latency, c.samples)
	for i := range more {
		m.add(&more[i].latency, more[i].n)
		c.samples += more[i].n
	}
	merged := m.merged()
	c.latency = distributionOf(&merged)
}

// countLine counts requests at the route or rule that they took.
func (s *series) countLine(l *line, t tally, over span) {
	at := (over.until - 1) / lineStep.Milliseconds()
	if advance(l.steps[:], &l.head, at) {
		l.steps[at%lineSteps].add(t)
	}
}

// fails counts failures of a kind. More says whether there is room for one more.
func (s *series) fails(kind failure, n uint32, over span, more bool) {
	at := (over.until - 1) / lineStep.Milliseconds()
	s.failures = slices.DeleteFunc(s.failures, func(f failed) bool { return f.minute <= at-lineSteps })
	i := slices.IndexFunc(s.failures, func(f failed) bool { return f.minute == at && f.failure == kind })
	if i < 0 && (!more || len(s.failures) >= mostFailures) {
		kind = failure{grpc: -1, flags: others}
		i = slices.IndexFunc(s.failures, func(f failed) bool { return f.failure == kind })
	}
	switch {
	case i < 0 && !more:
		return
	case i < 0:
		s.failures = append(s.failures, failed{kind, at, 0})
		i = len(s.failures) - 1
	}
	s.failures[i].n += n
}

// others stands for routes, rules and failures beyond the bounds.
const others = "(others)"

func compareFailures(a, b Failure) int {
	return cmp.Or(cmp.Compare(b.Requests, a.Requests), cmp.Compare(a.Status, b.Status), cmp.Compare(a.GRPC, b.GRPC),
		cmp.Compare(a.Flags, b.Flags))
}
