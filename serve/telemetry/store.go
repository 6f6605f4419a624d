package telemetry

import (
	"slices"
	"strconv"
	"sync"
	"time"
	"unsafe"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/serve/heard"
)

// Bounds of what is kept.
const (
	// Memory is how much all series may take, in bytes: more than 1,000 proxies with 20 edges each need.
	Memory = 64 << 20
	// MostEdges is how many ends of edges the proxies of one identity may report, and MemoryOfOne how much these may
	// take, in bytes.
	MostEdges   = 2000
	MemoryOfOne = 8 << 20
)

// What the parts of a series take in memory: themselves, and their place in a map or a slice.
const (
	seriesBytes  = int64(unsafe.Sizeof(series{})+unsafe.Sizeof(key{})) + 64
	lineBytes    = int64(unsafe.Sizeof(line{})) + 16
	failureBytes = int64(unsafe.Sizeof(failed{}))
	openBytes    = int64(unsafe.Sizeof(reported{}))
	// textBytes are those of a text beside its characters.
	textBytes = int64(unsafe.Sizeof("")+unsafe.Sizeof(text{})) + 32
	// mostText is what a label takes at most: each of its bytes may be one that cannot be shown.
	mostText = textBytes + 3*longestLabel
)

// Store is what was reported. It is safe for concurrent use.
type Store struct {
	mu     sync.Mutex
	limit  int64
	series map[key]*series
	owners map[string]*owner
	// texts are those that series refer to, each once.
	texts map[string]text
	used  int64
	// omitted is how many metrics were not taken.
	omitted uint64
	merge   merger
}

// text is a label, and who reported it first.
type text struct {
	is string
	by *owner
}

// owner is an identity whose proxies report.
type owner struct {
	series int
	used   int64
}

// NewStore returns an empty store that takes at most so many bytes.
func NewStore(limit int64) *Store {
	return &Store{limit: limit, series: map[key]*series{}, owners: map[string]*owner{}, texts: map[string]text{}}
}

// Used is the memory that the series take, in bytes.
func (s *Store) Used() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

// Reporter is who reports: a proxy, whose certificate has been verified.
type Reporter struct {
	// Identity is the SPIFFE ID in the proxy's certificate. It is the caller in whatever the proxy tells as a client.
	Identity string
	// Member is the proxy's own member, "service NAME", where several have its identity; empty for others.
	Member string
	// Callee is NAME.NAMESPACE of the proxy's own service, the callee in whatever it tells as a server; empty for a
	// gateway, which tells as a server of externals alone.
	Callee string
	// External reports whether a callee is an external.
	External func(callee string) bool
	// Denies reports whether a rule of the proxy's member denies what it matches, and with "" whether what no rule
	// lets in is denied.
	Denies func(rule string) bool
}

// may reports whether the proxy is believed about that edge.
func (r *Reporter) may(kind Kind, l *labels) bool {
	switch {
	case kind.Client():
		return string(l.caller) == r.Identity
	case r.Callee != "":
		return string(l.callee) == r.Callee
	}
	return r.External != nil && r.External(string(l.callee))
}

// add takes the metrics of a report.
func (s *Store) add(r *Reporter, report []byte, over span) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	by := s.owners[r.Identity]
	if by == nil {
		by = &owner{}
		s.owners[r.Identity] = by
	}
	return decode(report, func(m *sample) {
		kind, what, known := metricOf(m.name)
		if !known {
			return
		}
		if !r.may(kind, &m.labels) {
			s.omitted++
			return
		}
		if kind.Client() && r.Member != "" {
			m.labels.caller = []byte(r.Identity + " " + r.Member)
		}
		end := s.end(by, kind, &m.labels)
		if end == nil {
			s.omitted++
			return
		}
		end.seen = over.until / 1000
		if m.count > 0 {
			s.take(r, end, what, m, over)
		}
	})
}

