package serve

import (
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/envoy"
	"github.com/meshc/meshc/serve/lever"
)

// proxies are the connected proxies: their streams, the resources that they are served, and what they have
// acknowledged. Its lock guards which nodes and streams there are, and is held only briefly; each node has a lock of
// its own. So a stream waits for nobody's configuration but its own node's first one.
type proxies struct {
	log     *slog.Logger
	metrics *metrics
	quotas  *quotas
	revoked *revocations
	live    *liveMesh
	trust   *trust
	build   func(ir.Scope, envoy.Options) (*envoy.Resources, error)
	// opened is a service with what levers let in for a time.
	opened func(*ir.Mesh, *ir.Service) *ir.Service

	renders  renders
	assigner *assigner
	callers  *callers

	mu       sync.Mutex
	draining bool
	nodes    map[string]*node
	streams  map[streamKey]*stream
}

// cache is what the streams are answered from.
func (p *proxies) cache() cache.Cache {
	return &answers{p, map[string]cache.Cache{
		tapBoundType: tapBounds(), resource.RuntimeType: p.revoked.layer,
		resource.ExtensionConfigType: p.revoked.rules,
	}}
}

// tapBoundType is the type of the one resource that is the same for every proxy, and never changes: how many lines a
// proxy sends that is tapped.
const tapBoundType = "type.googleapis.com/envoy.type.v3.TokenBucket"

func tapBounds() cache.Cache {
	return cache.NewLinearCache(tapBoundType, cache.WithInitialResources(map[string]types.Resource{
		envoy.TapBucket: envoy.TapBound(),
	}))
}

// followed reports whether what proxies answer to a type is followed.
func followed(url string) bool {
	return url != tapBoundType && url != resource.RuntimeType && url != resource.ExtensionConfigType
}

// drain refuses new streams.
func (p *proxies) drain() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.draining = true
}

func (p *proxies) isDraining() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.draining
}

func (p *proxies) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.nodes)
}

// refreshAll renders every node again, and pushes what changed.
func (p *proxies) refreshAll() {
	now := time.Now()
	p.assigner.forget(&changed{all: true})
	for _, n := range p.sortedNodes() {
		p.refresh(n, now)
	}
}

// refreshChanged renders the nodes of the members that have changed, at that time, again, and pushes what changed.
func (p *proxies) refreshChanged(c *changed, at time.Time) {
	defer p.renders.sweep()
	p.assigner.forget(c)
	for _, n := range p.sortedNodes() {
		if !n.rendered() || c.concerns(n) {
			p.refresh(n, at)
		}
	}
}

// refreshLevered refreshes the nodes that a lever concerns.
func (p *proxies) refreshLevered(m *ir.Mesh, one *lever.Lever) {
	now := time.Now()
	for _, n := range p.sortedNodes() {
		if one.Concerns(m, n.memberKind, n.member, n.identity) {
			p.refresh(n, now)
		}
	}
}

// refreshConcerned refreshes the nodes that call one of the services.
func (p *proxies) refreshConcerned(services map[string]bool) {
	now := time.Now()
	for _, n := range p.concerned(p.live.now(), services) {
		p.refresh(n, now)
	}
	p.reassign(services) // whose configuration stays may have other endpoints
}

// concerned are the nodes whose assignments depend on one of the services.
func (p *proxies) concerned(v *view, services map[string]bool) []*node {
	if len(services) == 0 || v.mesh == nil {
		return nil
	}
	return slices.DeleteFunc(p.sortedNodes(),
		func(n *node) bool { return !v.concerns(n, services) })
}

// settleAll continues with proxies that had nothing to acknowledge.
func (p *proxies) settleAll() {
	for _, n := range p.sortedNodes() {
		n.locked(func() { p.settle(n) })
	}
}

// locked calls f with the node's lock held.
func (n *node) locked(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
}

// node returns a connected node; nil if there is none with that id.
func (p *proxies) node(id string) *node {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.nodes[id]
}

// taken reports whether a stage is finished: all proxies for which the change waits have acknowledged it, or the time
// for it is over (late). It does not wait for proxies that were late before and have acknowledged nothing since, nor
// for proxies that refused something, because they will send nothing more. The goal is the mesh that was loaded.
func (p *proxies) taken(goal *ir.Mesh, late bool) bool {
	var waiting []*node
	for _, n := range p.sortedNodes() {
		n.locked(func() {
			p.settle(n)
			if !n.gone && !n.silent && exception(goal, n) == nil && n.anyBehind() {
				waiting = append(waiting, n)
			}
		})
	}
	if len(waiting) > 0 && !late {
		return false
	}
	for _, n := range waiting {
		n.locked(func() { n.silent = true })
		p.logger(n.identity).Warn("a proxy has not taken a stage of the change; going on without it", "node", n.id)
	}
	return true
}

// exception returns the entry of mesh.server.except for the node's member; nil if there is none.
func exception(m *ir.Mesh, n *node) *ir.Exception {
	if m == nil {
		return nil
	}
	name := n.member
	if s := m.ServiceOf(n.member, n.identity); s != nil && n.memberKind == ir.KindService {
		name = s.Name
	} else if g := m.GatewayOf(n.member, n.identity); g != nil && n.memberKind == ir.KindGateway {
		name = g.Name
	}
	return m.Server.Excepted(n.memberKind, name)
}

// logger returns a logger for messages about an identity, which writes no more lines than the limit of that identity.
func (p *proxies) logger(id spiffeid.ID) *slog.Logger { return p.quotas.logger(p.log, id) }

func (p *proxies) sortedNodes() []*node {
	p.mu.Lock()
	out := slices.Collect(maps.Values(p.nodes))
	p.mu.Unlock()
	slices.SortFunc(out, func(a, b *node) int { return strings.Compare(a.id, b.id) })
	return out
}
