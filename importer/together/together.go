// Package together reads the objects of all projects into one mesh, as clusters have them beside each other: routes of
// the Gateway API with policies of Istio, say.
package together

import (
	"maps"
	"slices"
	"strings"

	"github.com/meshc/meshc/importer"
	"github.com/meshc/meshc/importer/gatewayapi"
	"github.com/meshc/meshc/importer/ingress"
	"github.com/meshc/meshc/importer/istio"
	"github.com/meshc/meshc/importer/kubernetes"
)

// Import returns the mesh that the objects describe. Parts that are not carried over are findings in the mesh. With
// objects of Istio its defaults and policies hold, for gateways and routes of the Gateway API too. Workloads without
// either have no mesh, and get a first one.
func Import(objects []*importer.Object, o importer.Options) *importer.Mesh {
	switch ofIstio, ofGatewayAPI := has(objects, ".istio.io"), has(objects, "gateway.networking.k8s.io"); {
	case !ofIstio && ofGatewayAPI:
		return gatewayapi.Import(objects, o)
	case !ofIstio:
		return kubernetes.Import(objects, o)
	}
	m := importer.New(objects, o)
	istio.Read(m, objects, func() {
		gatewayapi.Read(m, objects)
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
	m.Others(objects, kinds, nil)
	m.Finish()
	return m
}

// has reports whether some object is of a group that ends like this.
func has(objects []*importer.Object, group string) bool {
	return slices.ContainsFunc(objects, func(o *importer.Object) bool { return strings.HasSuffix(o.Group(), group) })
}