// metricOf splits the name of a metric into its kind and what it counts.
func metricOf(name []byte) (kind Kind, what string, known bool) {
	for _, k := range []Kind{ClientHTTP, ServerHTTP, ClientTCP, ServerTCP, UndeclaredHTTP, UndeclaredTCP} {
		if len(name) > len(k) && string(name[:len(k)]) == string(k) {
			switch string(name[len(k)+1:]) {
			case "requests", "connections":
				return k, "requests", true
			case "failures":
				return k, "failures", true
			case "request.duration":
				return k, "duration", true
			}
		}
	}
	return "", "", false
}

// end is the series of those labels, nil where the identity or all have as many as they may.
func (s *Store) end(by *owner, kind Kind, l *labels) *series {
	if had := s.series[key{kind, string(l.caller), string(l.callee), string(l.port)}]; had != nil {
		return had
	}
	if by.series >= MostEdges || !s.room(by, seriesBytes+3*mostText) {
		return nil
	}
	made := &series{key: key{kind, s.text(by, l.caller), s.text(by, l.callee), s.text(by, l.port)}, owner: by}
	if made.key != (key{kind, string(l.caller), string(l.callee), string(l.port)}) {
		return nil // it has characters that cannot be shown
	}
	s.series[made.key] = made
	by.series++
	s.charge(by, seriesBytes)
	return made
}

// room reports whether the identity may have so many bytes more.
func (s *Store) room(by *owner, n int64) bool { return by.used+n <= MemoryOfOne && s.used+n <= s.limit }

func (s *Store) charge(by *owner, n int64) {
	by.used += n
	s.used += n
}

// text is a label as it is kept.
func (s *Store) text(by *owner, label []byte) string {
	if had, known := s.texts[string(label)]; known {
		return had.is
	}
	is := heard.Line(string(label), longestLabel)
	if !s.room(by, textBytes+int64(len(is))) {
		return others
	}
	if had, known := s.texts[is]; known {
		return had.is
	}
	s.texts[is] = text{is, by}
	s.charge(by, textBytes+int64(len(is)))
	return is
}

// take counts one metric.
func (s *Store) take(r *Reporter, end *series, what string, m *sample, over span) {
	n := uint32(m.count)
	l := &m.labels
	switch what {
	case "duration":
		had := cap(end.open)
		end.took(n, &m.latency, over, &s.merge, had > len(end.open) || s.room(end.owner, openBytes*int64(2*had+4)))
		s.charge(end.owner, openBytes*int64(cap(end.open)-had))
	case "requests":
		t := tally{requests: n}
		if string(l.class) == "5xx" || string(l.class) == "none" {
			t.errors = n
		}
		end.count(t, 0, over)
		if line := s.line(end, l); line != nil {
			end.countLine(line, t, over)
		}
	case "failures":
		kind := s.failure(end.owner, l)
		had := len(end.failures)
		end.fails(kind, n, over, s.room(end.owner, failureBytes))
		s.charge(end.owner, int64(len(end.failures)-had)*failureBytes)
		t, denied := tally{}, uint32(0)
		switch {
		case end.kind == ServerTCP && slices.Contains(ir.Denials, kind.flags):
			t.requests, denied = n, n // it is among no connections
			if kind.flags != ir.DeniedBelowHTTP {
				break // no rule was asked
			}
			if line := s.line(end, l); line != nil {
				line.denies = true
				end.countLine(line, t, over)
			}
		case end.kind == ClientTCP || end.kind == ServerTCP:
			t.errors = n
		case end.kind == ClientHTTP && kind.denied() && r.denied(l): // by the gateway, whose requests have it
			denied = n
			if line := s.line(end, &labels{route: l.rule}); line != nil {
				line.denies = true
				end.countLine(line, tally{requests: n}, over)
			}
		case end.kind == ServerHTTP && r.denied(l):
			t.requests = n // no rule let it in, so that it is among no others
			if line := s.line(end, l); line != nil {
				line.denies = true
				end.countLine(line, t, over)
			}
			if kind.denied() {
				denied = n
			} else if kind.code == 0 || kind.code >= 500 {
				t.errors = n
			}
		case kind.grpcError():
			t.errors = n
		}
		end.count(t, denied, over)
	}
}

