package kubernetes

import (
	"context"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshc/meshc/compiler/ir"
)

// serviceWatch follows the Services of the namespaces where pods call services below HTTP: all of them, as a team's own
// carry no label of the mesh.
type serviceWatch struct {
	cluster *Cluster
	// set and change are the server's [serve.Server.SetServices] and [serve.Server.ChangeServices].
	set, change func(namespace string, addresses map[string][]string)

	mu         sync.Mutex
	namespaces map[string]context.CancelFunc
}

func newServiceWatch(c *Cluster) *serviceWatch {
	return &serviceWatch{
		cluster: c, set: c.server.SetServices, change: c.server.ChangeServices,
		namespaces: map[string]context.CancelFunc{},
	}
}

// follow begins to watch the namespaces of a mesh. Those of the mesh before go on: what they tell changes nothing for
// a mesh that does not ask for it.
func (w *serviceWatch) follow(ctx context.Context, m *ir.Mesh) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for namespace := range m.Addressed() {
		if w.namespaces[namespace] == nil {
			running, stop := context.WithCancel(ctx)
			w.namespaces[namespace] = stop
			go w.watch(running, namespace)
		}
	}
}

// watch follows one namespace until the context ends. What was told before holds while the API server is away.
func (w *serviceWatch) watch(ctx context.Context, namespace string) {
	for ctx.Err() == nil {
		running, stop := context.WithCancel(ctx)
		services := newWatch[*corev1.Service](w.cluster, namespace, w.cluster.client.CoreV1().Services(namespace),
			metav1.ListOptions{}, w.cluster.hears(kindServices, namespace))
		var touched touched
		services.each = func(s *corev1.Service) { touched.note(s.Name) }
		go services.run(running)
		w.tell(running, namespace, services, &touched)
		stop()
		w.cluster.untilBack(ctx)
	}
}

// tell passes on what a watch sees, until it fails: all Services first, and then those that have changed.
func (w *serviceWatch) tell(ctx context.Context, namespace string, services *watch[*corev1.Service],
	touched *touched,
) {
	if !services.complete(ctx) {
		return
	}
	touched.take()
	w.set(namespace, addressesOf(services.objects()))
	for {
		select {
		case <-ctx.Done():
			return
		case <-services.failed:
			return
		case <-services.changed:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(gather):
		}
		changed := map[string][]string{}
		for name := range touched.take() {
			changed[name] = nil
			if s, there := services.object(namespace, name); there {
				changed[name] = addresses(s)
			}
		}
		w.change(namespace, changed)
	}
}

// addressesOf are the cluster IPs of Services, by their names.
func addressesOf(list []*corev1.Service) map[string][]string {
	out := map[string][]string{}
	for _, s := range list {
		if found := addresses(s); found != nil {
			out[s.Name] = found
		}
	}
	return out
}

// addresses are the cluster IPs of a Service, sorted. A headless one has none.
func addresses(s *corev1.Service) (out []string) {
	for _, ip := range s.Spec.ClusterIPs {
		if ip != corev1.ClusterIPNone {
			out = append(out, ip)
		}
	}
	slices.Sort(out)
	return out
}
