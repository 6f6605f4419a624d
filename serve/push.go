package serve

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/protobuf/proto"

	"github.com/meshc/meshc/render/envoy"
)

// The types of resource, in the order in which they are pushed: what is referred
// to before what refers to it.
var typeURLs = []string{resource.SecretType, resource.ClusterType, resource.EndpointType, resource.ListenerType, resource.RouteType}

// built is what a node is served: its resources by type and name, each with the
// hash of its bytes.
type built struct {
	resources map[string]map[string]types.Resource
	hashes    map[string]map[string]string
}

func newBuilt(r *envoy.Resources) *built {
	b := &built{resources: map[string]map[string]types.Resource{}, hashes: map[string]map[string]string{}}
	for _, url := range typeURLs {
		b.resources[url], b.hashes[url] = map[string]types.Resource{}, map[string]string{}
	}
	add(b, resource.ListenerType, r.Listeners)
	add(b, resource.RouteType, r.Routes)
	add(b, resource.ClusterType, r.Clusters)
	add(b, resource.EndpointType, r.Endpoints)
	add(b, resource.SecretType, r.Secrets)
	return b
}

func add[T proto.Message](b *built, url string, list []T) {
	for _, m := range list {
		b.put(url, cache.GetResourceName(m), m)
	}
}

func (b *built) put(url, name string, m types.Resource) {
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		data = []byte(err.Error()) // a message that was built from others has its bytes
	}
	sum := sha256.Sum256(data)
	b.resources[url][name] = m
	b.hashes[url][name] = hex.EncodeToString(sum[:8])
}

// version is that of a type: the hash of all its resources, the same after a
// restart of the server.
func (b *built) version(url string) string {
	h := sha256.New()
	for _, name := range sortedKeys(b.hashes[url]) {
		h.Write([]byte(name + "\x00" + b.hashes[url][name] + "\x00"))
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

func (b *built) equal(c *built) bool {
	return !slices.ContainsFunc(typeURLs, func(url string) bool { return b.version(url) != c.version(url) })
}

// changed reports whether a node that has b will be sent something of that type
// to have next. Of clusters and listeners it gets all; of other types only what it
// asked for by name, which it will do by itself when a name is new.
func (b *built) changed(next *built, url string) bool {
	if b == next {
		return false
	}
	if url == resource.ClusterType || url == resource.ListenerType {
		return b.version(url) != next.version(url)
	}
	for name, hash := range b.hashes[url] {
		if now, ok := next.hashes[url][name]; ok && now != hash {
			return true
		}
	}
	return false
}

func (b *built) snapshot() *cache.Snapshot {
	s := &cache.Snapshot{}
	for _, url := range typeURLs {
		var list []types.Resource
		for _, name := range sortedKeys(b.resources[url]) {
			list = append(list, b.resources[url][name])
		}
		s.Resources[cache.GetResponseType(url)] = cache.NewResources(b.version(url), list)
	}
	return s
}

// with is b, and whatever else old has that routes or listeners may still refer
// to.
func (b *built) with(old *built) *built {
	out := &built{resources: map[string]map[string]types.Resource{}, hashes: map[string]map[string]string{}}
	for _, url := range typeURLs {
		out.resources[url], out.hashes[url] = map[string]types.Resource{}, map[string]string{}
		if old != nil && (url == resource.ClusterType || url == resource.EndpointType || url == resource.SecretType) {
			for name, m := range old.resources[url] {
				out.resources[url][name], out.hashes[url][name] = m, old.hashes[url][name]
			}
		}
		for name, m := range b.resources[url] {
			out.resources[url][name], out.hashes[url][name] = m, b.hashes[url][name]
		}
	}
	return out
}

// refresh renders a node anew and pushes what changed: first what is new beside
// what was, and, once the proxy has taken the routes and listeners that no longer
// need it, without what is gone. A request thus never meets a route to a cluster
// that is not there.
func (s *Server) refresh(n *node) {
	start := time.Now()
	r, err := s.render(n)
	if errors.Is(err, errGone) {
		s.log.Warn("a proxy's member is no longer in the mesh", "node", n.id)
		r, err = &envoy.Resources{}, nil
	}
	if err != nil {
		s.log.Error("resources cannot be rendered; the proxy keeps its last ones", "node", n.id, "error", err)
		return
	}
	next := newBuilt(r)
	if n.want == nil && n.built != nil && next.equal(n.built) || n.want != nil && next.equal(n.want) {
		return
	}
	first := next.with(n.built)
	n.want = next
	if first.equal(next) {
		n.want = nil
	}
	s.setSnapshot(n, first)
	s.metrics.pushTime.Observe(time.Since(start).Seconds())
}

// grace is how long a proxy that has answered everything may go without asking
// for changed routes or listeners before it is taken not to need them.
const grace = 5 * time.Second

// settle drops what the node no longer needs, once it has taken all that was
// sent.
func (s *Server) settle(n *node) {
	if n.want == nil {
		return
	}
	for url := range n.types {
		if n.behind(url) {
			return
		}
	}
	for _, url := range []string{resource.ListenerType, resource.RouteType} {
		t := n.types[url]
		if t != nil && len(t.refusals) > 0 {
			return // what the refused one's predecessor refers to stays
		}
		if (t == nil || t.sentVersion != n.built.version(url)) && time.Since(n.pushed) < grace {
			return
		}
	}
	want := n.want
	n.want = nil
	s.setSnapshot(n, want)
}

// settleAll looks after proxies that had nothing to answer.
func (s *Server) settleAll(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s.mu.Lock()
		for _, n := range s.sortedNodes() {
			s.settle(n)
		}
		s.mu.Unlock()
	}
}
