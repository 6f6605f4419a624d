package serve

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/envoy"
)

// proxies are the connected proxies: their streams, the resources that they are served, and what they have
// acknowledged. Its lock guards them with their nodes and streams; it is held while resources are rendered and put
// into the caches. Methods that other parts or streams call take the lock; the other methods, most of which are about
// one node, are called with the lock held.
type proxies struct {
	log     *slog.Logger
	metrics *metrics
	quotas  *quotas
	revoked *revocations
	live    *liveMesh
	trust   *trust
	build   func(ir.Scope, envoy.Options) (*envoy.Resources, error)

	renders renders

	envoys, clients cache.SnapshotCache // of Envoys, and of gRPC clients

	mu       sync.Mutex
	draining bool
	nodes    map[string]*node
	streams  map[streamKey]*stream
}

// cache is what the streams are answered from.
func (p *proxies) cache() cache.Cache {
	of := func(n *corev3.Node, url string) string {
		if !followed(url) {
			return url
		}
		return kindOf(n)
	}
	return &cache.MuxCache{
		Classify:      func(r *cache.Request) string { return of(r.GetNode(), r.GetTypeUrl()) },
		ClassifyDelta: func(r *cache.DeltaRequest) string { return of(r.GetNode(), r.GetTypeUrl()) },
		Caches: map[string]cache.Cache{
			kindEnvoy: p.envoys, kindGRPC: p.clients, tapBoundType: tapBounds(), resource.RuntimeType: p.revoked.layer,
			resource.ExtensionConfigType: p.revoked.rules,
		},
	}
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
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.sortedNodes() {
		p.refresh(n)
	}
}

// refreshChanged renders the nodes of the members that have changed again, and pushes what changed.
func (p *proxies) refreshChanged(c *changed) {
	defer p.renders.sweep()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.sortedNodes() {
		if n.of == nil || c.concerns(n) {
			p.refresh(n)
		}
	}
}

// reassign renders the endpoint assignments of the nodes that call one of the services, and pushes what changed.
// Their other configuration stays, but for those that tell callees apart by addresses which have changed.
func (p *proxies) reassign(services map[string]bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	start, v := time.Now(), p.live.now()
	for _, n := range p.concerned(v, services) {
		if n.configured == nil {
			continue
		}
		if n.of != nil && !ir.Same(v.addresses(&n.of.Scope), n.of.Options.Addresses) {
			p.refresh(n)
			continue
		}
		if err := p.push(n, v, false, start); err != nil {
			p.logger(n.identity).Error("endpoints cannot be rendered; the proxy keeps its last ones", "node", n.id,
				"error", err)
		}
	}
}

// refreshConcerned refreshes the nodes that call one of the services.
func (p *proxies) refreshConcerned(services map[string]bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.concerned(p.live.now(), services) {
		p.refresh(n)
	}
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
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.sortedNodes() {
		p.settle(n)
	}
}

// taken reports whether a stage is finished: all proxies for which the change waits have acknowledged it, or the time
// for it is over (late). It does not wait for proxies that were late before and have acknowledged nothing since, nor
// for proxies that refused something, because they will send nothing more. The goal is the mesh that was loaded.
func (p *proxies) taken(goal *ir.Mesh, late bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	var waiting []*node
	for _, n := range p.sortedNodes() {
		p.settle(n)
		if !n.gone && !n.silent && exception(goal, n) == nil && n.anyBehind() {
			waiting = append(waiting, n)
		}
	}
	if len(waiting) > 0 && !late {
		return false
	}
	for _, n := range waiting {
		n.silent = true
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
	var out []*node
	for _, n := range p.nodes {
		out = append(out, n)
	}
	slices.SortFunc(out, func(a, b *node) int { return strings.Compare(a.id, b.id) })
	return out
}

func (p *proxies) cacheOf(n *node) cache.SnapshotCache {
	if n.kind == kindGRPC {
		return p.clients
	}
	return p.envoys
}

// setSnapshot puts the resources of a node into the cache.
func (p *proxies) setSnapshot(n *node, b *built) {
	n.built, n.pushed = b, time.Now()
	if err := p.cacheOf(n).SetSnapshot(context.Background(), n.id, b.snapshot()); err != nil {
		p.logger(n.identity).Error("push failed", "node", n.id, "error", err)
	}
	p.metrics.pushes.Inc()
}

// countBehind updates the metrics. It is called with the lock held.
func (p *proxies) countBehind() {
	behind, refused := 0, 0
	for _, n := range p.nodes {
		isBehind, isRefused := false, false
		for url, t := range n.types {
			isBehind = isBehind || n.isBehind(url)
			isRefused = isRefused || len(t.refusals) > 0
		}
		if isBehind {
			behind++
		}
		if isRefused {
			refused++
		}
	}
	p.metrics.behind.Set(float64(behind))
	p.metrics.refusing.Set(float64(refused))
}
