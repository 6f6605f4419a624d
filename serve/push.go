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

// The types of resource, in the order in which they are pushed: what is referred
// to before what refers to it.
var typeURLs = []string{resource.SecretType, resource.ClusterType, resource.EndpointType, resource.ListenerType, resource.RouteType}

// built is what a node is served: its resources by type and name, each with the
// hash of its bytes, which is its version over the incremental protocol.
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

// with is b with other assignments of endpoints; what else is in it they have in common.
func (b *built) with(assignments []*endpointv3.ClusterLoadAssignment) *built {
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

// refers are the types whose resources name those of the other types.
func refers(url string) bool { return url == resource.ListenerType || url == resource.RouteType }

// beside is b with what old has besides, of the types that others refer to, and
// with the listeners and routes of from.
func (b *built) beside(old, from *built) *built {
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

// stages are what a node that has old is served, one after the other, to have b:
// first what is new beside what was, then the listeners and routes that refer to
// it, and at last without what nothing refers to any more. A request thus never
// meets a route to a cluster that is not there (make before break; xDS protocol,
// "Eventual consistency considerations").
func (b *built) stages(old *built) []*built {
	if old == nil {
		return []*built{b}
	}
	var out []*built
	last := old
	for _, stage := range []*built{b.beside(old, old), b.beside(old, b), b} {
		if !stage.equal(last) {
			out = append(out, stage)
			last = stage
		}
	}
	return out
}

// refresh renders a node's configuration anew when it is made of something else than before, and its assignments, and
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
		p.logger(n.identity).Error("resources cannot be rendered; the proxy keeps its last ones", "node", n.id, "error", err)
	}
}

// push gives a node its configuration with its assignments, as far as they are not what it is being given already. Made
// says that the configuration was rendered anew.
func (p *proxies) push(n *node, v *view, made bool, start time.Time) error {
	assignments, err := p.assignments(n, v)
	if err != nil {
		return err
	}
	next := n.configured.with(assignments)
	if !made && n.rendered != nil && maps.Equal(next.hashes[resource.EndpointType], n.rendered.hashes[resource.EndpointType]) {
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

// target is what a node will have in the end.
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

// grace is how long a proxy may go without asking for something before it is
// taken not to need it.
const grace = 5 * time.Second

// settle goes on to the next stage once the node has taken all of this one.
func (p *proxies) settle(n *node) {
	if len(n.stages) == 0 {
		return
	}
	for url, t := range n.types {
		// What refers to something refused, or what the refused one's predecessor
		// refers to, must not be pulled out from under it.
		if n.behind(url) || len(t.refusals) > 0 {
			return
		}
	}
	if !n.warm() && time.Since(n.pushed) < grace {
		return
	}
	p.nextStage(n)
}

// warm reports whether the node was sent the endpoints of every cluster that it
// has: it asks for those of a new one by itself, and before it has them the cluster
// is none.
func (n *node) warm() bool {
	t := n.types[resource.EndpointType]
	for name := range n.built.hashes[resource.EndpointType] {
		if t == nil || !t.names[name] {
			return false
		}
	}
	return true
}
