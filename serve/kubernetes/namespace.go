package kubernetes

import (
	"context"
	"slices"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/meshc/meshc/compiler/ir"
)

// namespaceWatch follows the EndpointSlices of one namespace.
type namespaceWatch struct {
	*watch[*discoveryv1.EndpointSlice]
	name string
	stop context.CancelFunc

	// complete is the mesh of which all pods were told, and services are its services by the names of the Services in
	// whose slices their pods may be. They are guarded by the lock of [podWatch].
	complete *ir.Mesh
	services map[string][]*ir.Service

	// touched are the Services whose slices have changed since the pods were last told.
	touched touched
}

// touch notes that a slice has changed.
func (n *namespaceWatch) touch(slice *discoveryv1.EndpointSlice) {
	n.touched.note(slice.Labels[discoveryv1.LabelServiceName])
}

// byService is the index of slices by their Services.
const byService = "service"

// index has slices found by their Services. It is called before the watch is run.
func (n *namespaceWatch) index() {
	// It fails only for an informer that has been started.
	_ = n.informer.AddIndexers(cache.Indexers{byService: func(o any) ([]string, error) {
		return []string{o.(*discoveryv1.EndpointSlice).Labels[discoveryv1.LabelServiceName]}, nil
	}})
}

// slicesOf are the slices of a Service.
func (n *namespaceWatch) slicesOf(service string) []*discoveryv1.EndpointSlice {
	list, _ := n.informer.GetIndexer().ByIndex(byService, service) // fails for an index alone that there is not
	var out []*discoveryv1.EndpointSlice
	for _, o := range list {
		out = append(out, o.(*discoveryv1.EndpointSlice))
	}
	return out
}

// clusterServices are the names of the Services by which the pods of a service are found, or were before a change.
func clusterServices(s *ir.Service) (names []string) {
	versions := []string{""}
	for i := range s.Versions {
		versions = append(versions, s.Versions[i].Name)
	}
	for _, version := range versions {
		for _, name := range []string{s.ClusterService(version), s.FormerClusterService(version)} {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// servicesOf are the services of a namespace by the names of the Services by which their pods are found.
func servicesOf(m *ir.Mesh, namespace string) map[string][]*ir.Service {
	out := map[string][]*ir.Service{}
	for _, s := range m.Services {
		if s.Namespace == namespace && s.Workload.InCluster() {
			for _, name := range clusterServices(s) {
				out[name] = append(out[name], s)
			}
		}
	}
	return out
}
