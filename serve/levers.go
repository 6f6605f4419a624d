package serve

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/meshc/meshc/identity/ca"
	"github.com/meshc/meshc/render/envoy"
	"github.com/meshc/meshc/serve/lever"
)

const (
	// leverGrace is added to what a proxy is told of the end of a lever, so that the server, if it lives, ends it
	// first: it takes back that lever alone, and the proxy all that it has.
	leverGrace = 2 * time.Second
	// leverTime is how long an operator waits until all proxies have taken a change.
	leverTime = 5 * time.Second
	// leverRefresh is how often a proxy is told of levers once more.
	leverRefresh = time.Minute
)

// levers have proxies change something for a time (package lever). It has a lock of its own, and calls the live mesh
// and the quotas alone.
type levers struct {
	layers  // has the lock
	live    *liveMesh
	metrics *metrics
	// authority keeps levers for all servers of the mesh, and over their restarts; nil to keep them in memory.
	authority *ca.Authority

	list []lever.Lever
	// turn counts the changes of the list.
	turn    uint64
	next    chan struct{}          // the list has changed, and so when the next one ends
	thaw    chan struct{}          // the list has changed, and may freeze nothing any more
	reopen  chan struct{}          // the list has changed, and may open others
	waiting map[chan struct{}]bool // who waits for proxies
}

func newLevers(s *Server) *levers {
	l := &levers{
		layers: newLayers(s, envoy.LeverLayer, leverRefresh), live: s.live, metrics: s.metrics,
		authority: s.config.Authority, next: make(chan struct{}, 1),
		thaw: make(chan struct{}, 1), reopen: make(chan struct{}, 1), waiting: map[chan struct{}]bool{},
	}
	l.compose, l.taken = l.layer, func() {
		for c := range l.waiting {
			signal(c)
		}
	}
	l.reload()
	return l
}

// inForce are the levers that have not ended, the oldest first.
func (l *levers) inForce() []lever.Lever {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.left(time.Now())
}

func (l *levers) left(now time.Time) []lever.Lever {
	return slices.DeleteFunc(slices.Clone(l.list), func(one lever.Lever) bool { return one.Over(now) })
}

// reload takes over what another server, or this one before, has kept.
func (l *levers) reload() {
	if l.authority == nil {
		return
	}
	list, err := lever.Decode(l.authority.Levers())
	if err != nil {
		l.log.Error("the levers that are kept cannot be read; those that are in force stay until they end", "error", err)
		return
	}
	l.take(list)
}

// take replaces the list, and tells proxies.
func (l *levers) take(list []lever.Lever) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if slices.Equal(list, l.list) {
		return
	}
	l.list = slices.Clone(list)
	l.turn++
	l.told()
}

// told tells proxies what has changed. It is called with the lock held.
func (l *levers) told() {
	l.metrics.levers.Set(float64(len(l.left(time.Now()))))
	l.changed()
	signal(l.next)
	signal(l.thaw)
	signal(l.reopen)
}

// meshChanged has the levers concern what the mesh has now.
func (l *levers) meshChanged() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.list) > 0 {
		l.turn++
		l.changed()
	}
}

// run ends levers in time, until the context ends.
func (l *levers) run(ctx context.Context) {
	for {
		var timer <-chan time.Time
		if next := l.end(time.Now()); !next.IsZero() {
			timer = time.After(time.Until(next))
		}
		select {
		case <-ctx.Done():
			return
		case <-l.next:
		case <-timer:
		}
	}
}

// end ends the levers whose time is over, and returns when the next one ends; zero for never.
func (l *levers) end(now time.Time) (next time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	left := l.left(now)
	for i := range left {
		if next.IsZero() || left[i].Until.Before(next) {
			next = left[i].Until
		}
	}
	if len(left) == len(l.list) {
		return next
	}
	for i := range l.list {
		if one := &l.list[i]; one.Over(now) {
			l.log.Info("a lever has ended by itself", "id", one.ID, "lever", one.String(), "operator", one.By)
		}
	}
	l.list = left
	l.turn++
	l.told()
	return next
}

// pull puts a lever in force, in place of one with its id.
func (l *levers) pull(one lever.Lever) error {
	return l.keep(func(list []lever.Lever) ([]lever.Lever, error) {
		list = slices.DeleteFunc(list, func(old lever.Lever) bool { return old.ID == one.ID })
		if len(list) >= lever.Most {
			return nil, fmt.Errorf("there are %d levers, which is the limit: end some", len(list))
		}
		return append(list, one), nil
	})
}

// errNoLever is for an id that no lever has which is in force.
var errNoLever = errors.New("no lever of that id is in force")

// release ends a lever before its time, and returns it.
func (l *levers) release(id string) (released lever.Lever, err error) {
	err = l.keep(func(list []lever.Lever) ([]lever.Lever, error) {
		i := slices.IndexFunc(list, func(one lever.Lever) bool { return one.ID == id })
		if i < 0 {
			return nil, errNoLever
		}
		released = list[i]
		return slices.Delete(list, i, i+1), nil
	})
	return released, err
}

// keep changes the levers that are in force, for all servers if they share an authority.
func (l *levers) keep(change func([]lever.Lever) ([]lever.Lever, error)) error {
	if l.authority == nil {
		list, err := change(l.inForce())
		if err == nil {
			l.take(list)
		}
		return err
	}
	err := l.authority.ChangeLevers(func(was []byte) ([]byte, error) {
		list, err := lever.Decode(was)
		if err != nil {
			return nil, fmt.Errorf("the levers that are kept cannot be read: %w", err)
		}
		now := time.Now()
		list = slices.DeleteFunc(list, func(one lever.Lever) bool { return one.Over(now) })
		if list, err = change(list); err != nil {
			return nil, err
		}
		return lever.Encode(list)
	})
	if err == nil {
		l.reload()
	}
	return err
}

// layer is the runtime of a proxy, empty while no lever concerns it.
func (l *levers) layer(p *layered) (layer map[string]any, ttl time.Duration, turn uint64) {
	m := l.live.now().mesh
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if m == nil {
		return nil, 0, l.turn
	}
	layer, ends := lever.Layer(l.left(now), m, p.kind, p.name, p.identity)
	return layer, ends.Sub(now) + leverGrace, l.turn
}

// wait waits until all proxies have taken the last change that a lever concerns, and not longer than leverTime.
func (l *levers) wait(ctx context.Context, one *lever.Lever) map[string]bool {
	ctx, cancel := context.WithTimeout(ctx, leverTime)
	defer cancel()
	changed := make(chan struct{}, 1)
	l.mu.Lock()
	l.waiting[changed] = true
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.waiting, changed)
	}()
	for {
		nodes := l.concerned(one)
		all := true
		for _, taken := range nodes {
			all = all && taken
		}
		if all {
			return nodes
		}
		select {
		case <-ctx.Done():
			return nodes
		case <-changed:
		}
	}
}

// concerned are the proxies that a lever concerns, and whether each has taken the last change.
func (l *levers) concerned(one *lever.Lever) map[string]bool {
	m := l.live.now().mesh
	l.mu.Lock()
	defer l.mu.Unlock()
	nodes := map[string]bool{}
	for p := range l.proxies {
		if m != nil && one.Concerns(m, p.kind, p.name, p.identity) {
			nodes[p.id] = p.acked >= l.turn
		}
	}
	return nodes
}
