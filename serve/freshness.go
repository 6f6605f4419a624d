package serve

import (
	"slices"
	"time"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
)

// freshness is how old the resources of one type at a node are. A change is as old as the time since the server learned
// of it.
type freshness struct {
	// due is the first change of which nothing was sent yet, and sent the first one that was sent and that the node has
	// not acknowledged; zero for none.
	due, sent time.Time
	// took is how long the last change took from then until it was acknowledged; 0 for none.
	took time.Duration
}

// earliest returns the first of two times, of which zero stands for none.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// asks notes that a stream of the node asks for resources of a type. What changed before does not concern it.
func (n *node) asks(url string) {
	if n.fresh[url] == nil && slices.Contains(typeURLs, url) {
		n.fresh[url] = &freshness{}
	}
}

// changed notes a change of resources of a type that the node asks for.
func (n *node) changed(url string, at time.Time) {
	if f := n.fresh[url]; f != nil && f.due.IsZero() {
		f.due = at
	}
}

// tried notes that a stream which waits for resources of a type has been sent what it lacks, if it lacked something.
func (n *node) tried(url string, sent bool) {
	f := n.fresh[url]
	if f == nil {
		return
	}
	if sent && f.due.IsZero() {
		f.due = time.Now() // it is new to the stream alone
	}
	if sent {
		f.sent = earliest(f.sent, f.due)
	}
	f.due = time.Time{}
}

// acknowledged notes that the node has what it was sent of a type. It reports how long that took; false if it is known.
func (n *node) acknowledged(url string, now time.Time) (took time.Duration, news bool) {
	f := n.fresh[url]
	if f == nil || f.sent.IsZero() {
		return 0, false
	}
	f.took, f.sent = now.Sub(f.sent), time.Time{}
	return f.took, true
}

// age is how long ago the first change was that the node has not acknowledged; 0 if it has everything of the type.
func (n *node) age(url string, now time.Time) time.Duration {
	f, first := n.fresh[url], time.Time{}
	if f != nil {
		first = earliest(f.due, f.sent)
	}
	if len(n.stages) > 0 {
		first = earliest(first, n.event)
	}
	if first.IsZero() {
		return 0
	}
	return max(0, now.Sub(first))
}

// standing is how far the connected proxies are.
type standing struct {
	// behind have not answered what they were sent, and refusing have refused a resource.
	behind, refusing int
	// oldest is the age of the oldest change that a proxy has not acknowledged, by type, without proxies in
	// mesh.server.except.
	oldest map[string]time.Duration
}

// standing counts how far the nodes are.
func (p *proxies) standing(now time.Time) standing {
	mesh, out := p.live.now().mesh, standing{oldest: map[string]time.Duration{}}
	for _, n := range p.sortedNodes() {
		excepted := exception(mesh, n) != nil
		n.locked(func() { out.add(n, now, excepted) })
	}
	return out
}

// add counts a node. It is called with the node's lock held.
func (s *standing) add(n *node, now time.Time, excepted bool) {
	isBehind, isRefused := false, false
	for url, t := range n.types {
		isBehind = isBehind || n.isBehind(url)
		isRefused = isRefused || len(t.refusals) > 0
		if !excepted {
			s.oldest[url] = max(s.oldest[url], n.age(url, now))
		}
	}
	if isBehind {
		s.behind++
	}
	if isRefused {
		s.refusing++
	}
}

// stale says that the instances of a service have changed, or of any for "". It is called with the node's lock held.
func (n *node) stale(service string, at time.Time) {
	n.endpoints.mark(service)
	n.changed(resource.EndpointType, at)
}
