package kubernetes

import (
	"cmp"
	"context"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/kubernetes"
	"github.com/meshc/meshc/render/live"
)

// gather is how long changes of pods are gathered before they are passed on: a rollout
// changes several slices at once.
const gather = 20 * time.Millisecond

// podWatch follows the EndpointSlices of the mesh's namespaces, each by a watch of its
// own, as Roles are given by namespace.
type podWatch struct {
	cluster *Cluster
	// set and change are the server's [serve.Server.SetPods] and [serve.Server.ChangePods].
	set, change func(namespace string, pods map[string][]live.Endpoint)

	mu         sync.Mutex
	mesh       *ir.Mesh
	namespaces map[string]*namespaceWatch
	told       map[string]map[string][]live.Endpoint // by namespace and service: the pods, as they were last told
}

func newPodWatch(c *Cluster) *podWatch {
	return &podWatch{
		cluster: c, set: c.server.SetPods, change: c.server.ChangePods,
		namespaces: map[string]*namespaceWatch{},
		told:       map[string]map[string][]live.Endpoint{},
	}
}

// follow begins to watch the namespaces that the mesh has pods in, and ends to watch
// those where it has none any more.
func (w *podWatch) follow(ctx context.Context, m *ir.Mesh) {
	wanted := namespacesOf(m)
	w.mu.Lock()
	// What the mesh before has besides is served until this one is.
	before := namespacesOf(w.mesh)
	for name, n := range w.namespaces {
		if !wanted[name] && !before[name] {
			n.stop()
			delete(w.namespaces, name)
			delete(w.told, name)
			w.cluster.server.ForgetPods(name)
			w.cluster.server.Unfollow(sourceOf(kindPods, name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		if w.namespaces[name] == nil {
			w.namespaces[name] = w.watch(ctx, name, m.Name)
		}
	}
	var syncs []cache.InformerSynced
	for _, n := range w.namespaces {
		syncs = append(syncs, n.informer.HasSynced)
	}
	w.mu.Unlock()
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if !cache.WaitForCacheSync(waiting.Done(), syncs...) && ctx.Err() == nil {
		w.cluster.log.Warn("not all pods are known yet; callers look their services up by DNS", "namespaces",
			len(wanted))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mesh = m
	for _, n := range w.namespaces {
		w.tell(n)
	}
}

// namespacesOf are those in which a mesh has pods.
func namespacesOf(m *ir.Mesh) map[string]bool {
	out := map[string]bool{}
	if m == nil {
		return out
	}
	for _, s := range m.Services {
		if s.Workload.InCluster() {
			out[s.Namespace] = true
		}
	}
	return out
}

// watch follows the slices of one namespace. Those of the mesh's Services carry the
// labels of these, and those that Kubernetes' own controller made say so: a slice that
// somebody else put there is nobody's pod.
func (w *podWatch) watch(ctx context.Context, namespace, mesh string) *namespaceWatch {
	running, stop := context.WithCancel(ctx)
	slices := newWatch[*discoveryv1.EndpointSlice](w.cluster, namespace, w.cluster.client.DiscoveryV1().
		EndpointSlices(namespace), metav1.ListOptions{
		LabelSelector: kubernetes.LabelPartOf + "=" + mesh + "," + kubernetes.LabelManagedBy + "=" +
			kubernetes.ManagedBy + "," + discoveryv1.LabelManagedBy + "=endpointslice-controller.k8s.io",
	}, w.cluster.hears(kindPods, namespace))
	n := &namespaceWatch{watch: slices, name: namespace, stop: stop}
	slices.each = n.touch
	n.index()
	go slices.run(running)
	go func() {
		for {
			select {
			case <-running.Done():
				return
			case <-slices.failed:
				w.cluster.untilBack(running)
				w.again(ctx, n, mesh)
				return
			case <-slices.changed:
			}
			select {
			case <-running.Done():
				return
			case <-time.After(gather):
			}
			w.mu.Lock()
			w.tell(n)
			w.mu.Unlock()
		}
	}()
	return n
}

// again begins a watch that failed anew. What was told before holds until it knows all.
func (w *podWatch) again(ctx context.Context, n *namespaceWatch, mesh string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n.stop()
	if w.namespaces[n.name] == n {
		w.namespaces[n.name] = w.watch(ctx, n.name, mesh)
	}
}

// tell passes on what is known of a namespace, once that is all there is: for a new mesh all pods, and then those of
// the services whose slices have changed.
func (w *podWatch) tell(n *namespaceWatch) {
	if w.mesh == nil || !n.informer.HasSynced() || w.namespaces[n.name] != n {
		return
	}
	touched := n.touched.take()
	if n.complete != w.mesh {
		pods := podsOf(w.mesh, n.name, n.objects(), w.told[n.name])
		n.complete, n.services, w.told[n.name] = w.mesh, servicesOf(w.mesh, n.name), pods
		w.set(n.name, pods)
		return
	}
	pods, told := map[string][]live.Endpoint{}, w.told[n.name]
	for service := range touched {
		for _, s := range n.services[service] {
			slicesOf := map[string][]*discoveryv1.EndpointSlice{}
			for _, name := range clusterServices(s) {
				slicesOf[name] = n.slicesOf(name)
			}
			pods[s.PlainName()] = servicePods(s, slicesOf, told[s.PlainName()])
		}
	}
	if len(pods) == 0 {
		return
	}
	maps.Copy(told, pods)
	w.change(n.name, pods)
}

// readyOf are the names of the pods that take requests.
func readyOf(pods []live.Endpoint) map[string]bool {
	out := map[string]bool{}
	for i := range pods {
		if !pods[i].Unhealthy {
			out[pods[i].Name] = true
		}
	}
	return out
}

// podsOf are the pods of a namespace by the plain names of the services that they belong to,
// sorted by name. Told are those that it was last told of.
func podsOf(m *ir.Mesh, namespace string, list []*discoveryv1.EndpointSlice,
	told map[string][]live.Endpoint,
) map[string][]live.Endpoint {
	slicesOf := map[string][]*discoveryv1.EndpointSlice{}
	for _, slice := range list {
		name := slice.Labels[discoveryv1.LabelServiceName]
		slicesOf[name] = append(slicesOf[name], slice)
	}
	out := map[string][]live.Endpoint{}
	for _, s := range m.Services {
		if s.Namespace == namespace && s.Workload.InCluster() {
			out[s.PlainName()] = servicePods(s, slicesOf, told[s.PlainName()])
		}
	}
	return out
}

// slicesFor are the slices of the Service by which the pods of a service, or of one of its versions, are found. While
// a change is applied that has it made by another name, that may be the former one.
func slicesFor(s *ir.Service, version string,
	slicesOf map[string][]*discoveryv1.EndpointSlice,
) []*discoveryv1.EndpointSlice {
	if now := slicesOf[s.ClusterService(version)]; now != nil {
		return now
	}
	return slicesOf[s.FormerClusterService(version)]
}

// servicePods are the pods of a service. Those of a version are in the slices of the
// version's own Service. Kubernetes keeps a slice for a Service without pods, so where there is none, the Service has
// just been made, or was deleted, and the pods are those that were last told.
func servicePods(s *ir.Service, slicesOf map[string][]*discoveryv1.EndpointSlice,
	told []live.Endpoint,
) []live.Endpoint {
	ports := map[string]uint16{}
	for i := range s.Ports {
		ports[s.Ports[i].Name] = s.InstancePort(&s.Ports[i])
	}
	found := slicesFor(s, "", slicesOf)
	if found == nil {
		return atPorts(told, ports)
	}
	pods, before, ready := map[string]*live.Endpoint{}, readyOf(told), 0
	var ending, staying []*live.Endpoint
	for _, slice := range byFamily(found) {
		for i := range slice.Endpoints {
			e := &slice.Endpoints[i]
			name := podName(e)
			if name == "" || len(e.Addresses) == 0 {
				continue
			}
			if _, err := netip.ParseAddr(e.Addresses[0]); err != nil {
				continue
			}
			if known := pods[name]; known != nil {
				if a := e.Addresses[0]; a != known.Address && !slices.Contains(known.Others, a) {
					known.Others = append(known.Others, a)
				}
				continue
			}
			pod := &live.Endpoint{Endpoint: ir.Endpoint{
				Name: name, Address: e.Addresses[0], Ports: ports, Weight: 1, Labels: map[string]string{},
				Pos: s.Workload.Pos,
			}, Unhealthy: !condition(e.Conditions.Ready, true)}
			if e.Zone != nil {
				pod.Zone = *e.Zone
			}
			pods[name] = pod
			switch {
			case !pod.Unhealthy:
				ready++
			case condition(e.Conditions.Serving, false) && condition(e.Conditions.Terminating, false):
				ending = append(ending, pod)
			case before[name] && !condition(e.Conditions.Terminating, false):
				staying = append(staying, pod)
			}
		}
	}
	// Pods that are ending and still serve are better than none (Kubernetes, "Traffic
	// to terminating endpoints").
	//
	// When none is ready any more at once, what says so is more likely at fault than all
	// of them: a node whose kubelet cannot reach the API server has no ready pods. Those
	// that took requests go on, as in Envoy's panic mode.
	if ready == 0 {
		for _, pod := range slices.Concat(ending, staying) {
			pod.Unhealthy = false
		}
	}
	for i := range s.Versions {
		v := &s.Versions[i]
		slices := slicesFor(s, v.Name, slicesOf)
		if slices == nil {
			carry(pods, told, v)
		}
		for _, slice := range slices {
			for j := range slice.Endpoints {
				if pod := pods[podName(&slice.Endpoints[j])]; pod != nil {
					maps.Copy(pod.Labels, v.Labels)
				}
			}
		}
	}
	out := make([]live.Endpoint, 0, len(pods))
	for _, name := range sortedKeys(pods) {
		out = append(out, *pods[name])
	}
	return out
}

// carry gives pods the labels of a version that they had when they were last told.
func carry(pods map[string]*live.Endpoint, told []live.Endpoint, v *ir.Version) {
	for i := range told {
		if pod := pods[told[i].Name]; pod != nil && told[i].Carries(v) {
			maps.Copy(pod.Labels, v.Labels)
		}
	}
}

// atPorts are pods whose ports are those that the service has now.
func atPorts(told []live.Endpoint, ports map[string]uint16) []live.Endpoint {
	out := slices.Clone(told)
	for i := range out {
		out[i].Ports = ports
	}
	return out
}

// byFamily has the slices of IPv4 first: a pod with two addresses is reached by that.
func byFamily(list []*discoveryv1.EndpointSlice) []*discoveryv1.EndpointSlice {
	return slices.SortedStableFunc(slices.Values(list), func(a, b *discoveryv1.EndpointSlice) int {
		return cmp.Or(strings.Compare(string(a.AddressType), string(b.AddressType)), strings.Compare(a.Name, b.Name))
	})
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// condition reads a condition of an endpoint; unknown is its value if the API server gives none.
func condition(condition *bool, unknown bool) bool {
	if condition == nil {
		return unknown
	}
	return *condition
}

func podName(e *discoveryv1.Endpoint) string {
	if e.TargetRef == nil || e.TargetRef.Kind != "Pod" {
		return ""
	}
	return e.TargetRef.Name
}
