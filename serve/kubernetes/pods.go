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

	mu         sync.Mutex
	mesh       *ir.Mesh
	namespaces map[string]*namespaceWatch
	ready      map[string]map[string]bool // by namespace: the pods that took requests when last told
}

type namespaceWatch struct {
	*watch[*discoveryv1.EndpointSlice]
	name string
	stop context.CancelFunc
}

func newPodWatch(c *Cluster) *podWatch {
	return &podWatch{cluster: c, namespaces: map[string]*namespaceWatch{}, ready: map[string]map[string]bool{}}
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
			delete(w.ready, name)
			w.cluster.server.ForgetPods(name)
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
		LabelSelector: kubernetes.LabelPartOf + "=" + mesh + "," + discoveryv1.LabelManagedBy +
			"=endpointslice-controller.k8s.io",
	})
	n := &namespaceWatch{watch: slices, name: namespace, stop: stop}
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

// tell passes on what is known of a namespace, once that is all there is.
func (w *podWatch) tell(n *namespaceWatch) {
	if w.mesh == nil || !n.informer.HasSynced() || w.namespaces[n.name] != n {
		return
	}
	pods := podsOf(w.mesh, n.name, n.objects(), w.ready[n.name])
	w.ready[n.name] = readyOf(pods)
	w.cluster.server.SetPods(n.name, pods)
}

// readyOf are the names of the pods that take requests.
func readyOf(pods map[string][]live.Endpoint) map[string]bool {
	out := map[string]bool{}
	for _, list := range pods {
		for i := range list {
			if !list[i].Unhealthy {
				out[list[i].Name] = true
			}
		}
	}
	return out
}

// podsOf are the pods of a namespace by the plain names of the services that they belong to,
// sorted by name. Before are the pods that took requests when it was last told.
func podsOf(m *ir.Mesh, namespace string, list []*discoveryv1.EndpointSlice,
	before map[string]bool,
) map[string][]live.Endpoint {
	byService := map[string][]*discoveryv1.EndpointSlice{}
	for _, slice := range list {
		name := slice.Labels[discoveryv1.LabelServiceName]
		byService[name] = append(byService[name], slice)
	}
	out := map[string][]live.Endpoint{}
	for _, s := range m.Services {
		if s.Namespace == namespace && s.Workload.InCluster() {
			out[s.PlainName()] = servicePods(s, byService, before)
		}
	}
	return out
}

// servicePods are the pods of a service. Those of a version are in the slices of the
// version's own Service.
func servicePods(s *ir.Service, slicesOf map[string][]*discoveryv1.EndpointSlice,
	before map[string]bool,
) []live.Endpoint {
	ports := map[string]uint16{}
	for i := range s.Ports {
		ports[s.Ports[i].Name] = s.InstancePort(&s.Ports[i])
	}
	pods, ready := map[string]*live.Endpoint{}, 0
	var ending, staying []*live.Endpoint
	for _, slice := range byFamily(slicesOf[s.ClusterService("")]) {
		for i := range slice.Endpoints {
			e := &slice.Endpoints[i]
			name := podName(e)
			if name == "" || pods[name] != nil || len(e.Addresses) == 0 {
				continue
			}
			if _, err := netip.ParseAddr(e.Addresses[0]); err != nil {
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
		for _, slice := range slicesOf[s.ClusterService(s.Versions[i].Name)] {
			for j := range slice.Endpoints {
				if pod := pods[podName(&slice.Endpoints[j])]; pod != nil {
					maps.Copy(pod.Labels, s.Versions[i].Labels)
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
