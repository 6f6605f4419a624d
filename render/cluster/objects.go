package cluster

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// system are the namespaces whose workloads are a cluster's own, or another mesh's.
var system = []string{"kube-system", "kube-public", "kube-node-lease", "istio-system"}

// workloads are the kinds that say what runs.
var workloads = []schema.GroupVersionKind{
	{Version: "v1", Kind: "Namespace"},
	{Version: "v1", Kind: "Service"},
	{Group: "apps", Version: "v1", Kind: "Deployment"},
	{Group: "apps", Version: "v1", Kind: "StatefulSet"},
	{Group: "apps", Version: "v1", Kind: "DaemonSet"},
}

// Objects are the services and workloads of the cluster, and its objects of the API groups, as a
// stream of YAML documents.
func (c *Cluster) Objects(ctx context.Context, groups []string) ([]byte, error) {
	kinds := slices.Clone(workloads)
	available, resources, err := c.discovery.ServerGroupsAndResources()
	if err != nil && resources == nil {
		return nil, err
	}
	for _, group := range available {
		if !slices.Contains(groups, group.Name) {
			continue
		}
		known := map[string]bool{}
		for _, version := range group.Versions { // the preferred one comes first
			for _, list := range resources {
				if list.GroupVersion != version.GroupVersion {
					continue
				}
				for _, r := range list.APIResources {
					if slices.Contains(r.Verbs, "list") && !known[r.Kind] {
						known[r.Kind] = true
						kinds = append(kinds, schema.GroupVersionKind{
							Group: group.Name, Version: version.Version,
							Kind: r.Kind,
						})
					}
				}
			}
		}
	}
	var out []byte
	for _, kind := range kinds {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
		if err := c.client.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			return nil, err
		}
		for _, o := range list.Items {
			if slices.Contains(workloads, kind) && slices.Contains(system, o.GetNamespace()) ||
				kind.Kind == "Service" && o.GetNamespace() == "default" && o.GetName() == "kubernetes" {
				continue
			}
			o.SetManagedFields(nil)
			unstructured.RemoveNestedField(o.Object, "status")
			text, err := yaml.Marshal(o.Object)
			if err != nil {
				return nil, err
			}
			out = append(append(out, "---\n"...), text...)
		}
	}
	return out, nil
}
