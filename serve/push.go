package serve

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"time"

	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/protobuf/proto"

	"github.com/meshc/meshc/render/envoy"
)

// typeURLs are the types of resources in the order in which they are pushed: a resource comes before those that refer
// to it.
var typeURLs = []string{
	resource.SecretType, resource.ClusterType, resource.EndpointType, resource.ListenerType,
	resource.RouteType,
}

// built has the resources that a node is served, by type and name. Each has the hash of its bytes, which is its
// version in the incremental protocol.
type built struct {
	resources map[string]map[string]types.Resource
	hashes    map[string]map[string]string
	trust     string // digest of the trust bundle in it
}

func newBuilt(r *envoy.Resources) *built {
	b := &built{resources: map[string]map[string]types.Resource{}, hashes: map[string]map[string]string{}}
	for _, url := range typeURLs {
		b.resources[url], b.hashes[url] = map[string]types.Resource{}, map[string]string{}
	}
	add(b, resource.ListenerType, r.Listeners)
	add(b, resource.RouteType, r.Routes)
	add(b, resource.ClusterType, r.Clusters)
	add(b, resource.SecretType, r.Secrets)
	return b
}

// withAssignments returns b with other endpoint assignments; the other resources are shared.
func (b *built) withAssignments(assignments []*endpointv3.ClusterLoadAssignment) *built {
	out := &built{resources: maps.Clone(b.resources), hashes: maps.Clone(b.hashes), trust: b.trust}
	url := resource.EndpointType
	out.resources[url], out.hashes[url] = map[string]types.Resource{}, map[string]string{}
	add(out, url, assignments)
	return out
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
	b.resources[url][name] = m
	b.hashes[url][name] = cache.HashResource(data)
}

// version returns the version of a type: the hash of all its resources, which is the same after a restart of the
// server.
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

// changed reports whether a node that has b will be sent resources of the type to get to next. It gets all clusters
// and listeners. Of other types it gets only the resources that it subscribed to; if a name is new, the node will
// subscribe to it.
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

// refers reports whether resources of the type refer to resources of other types.
func refers(url string) bool { return url == resource.ListenerType || url == resource.RouteType }

// union returns b together with those resources of old that others may refer to, and with the listeners and routes
// of from.
func (b *built) union(old, from *built) *built {
	out := newBuilt(&envoy.Resources{})
	out.trust = b.trust
	for _, url := range typeURLs {
		layers := []*built{old, b}
		if refers(url) {
			layers = []*built{from}
		}
		for _, layer := range layers {
			maps.Copy(out.resources[url], layer.resources[url])
			maps.Copy(out.hashes[url], layer.hashes[url])
		}
	}
	return out
}

// stages returns what a node that has old is served, one after the other, to get to b: first the new resources
// together with the old ones, then the new listeners and routes, then without the old resources. So no route ever
// refers to a cluster that does not exist (make before break; xDS protocol, "Eventual consistency considerations").
func (b *built) stages(old *built) []*built {
	if old == nil {
		return []*built{b}
	}
	var out []*built
	last := old
	for _, stage := range []*built{b.union(old, old), b.union(old, b), b} {
		if !stage.equal(last) {
			out = append(out, stage)
			last = stage
		}
	}
	return out
}

// refresh renders the configuration of a node if its inputs have changed, renders its endpoint assignments, and
// pushes what changed.
func (p *proxies) refresh(n *node) {
	start, v := time.Now(), p.live.now()
	made, err := p.configure(n, v)
	n.gone = errors.Is(err, errGone)
	if n.gone {
		p.logger(n.identity).Warn("a proxy's member is no longer in the mesh", "node", n.id)
		n.configured, n.discovered, made, err = newBuilt(&envoy.Resources{}), nil, true, nil
	}
	if err == nil {
		err = p.push(n, v, made, start)
	}
	if err != nil {
		p.logger(n.identity).Error("resources cannot be rendered; the proxy keeps its last ones", "node", n.id, "error",
			err)
	}
}

// push gives a node its configuration and endpoint assignments if they differ from what it is served. The argument
// made says that the configuration was rendered again.
func (p *proxies) push(n *node, v *view, made bool, start time.Time) error {
	assignments, err := p.assignments(n, v)
	if err != nil {
		return err
	}
	next := n.configured.withAssignments(assignments)
	if !made && n.rendered != nil &&
		maps.Equal(next.hashes[resource.EndpointType], n.rendered.hashes[resource.EndpointType]) {
		return nil
	}
	if n.rendered = next; n.built != nil && next.equal(n.target()) {
		return nil
	}
	n.stages = next.stages(n.built)
	p.nextStage(n)
	p.metrics.pushTime.Observe(time.Since(start).Seconds())
	return nil
}

// target returns what the node will have after its last stage.
func (n *node) target() *built {
	if len(n.stages) > 0 {
		return n.stages[len(n.stages)-1]
	}
	return n.built
}

func (p *proxies) nextStage(n *node) {
	if len(n.stages) > 0 {
		stage := n.stages[0]
		n.stages = n.stages[1:]
		p.setSnapshot(n, stage)
	}
}

// grace is how long the server waits for a proxy to subscribe to a resource, before it assumes that the proxy does
// not need it.
const grace = 5 * time.Second

// settle begins the next stage when the node has acknowledged all of the present one.
func (p *proxies) settle(n *node) {
	if len(n.stages) == 0 {
		return
	}
	for url, t := range n.types {
		// What refers to something refused, or what the refused one's predecessor
		// refers to, must not be pulled out from under it.
		if n.isBehind(url) || len(t.refusals) > 0 {
			return
		}
	}
	if !n.warm() && time.Since(n.pushed) < grace {
		return
	}
	p.nextStage(n)
}

// warm reports whether the node was sent the endpoints of every cluster that it has. It subscribes to those of a new
// cluster by itself, and cannot use the cluster before it has them.
func (n *node) warm() bool {
	t := n.types[resource.EndpointType]
	for name := range n.built.hashes[resource.EndpointType] {
		if t == nil || !t.names[name] {
			return false
		}
	}
	return true
}
