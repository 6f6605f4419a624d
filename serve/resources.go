package serve

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"

	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/render/envoy"
)

// typeURLs are the types of resources in the order in which they are pushed: a resource comes before those that refer
// to it.
var typeURLs = []string{
	resource.SecretType, resource.ClusterType, resource.EndpointType, resource.ListenerType,
	resource.RouteType,
}

// packed is a resource as it is sent. Its bytes are made once, and all proxies that are sent it share them.
type packed struct {
	content *anypb.Any
	version string // the hash of the bytes, which is the same after a restart of the server
}

// pack makes the bytes of a resource.
func pack(url string, m proto.Message) *packed {
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		data = []byte(err.Error()) // a message that was built from others has its bytes
	}
	return &packed{content: &anypb.Any{TypeUrl: url, Value: data}, version: cache.HashResource(data)}
}

// source returns the line of the spec from which a resource was rendered, if it is known.
func (r *packed) source() source.Position {
	if r == nil || r.content == nil {
		return source.Position{}
	}
	m, err := r.content.UnmarshalNew()
	if err != nil {
		return source.Position{}
	}
	return envoy.Source(m)
}

// assigned is a cluster whose endpoints are assigned apart from the configuration.
type assigned struct {
	envoy.Discovered
	// says is a digest of everything in the compiled mesh from which the endpoints follow.
	says string
}

// built is the configuration of a node: the resources that it is served, by type and name, besides the endpoints of
// its clusters, which come and go without it. It never changes, and nodes may share it.
type built struct {
	resources map[string]map[string]*packed
	versions  map[string]string
	// assigned are the clusters that need endpoints, by the name of the assignment, and callees the names of the
	// assignments by the service that is called.
	assigned map[string]assigned
	callees  map[string][]string
	trust    string // digest of the trust bundle in it
}

func emptyBuilt() *built {
	b := &built{resources: map[string]map[string]*packed{}, assigned: map[string]assigned{}}
	for _, url := range typeURLs {
		b.resources[url] = map[string]*packed{}
	}
	return b
}

func newBuilt(r *envoy.Resources) *built {
	b := emptyBuilt()
	add(b, resource.ListenerType, r.Listeners)
	add(b, resource.RouteType, r.Routes)
	add(b, resource.ClusterType, r.Clusters)
	add(b, resource.SecretType, r.Secrets)
	said := map[*ir.Upstream]string{}
	for _, d := range r.Discovered {
		if said[d.Callee] == "" {
			said[d.Callee] = says(d.Callee)
		}
		b.assigned[d.Name] = assigned{d, said[d.Callee]}
	}
	return b.sealed()
}

func add[T proto.Message](b *built, url string, list []T) {
	for _, m := range list {
		b.resources[url][cache.GetResourceName(m)] = pack(url, m)
	}
}

// reuse has b share the resources with an earlier configuration that are the same. What a proxy was last sent of a type
// may be of that one.
func (b *built) reuse(before *built) {
	if before == nil {
		return
	}
	for url, all := range b.resources {
		for name, r := range all {
			if had := before.resources[url][name]; had != nil && had.version == r.version {
				all[name] = had
			}
		}
	}
}

// says is a digest of what a callee says of its endpoints.
func says(u *ir.Upstream) string {
	data, err := json.Marshal([]any{u.Name, u.Namespace, u.Ports, u.Workload, u.Versions, u.Locality})
	if err != nil {
		return "\x00" + err.Error() // the mesh was read from JSON
	}
	sum := sha256.Sum256(data)
	return string(sum[:])
}

// sealed computes what follows from the resources. Nothing is added after it.
func (b *built) sealed() *built {
	b.versions, b.callees = map[string]string{}, map[string][]string{}
	for url, all := range b.resources {
		b.versions[url] = versionOf(all)
	}
	for name, a := range b.assigned {
		b.callees[a.Callee.Name] = append(b.callees[a.Callee.Name], name)
	}
	return b
}

// versionOf returns the version of a type: a hash of all its resources.
func versionOf(resources map[string]*packed) string {
	h := sha256.New()
	for _, name := range sortedKeys(resources) {
		h.Write([]byte(name + "\x00" + resources[name].version + "\x00"))
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// equal reports whether a node needs nothing to get from one to the other.
func (b *built) equal(c *built) bool {
	return maps.Equal(b.versions, c.versions) &&
		maps.EqualFunc(b.assigned, c.assigned, func(assigned, assigned) bool { return true })
}

// ofType is what a configuration has of one type. A node that was last sent it keeps nothing else of the configuration.
type ofType struct {
	resources map[string]*packed
	version   string
	trust     string // digest of the trust bundle
}

func (b *built) ofType(url string) ofType { return ofType{b.resources[url], b.versions[url], b.trust} }

// changed reports whether a node that has b will be sent resources of the type to get to next.
func (b *built) changed(next *built, url string) bool { return b.ofType(url).changed(next, url) }

// changed reports whether a node that was sent this of the type will be sent other resources to get to next. It gets
// all clusters and listeners. Of other types it gets only the resources that it subscribed to; if a name is new, the
// node will subscribe to it.
func (t ofType) changed(next *built, url string) bool {
	if t.version == next.versions[url] {
		return false
	}
	if url == resource.ClusterType || url == resource.ListenerType {
		return true
	}
	return outdated(t.resources, next.resources[url])
}

// outdated reports whether one of the resources has another version now.
func outdated(had, now map[string]*packed) bool {
	for name, r := range had {
		if next := now[name]; next != nil && next.version != r.version {
			return true
		}
	}
	return false
}

// refers reports whether resources of the type refer to resources of other types.
func refers(url string) bool { return url == resource.ListenerType || url == resource.RouteType }

// union returns b together with those resources of old that others may refer to, and with the listeners and routes
// of from.
func (b *built) union(old, from *built) *built {
	out := emptyBuilt()
	out.trust = b.trust
	for _, url := range typeURLs {
		layers := []*built{old, b}
		if refers(url) {
			layers = []*built{from}
		}
		for _, layer := range layers {
			maps.Copy(out.resources[url], layer.resources[url])
		}
	}
	maps.Copy(out.assigned, old.assigned)
	maps.Copy(out.assigned, b.assigned)
	return out.sealed()
}

// assignedAs returns b with endpoints that follow from what next says of the same clusters.
func (b *built) assignedAs(next *built) *built {
	out := *b
	out.assigned = maps.Clone(b.assigned)
	for name := range out.assigned {
		if a, there := next.assigned[name]; there {
			out.assigned[name] = a
		}
	}
	return &out
}

// without returns b without resources that a proxy refused; of all of the type if one of the names is empty.
func (b *built) without(url string, names []string) *built {
	out := emptyBuilt()
	out.trust = b.trust
	maps.Copy(out.assigned, b.assigned)
	for of := range b.resources {
		maps.Copy(out.resources[of], b.resources[of])
	}
	if slices.Contains(names, "") {
		clear(out.resources[url])
	}
	for _, name := range names {
		delete(out.resources[url], name)
	}
	return out.sealed()
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
