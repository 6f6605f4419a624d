package serve

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/envoy"
)

// assigner makes the endpoint assignments of clusters: each once, for all proxies that are sent it.
type assigner struct {
	mu sync.Mutex
	of map[string]*serviceAssignments // by the service that is called
}

// serviceAssignments are those of one service with the instances that it had after a change.
type serviceAssignments struct {
	change uint64
	made   map[assignmentKey]*packed
}

// assignmentKey is what an assignment follows from, besides the instances at the moment.
type assignmentKey struct{ name, version, port, says, region, zone string }

// get returns the assignment of a cluster for a proxy at own, nil if it is not known where that is.
func (a *assigner) get(v *view, c assigned, own *ir.Endpoint) (*packed, error) {
	key := assignmentKey{name: c.Name, version: c.Version, port: c.Port, says: c.says}
	if c.Callee.Locality != nil && own != nil {
		key.region, key.zone = own.InRegion(), own.Zone
	}
	service, change := c.Callee.Name, v.changes.get(c.Callee.Name)
	a.mu.Lock()
	of := a.of[service]
	if of == nil || of.change != change {
		of = &serviceAssignments{change: change, made: map[assignmentKey]*packed{}}
		if a.of[service] == nil || a.of[service].change < change { // else another goroutine has a newer view
			a.of[service] = of
		}
	}
	made := of.made[key]
	a.mu.Unlock()
	if made != nil {
		return made, nil
	}
	err := guarded(func() error {
		made = pack(resource.EndpointType, envoy.Assignment(c.Discovered, own, v.instances(c.Callee)))
		return nil
	})
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if known := of.made[key]; known != nil {
		return known, nil // another goroutine made it meanwhile
	}
	of.made[key] = made
	return made, nil
}

// forget removes the assignments of services that a new mesh has changed: their clusters are not asked for any more.
// What proxies have stays theirs.
func (a *assigner) forget(c *changed) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c.all {
		clear(a.of)
	}
	for name := range c.services {
		delete(a.of, name)
	}
}

// endpoints are what a node knows of the endpoints of its clusters.
type endpoints struct {
	now map[string]*packed // the assignments, by name
	sum uint64             // of their versions
	// stale are the services whose instances have changed since now was made; all says that it may be any.
	stale map[string]bool
	all   bool
	// refused are the versions of assignments that are withheld.
	refused map[string]string
	// pushed is when a change was last sent, and waiting that another one will be, later.
	pushed  time.Time
	waiting bool
}

// version is that of all assignments together.
func (e *endpoints) version() string { return fmt.Sprintf("%016x", e.sum) }

func (e *endpoints) set(name string, r *packed) {
	if old := e.now[name]; old != nil {
		e.sum -= share(name, old)
		delete(e.now, name)
	}
	if r != nil {
		e.sum += share(name, r)
		e.now[name] = r
	}
}

// share is what an assignment adds to the version of all of them.
func share(name string, r *packed) uint64 {
	sum := sha256.Sum256([]byte(name + "\x00" + r.version))
	return binary.BigEndian.Uint64(sum[:8])
}

// mark says that the instances of a service have changed, or of any for "".
func (e *endpoints) mark(service string) {
	if service == "" {
		e.all = true
		return
	}
	if e.stale == nil {
		e.stale = map[string]bool{}
	}
	e.stale[service] = true
}

// freshen brings the assignments of a node up to date, and returns the names of those that have changed. It is called
// with the node's lock held.
func (p *proxies) freshen(n *node) (changed []string) {
	e := &n.endpoints
	if n.built == nil || !e.all && len(e.stale) == 0 {
		return nil
	}
	v := p.live.now()
	if v.mesh != nil && (e.all || e.stale[n.service]) {
		n.locate(v)
	}
	update := func(name string) {
		made, err := p.assigner.get(v, n.built.assigned[name], n.endpoint)
		if err != nil {
			p.logger(n.identity).Error("endpoints cannot be rendered; the proxy keeps its last ones", "node", n.id,
				"error", err)
			return
		}
		if e.refused[name] != "" && e.refused[name] == made.version {
			made = nil
		}
		if had := e.now[name]; had == nil && made == nil || had != nil && made != nil && had.version == made.version {
			return
		}
		e.set(name, made)
		changed = append(changed, name)
	}
	if e.all {
		for name := range e.now {
			if _, there := n.built.assigned[name]; !there {
				e.set(name, nil)
				changed = append(changed, name)
			}
		}
		for name := range n.built.assigned {
			update(name)
		}
	} else {
		for service := range e.stale {
			for _, name := range n.built.callees[service] {
				update(name)
			}
		}
	}
	e.all = false
	clear(e.stale)
	return changed
}

// pace is the least time between two pushes of endpoints to one proxy. Changes that come faster are sent together: a
// proxy takes only so many messages in a second, and the server only so many answers.
const pace = 10 * time.Millisecond

// reassign sends the callers of services their instances, as these are now, and nothing else: no configuration is
// rendered or compared, but for proxies that tell their callees apart by addresses which have changed.
func (p *proxies) reassign(services map[string]bool) {
	now := time.Now()
	for n, of := range p.callers.concerned(services) {
		if p.mark(n, of, now) {
			p.readdress(n, now)
		}
	}
}

// mark sends a node the endpoints of services, at once or, after another push, a little later. It reports whether the
// configuration of the node depends on the addresses of one of them.
func (p *proxies) mark(n *node, services []string, at time.Time) (addressed bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, service := range services {
		n.stale(service, at)
		addressed = addressed || n.addressed[service]
	}
	p.flush(n, at)
	return addressed
}

// flush sends a node the endpoints that have changed, if it has taken those before: a proxy that is slow is sent only
// the last ones, and nothing is made for it until then. It is called with the node's lock held.
func (p *proxies) flush(n *node, now time.Time) {
	e := &n.endpoints
	if e.waiting || !n.listens(resource.EndpointType) {
		return
	}
	if rest := pace - now.Sub(e.pushed); rest > 0 {
		e.waiting = true
		time.AfterFunc(rest, func() {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.endpoints.waiting = false
			p.flush(n, time.Now())
		})
		return
	}
	changed := p.freshen(n)
	if len(changed) == 0 {
		n.tried(resource.EndpointType, false)
		return
	}
	e.pushed = now
	if n.answer(resource.EndpointType, changed) {
		p.metrics.pushes.Inc()
	}
}

// readdress renders the configuration of a node if its callees have other addresses.
func (p *proxies) readdress(n *node, at time.Time) {
	n.making.Lock()
	of := n.of
	n.making.Unlock()
	if of == nil || !ir.Same(p.live.now().addresses(&of.Scope), of.Options.Addresses) {
		p.refresh(n, at)
	}
}

// callers are the nodes by the services that they call, and by their own service, whose instances say where they are.
type callers struct {
	mu    sync.Mutex
	nodes map[string]map[*node]bool
}

// set says which services a node calls; none for a node that is gone.
func (c *callers) set(n *node, before, now []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range before {
		if !slices.Contains(now, name) {
			if delete(c.nodes[name], n); len(c.nodes[name]) == 0 {
				delete(c.nodes, name)
			}
		}
	}
	for _, name := range now {
		if c.nodes[name] == nil {
			c.nodes[name] = map[*node]bool{}
		}
		c.nodes[name][n] = true
	}
}

// concerned returns the nodes that one of the services concerns, each with those that do.
func (c *callers) concerned(services map[string]bool) map[*node][]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[*node][]string{}
	for name := range services {
		for n := range c.nodes[name] {
			out[n] = append(out[n], name)
		}
	}
	return out
}