// denied reports whether the rules of the proxy's member did not let in what the labels are of.
func (r *Reporter) denied(l *labels) bool {
	return l.ruled && r.Denies != nil && r.Denies(string(l.rule))
}

// line is that of the route or rule in the labels; nil for none.
func (s *Store) line(end *series, l *labels) *line {
	k := key3{l.route, l.source, l.version}
	if end.kind == ServerHTTP || end.kind == ServerTCP {
		k = key3{l.rule, nil, nil}
	}
	if len(k.name) == 0 && len(k.source) == 0 {
		return nil
	}
	for _, had := range end.lines {
		if had.name == string(k.name) && had.source == string(k.source) && had.version == string(k.version) {
			return had
		}
	}
	made := &line{}
	switch {
	case len(end.lines) < mostLines && s.room(end.owner, lineBytes+3*mostText):
		made.lineKey = lineKey{
			s.text(end.owner, k.name), s.text(end.owner, k.source), s.text(end.owner, k.version),
		}
	case len(end.lines) > 0 && end.lines[len(end.lines)-1].name == others:
		return end.lines[len(end.lines)-1]
	case len(end.lines) > mostLines || !s.room(end.owner, lineBytes):
		return nil
	default:
		made.name = others
	}
	end.lines = append(end.lines, made)
	s.charge(end.owner, lineBytes)
	return made
}

// key3 is a [lineKey] in a report.
type key3 struct{ name, source, version []byte }

// failure is the kind of failure in the labels.
func (s *Store) failure(by *owner, l *labels) failure {
	f := failure{grpc: -1}
	if n, err := strconv.ParseUint(string(l.code), 10, 16); err == nil {
		f.code = uint16(n)
	}
	if n, err := strconv.ParseUint(string(l.grpc), 10, 8); err == nil {
		f.grpc = int16(n)
	}
	if string(l.failure) != "-" {
		f.flags = s.text(by, l.failure)
	}
	return f
}

// grpcError reports whether it is a call of gRPC whose status is the server's fault. Its HTTP status is 200.
func (f *failure) grpcError() bool {
	return f.code < 300 && slices.Contains(ir.GRPCServerFaults, int(f.grpc))
}

// denied reports whether the answer is that of the rules: 403, or for gRPC PERMISSION_DENIED.
func (f *failure) denied() bool { return f.code == 403 || f.code < 300 && f.grpc == 7 }

// Forget removes what is older than 15 minutes.
func (s *Store) Forget(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := now.Add(-Kept).Unix()
	removed := false
	for k, end := range s.series {
		if end.seen >= old {
			continue
		}
		s.charge(end.owner, -end.bytes())
		end.owner.series--
		delete(s.series, k)
		removed = true
	}
	if removed {
		s.forgetTexts()
	}
	for id, o := range s.owners {
		if o.series == 0 {
			delete(s.owners, id)
		}
	}
}

// bytes are those of the series, beside its texts.
func (s *series) bytes() int64 {
	return seriesBytes + int64(len(s.lines))*lineBytes + int64(len(s.failures))*failureBytes +
		int64(cap(s.open))*openBytes
}

// forgetTexts removes texts that no series refers to any more.
func (s *Store) forgetTexts() {
	kept := map[string]text{}
	keep := func(texts ...string) {
		for _, is := range texts {
			if had, known := s.texts[is]; known {
				kept[is] = had
			}
		}
	}
	for _, end := range s.series {
		keep(end.caller, end.callee, end.port)
		for _, l := range end.lines {
			keep(l.name, l.source, l.version)
		}
		for _, f := range end.failures {
			keep(f.flags)
		}
	}
	for is, had := range s.texts {
		if _, stays := kept[is]; !stays {
			s.charge(had.by, -textBytes-int64(len(is)))
		}
	}
	s.texts = kept
}
