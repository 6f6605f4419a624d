// Package replay puts requests of access logs to a mesh: which of them it would deny, let in or send elsewhere than
// they were. It answers by compiler/try, and runs nothing.
package replay

import (
	"cmp"
	"hash/fnv"
	"regexp"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/series"
	"github.com/meshc/meshc/review/logs"
)

// Replay collects lines of access logs. The zero value is not usable: see [New].
type Replay struct {
	// then is the mesh in which the requests were logged, nil when it is not known; now is the one that they are put
	// to.
	then, now *ir.Mesh
	requests  map[request]*counted
	ids       map[uint64]*seen
	unread    int
}

// New begins a replay. Of a request that was logged by a mesh which is given, what a log does not say, as its headers,
// matters only where the two meshes tell requests apart by it.
func New(then, now *ir.Mesh) *Replay {
	return &Replay{then: then, now: now, requests: map[request]*counted{}, ids: map[uint64]*seen{}}
}

// request is what a line says of a request that matters for where it goes: requests of the same are followed once.
type request struct {
	kind, caller, callee, port, version, route  string
	method, host, path, query, client, recorded string
}

// counted are requests that are alike.
type counted struct {
	is    request
	line  logs.Line // one of them
	count int
}

// seen are the lines that proxies wrote of one call: the caller's, and the callee's, of which each try has one.
type seen struct {
	client  *counted
	servers []*counted
}

// The ends that a log tells of a request.
const (
	recordedPassed = "passed" // it reached an application, or a route answered it
	recordedDenied = "denied" // rules of the callee refused it
	// It was answered 401 or 403, or as gRPC says that, by the callee's proxy or its application.
	recordedMaybe = "refused"
)

// Add takes a line of a log; what is not one of a request is counted as unread.
func (r *Replay) Add(text string) {
	line, known := logs.Parse(text)
	if !known || line.Kind == "" {
		r.unread++
		return
	}
	is := request{
		kind: line.Kind, caller: line.Caller, callee: line.Callee, port: line.Port, version: line.Version,
		route: line.Route, method: line.Method, host: line.Host, path: line.Path, query: line.Query,
		client: line.Client, recorded: recordedOf(line),
	}
	c := r.count(is, line, 1)
	if line.ID == "" {
		return
	}
	id := idOf(line)
	s := r.ids[id]
	if s == nil {
		s = &seen{}
		r.ids[id] = s
	}
	switch line.Kind {
	case series.ClientHTTP:
		s.client = c
	case series.ServerHTTP:
		s.servers = append(s.servers, c)
	}
}

func (r *Replay) count(is request, line *logs.Line, n int) *counted {
	c := r.requests[is]
	if c == nil {
		c = &counted{is: is, line: *line}
		r.requests[is] = c
	}
	c.count += n
	return c
}

// idOf tells calls apart: a request keeps its id on its way through several services.
func idOf(line *logs.Line) uint64 {
	h := fnv.New64a()
	for _, part := range []string{line.ID, line.Caller, line.Callee} {
		_, _ = h.Write([]byte(part + "\x00")) // which does not fail
	}
	return h.Sum64()
}

func recordedOf(l *logs.Line) string {
	switch {
	case l.Denied, l.Refused():
		return recordedDenied
	case l.Kind == series.ClientHTTP && (l.Status == 401 || l.Status == 403 || l.GRPC == 7 || l.GRPC == 16):
		return recordedMaybe
	}
	return recordedPassed
}

// joined counts the lines of a call once: that of the caller, with what the callee's say of why it was refused.
func (r *Replay) joined() {
	for _, s := range r.ids {
		if s.client == nil || len(s.servers) == 0 {
			continue
		}
		if !r.followed(&s.client.line) {
			s.client.count--
			continue
		}
		recorded := recordedPassed
		for _, c := range s.servers {
			c.count--
			if c.is.recorded == recordedDenied {
				recorded = recordedDenied
			}
		}
		if is := s.client.is; is.recorded == recordedMaybe {
			s.client.count--
			is.recorded = recorded
			r.count(is, &s.client.line, 1)
		}
	}
	r.ids = nil
	r.joinedConnections()
}

// joinedConnections counts connections that both ends logged once, by the lines of the callees, which alone know why
// they refused one. A line of a connection has no id: those between the same two are as good as each other.
func (r *Replay) joinedConnections() {
	type edge struct{ caller, callee, port string }
	logged := map[edge]int{}
	var clients []*counted
	for is, c := range r.requests {
		switch is.kind {
		case series.ServerTCP:
			logged[edge{is.caller, is.callee, is.port}] += c.count
		case series.ClientTCP:
			clients = append(clients, c)
		}
	}
	slices.SortFunc(clients, func(a, b *counted) int {
		return cmp.Or(cmp.Compare(a.is.client, b.is.client), cmp.Compare(a.is.version, b.is.version))
	})
	for _, c := range clients {
		of := edge{c.is.caller, c.is.callee, c.is.port}
		n := min(c.count, logged[of])
		c.count -= n
		logged[of] -= n
	}
}

// who is a caller in short: the member of the mesh that has the identity.
func (r *Replay) who(caller string) string {
	for _, m := range []*ir.Mesh{r.then, r.now} {
		if m == nil {
			continue
		}
		if from, known := logs.Sender(m, caller, ""); known {
			return strings.TrimPrefix(from.String(), "service ")
		}
	}
	return cmp.Or(caller, "(no certificate)")
}

// aPath is where words about a request name its path.
var aPath = regexp.MustCompile(` as \S+`)

func withoutPaths(text string) string { return aPath.ReplaceAllString(text, "") }

// Result tells what the mesh would do with the requests. It ends the replay.
func (r *Replay) Result() *Result {
	r.joined()
	out := &Result{Unread: r.unread, Groups: []Group{}}
	groups := map[groupKey]*Group{}
	for is, c := range r.requests {
		if c.count <= 0 {
			continue
		}
		v := r.judge(is, &c.line)
		out.add(v.change, c.line.Kind, c.count)
		if v.change == Same {
			continue
		}
		key := groupKey{v.change, is.caller, is.callee, is.port, withoutPaths(v.then), withoutPaths(v.why)}
		g := groups[key]
		if g == nil {
			g = &Group{Change: v.change, Caller: is.caller, Callee: is.callee, Port: is.port, Who: r.who(is.caller)}
			groups[key] = g
		}
		g.add(r.now, &c.line, c.count, v)
	}
	for _, g := range groups {
		out.Groups = append(out.Groups, *g)
	}
	slices.SortFunc(out.Groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(slices.Index(changes, a.Change), slices.Index(changes, b.Change)),
			-cmp.Compare(a.Requests, b.Requests), cmp.Compare(a.Caller, b.Caller), cmp.Compare(a.Callee, b.Callee),
			cmp.Compare(a.Example, b.Example), cmp.Compare(a.Why, b.Why), cmp.Compare(a.Then, b.Then))
	})
	return out
}
