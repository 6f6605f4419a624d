package serve

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/envoy"
)

// proxies are those that are connected: their streams, what they are being served and how far they are with it. Its lock
// guards them, their nodes and their streams, and is held while resources are rendered and handed to the caches. What
// other parts and the streams call takes it; the others, of which most are about one node, are called with it.
type proxies struct {
	log     *slog.Logger
	metrics *metrics
	quotas  *quotas
	revoked *revocations
	live    *liveMesh
	trust   *trust
	build   func(ir.Scope, envoy.Options) (*envoy.Resources, error)

	envoys, clients cache.SnapshotCache // of Envoys, and of gRPC clients

	mu       sync.Mutex
	draining bool
	nodes    map[string]*node
	streams  map[streamKey]*stream
}

// cache is what the streams are answered from.
func (p *proxies) cache() cache.Cache {
	return &cache.MuxCache{
		Classify:      func(r *cache.Request) string { return kindOf(r.GetNode()) },
		ClassifyDelta: func(r *cache.DeltaRequest) string { return kindOf(r.GetNode()) },
		Caches:        map[string]cache.Cache{kindEnvoy: p.envoys, kindGRPC: p.clients},
	}
}

// drain lets no new stream begin.
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

// refreshAll renders every node anew, and pushes what changed.
func (p *proxies) refreshAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.sortedNodes() {
		p.refresh(n)
	}
}

// reassign renders the assignments of those whose callees are among the services, and pushes what changed. Their
// configurations stay.
func (p *proxies) reassign(services map[string]bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	start, v := time.Now(), p.live.now()
	for _, n := range p.concerned(v, services) {
		if n.configured == nil {
			continue
		}
		if err := p.push(n, v, false, start); err != nil {
			p.logger(n.identity).Error("endpoints cannot be rendered; the proxy keeps its last ones", "node", n.id, "error", err)
		}
	}
}

// refreshConcerned refreshes those whose callees are among the services.
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
	return slices.DeleteFunc(p.sortedNodes(), func(n *node) bool { return !v.concerns(n.memberKind, n.member, services) })
}

// settleAll goes on with proxies that had nothing to answer.
func (p *proxies) settleAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.sortedNodes() {
		p.settle(n)
	}
}

// taken reports whether all for which a change waits have taken what they are to have, or have been waited for long
// enough (late): then it goes on without those that have not. It does not wait for those that were late before and have
// acknowledged nothing since, nor for those that refused: they say nothing more. Goal is the mesh that was loaded.
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

// exception is that of the node's member; nil for none.
func exception(m *ir.Mesh, n *node) *ir.Exception {
	if m == nil {
		return nil
	}
	return m.Server.Excepted(n.memberKind, n.member)
}

// logger writes about an identity as much as that identity may cause.
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

// setSnapshot gives a node what was built.
func (p *proxies) setSnapshot(n *node, b *built) {
	n.built, n.pushed = b, time.Now()
	if err := p.cacheOf(n).SetSnapshot(context.Background(), n.id, b.snapshot()); err != nil {
		p.logger(n.identity).Error("push failed", "node", n.id, "error", err)
	}
	p.metrics.pushes.Inc()
}

// countBehind brings the metrics up to the nodes. It is called with the lock.
func (p *proxies) countBehind() {
	behind, refused := 0, 0
	for _, n := range p.nodes {
		isBehind, isRefused := false, false
		for url, t := range n.types {
			isBehind = isBehind || n.behind(url)
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
