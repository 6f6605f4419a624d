// Package series says which time series the metrics of a proxy can have, from the mesh alone and before a proxy runs.
//
// A set is complete: TestScrapedSeriesAreCompiled (host/local) finds every series of real Envoys in it, whatever they
// were sent, and TestRenderedSeriesAreCompiled (render) everything that the rendered resources can count.
package series

import (
	"iter"
	"maps"
)

// What one series takes of the memory of a proxy, in bytes. Measured with Envoy 1.40, as the growth of "allocated" in
// /memory of its administration after requests that made 10,000 counters or 1,000 histograms, by labels with values of
// 5 to 40 bytes that many of them share: a label costs some 40 bytes.
const (
	edgeBytes      = 344  // of a counter with the labels of an edge alone
	serverBytes    = 392  // with the rule and the class of the status besides
	clientBytes    = 489  // with the version, the route, its place in the spec and the class
	histogramBytes = 5800 // with one worker; one that is in use takes some more for each worker
)

// The kinds of what is counted, with which the names of the metrics begin: requests and connections, at the proxy that
// chooses the route and at the one that lets them in.
const (
	ClientHTTP = "http.client"
	ServerHTTP = "http.server"
	ClientTCP  = "tcp.client"
	ServerTCP  = "tcp.server"
)

// What passes undeclared, at the caller's proxy. It is counted by what the application asked for, which is no way of
// the mesh.
const (
	UndeclaredHTTP = "undeclared.http"
	UndeclaredTCP  = "undeclared.tcp"
)

// MaxUndeclared is how many series of what passes undeclared a listener keeps: the application can choose their labels.
const MaxUndeclared = 100

// The application can choose the values of labels of failures. So a listener keeps perEdge series of them for each edge
// that it counts where these are one or two, and mostFailures where they are more. There is no step between: with the
// bound the listener changes, and its connections end.
const (
	perEdge      = 40
	mostFailures = 200
)

// failuresOf is how many series of failures a listener keeps that counts so many edges.
func failuresOf(edges int) int {
	if edges > 2 {
		return mostFailures
	}
	return perEdge * edges
}

// ServerFailures is how many a listener keeps of what comes to a port of a callee: of the callers whom its rules name,
// and of one edge more for those that are refused.
func (s *Set) ServerFailures(kind, callee, port string) int {
	edges := 1
	for e := range s.edges {
		if e.Kind == kind && e.Callee == callee && e.Port == port {
			edges++
		}
	}
	return failuresOf(edges)
}

// ClientFailures is how many a listener keeps of what goes to so many ports of callees: of these, and of one edge more
// for requests that the proxy answers itself.
func ClientFailures(callees int) int { return failuresOf(callees + 1) }

// Handshakes is for how many causes a handshake is refused.
const Handshakes = 3

// Classes are the values of the label for the class of a status.
var Classes = []string{"1xx", "2xx", "3xx", "4xx", "5xx", "none"}

// Edge is who calls whom. What is empty is none: a caller without a certificate, and no callee where the proxy itself
// answers.
type Edge struct {
	Kind, Caller, Callee, Port string
}

// Way is how the requests of an edge go: the route with its place in the spec and the version that it leads to, or the
// rule that lets them in.
type Way struct {
	Edge
	Version, Route, Source, Rule string
}

// counters and histograms are how many an edge has, whatever ways it has. The bytes of both directions, and at the
// caller the attempts; the duration of requests.
func (e Edge) counters() int {
	if e.Kind == ClientHTTP {
		return 3
	}
	return 2
}

func (e Edge) histograms() int {
	if e.Kind == ClientHTTP || e.Kind == ServerHTTP {
		return 1
	}
	return 0
}

// counters are how many a way has: of requests one for each class of status, of connections one.
func (w Way) counters() int {
	if w.Kind == ClientHTTP || w.Kind == ServerHTTP {
		return len(Classes)
	}
	return 1
}

// bytes are what one counter of the way takes.
func (w Way) bytes() int {
	switch w.Kind {
	case ClientHTTP:
		return clientBytes
	case ServerHTTP:
		return serverBytes
	}
	return edgeBytes
}

// Set is what the metrics of one proxy can have.
type Set struct {
	ways  map[Way]bool
	edges map[Edge]int // with how many ways
	// failures are those that all listeners keep together that count. A gateway's listener for TCP and UDP is two, and
	// so is one that lets plaintext in besides.
	failures int
	// passing are the listeners that let what is undeclared pass.
	passing int
	// buckets of a histogram, besides that of everything.
	buckets int
	// wildcards is set where somebody outside the mesh may be let in as a caller of the mesh's own trust domain.
	wildcards bool
}

func (s *Set) add(w Way) {
	if s.ways[w] {
		return
	}
	s.ways[w] = true
	s.edges[w.Edge]++
}

// Ways are all ways, in no order.
func (s *Set) Ways() iter.Seq[Way] { return maps.Keys(s.ways) }

// Has reports whether requests or connections can go that way.
func (s *Set) Has(w Way) bool { return s.ways[w] }

// HasEdge reports whether that caller can have requests or connections to that callee.
func (s *Set) HasEdge(e Edge) bool { return s.edges[e] > 0 }

// Cost is what series there are.
type Cost struct {
	// Series are what a scrape returns at most: one for each counter, and for each histogram one for each bucket, the
	// sum and the count.
	Series int `json:"series"`
	// Failures are those of Series that count failures: as many as the listeners keep.
	Failures int `json:"failures"`
	// Bytes of the proxy's memory that they take.
	Bytes int `json:"bytes"`
}

// Plus is the cost of both.
func (c Cost) Plus(other Cost) Cost {
	return Cost{c.Series + other.Series, c.Failures + other.Failures, c.Bytes + other.Bytes}
}

// Passing is how many listeners count what passes undeclared.
func (s *Set) Passing() int { return s.passing }

// Cost is what the whole set costs.
func (s *Set) Cost() Cost {
	var c Cost
	for e := range s.edges {
		c = c.Plus(s.Of(e))
	}
	passed := s.passing * MaxUndeclared
	return c.Plus(Cost{s.failures + passed, s.failures, (s.failures + passed) * clientBytes})
}

// Of is what an edge costs, without its failures.
func (s *Set) Of(e Edge) Cost {
	way := Way{Edge: e}
	counters := s.edges[e] * way.counters()
	lines := s.buckets + 3 // besides the buckets that of everything, the sum and the count
	return Cost{
		Series: e.counters() + counters + e.histograms()*lines,
		Bytes:  e.counters()*edgeBytes + counters*way.bytes() + e.histograms()*histogramBytes,
	}
}

// Room is how many counters Envoy is to keep for each listener, beside those of failures: a power of two that is at
// least 16 times what all listeners can have. Labels name lines of the spec, and those of earlier configurations stay
// until the listener is another one; so a bound without room would have it drop what is new. It changes seldom, since
// with it the listeners change, and their connections end.
func (s *Set) Room() uint32 {
	counters := 0
	for e, ways := range s.edges {
		counters += e.counters() + ways*Way{Edge: e}.counters()
	}
	room := uint32(leastRoom)
	if s.wildcards {
		room = wildcardRoom
	}
	for int(room) < generations*counters && room < 1<<30 {
		room *= 2
	}
	return room
}

const (
	generations = 16
	leastRoom   = 1 << 10
	// wildcardRoom is for callers whom a scope does not name.
	wildcardRoom = 1 << 14
)
