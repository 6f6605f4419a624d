// Package together reads the objects of all projects into one mesh, as clusters have them beside each other: routes of
// the Gateway API with policies of Istio, say.
package together

import (
	"maps"
	"slices"
	"strings"

	"github.com/meshc/meshc/importer"
	"github.com/meshc/meshc/importer/consul"
	"github.com/meshc/meshc/importer/gatewayapi"
	"github.com/meshc/meshc/importer/ingress"
	"github.com/meshc/meshc/importer/istio"
	"github.com/meshc/meshc/importer/kubernetes"
	"github.com/meshc/meshc/importer/linkerd"
)

// Import returns the mesh that the objects describe. Parts that are not carried over are findings in the mesh. With
// objects of Istio, Linkerd or Consul, its defaults and policies hold, for gateways and routes of the Gateway API too;
// of several meshes one is read. Workloads without any have no mesh, and get a first one.
func Import(objects []*importer.Object, o importer.Options) *importer.Mesh {
	switch {
	case has(objects, ".istio.io"):
		return withIstio(objects, o)
	case has(objects, "linkerd.io") || slices.ContainsFunc(objects, linkerd.Marks):
		return linkerd.Import(objects, o)
	case slices.ContainsFunc(objects, consul.Marks):
		return consul.Import(objects, o)
	case has(objects, "gateway.networking.k8s.io"):
		return gatewayapi.Import(objects, o)
	}
	return kubernetes.Import(objects, o)
}

// withIstio reads Istio's objects, and beside them those that hold below its policies.
func withIstio(objects []*importer.Object, o importer.Options) *importer.Mesh {
	m := importer.New(objects, o)
	istio.Read(m, objects, func() {
		gatewayapi.Read(m, objects, gatewayapi.Habits{})
		ingress.Read(m, objects)
	})
	kinds := maps.Clone(istio.Kinds)
	maps.Copy(kinds, ingress.Kinds)
	for kind, group := range gatewayapi.Kinds {
		if known := kinds[kind]; known != "" {
			group = known + "," + group
		}
		kinds[kind] = group
	}
	m.Others(objects, kinds, map[string]string{
		"policy.linkerd.io": "meshc import linkerd", "linkerd.io": "meshc import linkerd",
		"consul.hashicorp.com": "meshc import consul",
	})
	m.Finish()
	return m
}

// has reports whether some object is of a group that ends like this.
func has(objects []*importer.Object, group string) bool {
	return slices.ContainsFunc(objects, func(o *importer.Object) bool { return strings.HasSuffix(o.Group(), group) })
}
