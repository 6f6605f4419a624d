// Package kubernetes renders the mesh's members for Kubernetes: what stands
// beside a team's own workload, the sidecar that is patched into it, gateways,
// and the control plane.
//
// Below the output directory:
//
//	kustomization.yaml                       all of it, in the order to apply
//	kubernetes/kustomization.yaml            the Namespaces
//	kubernetes/NAMESPACE/namespace.yaml
//	kubernetes/NAMESPACE/kustomization.yaml  the members of the namespace
//	kubernetes/NAMESPACE/NAME.yaml           a member
//	kubernetes/NAMESPACE/hosts.outside.yaml  names for members outside the cluster
//	kubernetes/NAMESPACE/sidecar/            the component that adds the sidecars
//	kubernetes/MESH-system/                  meshc serve and the compiled mesh
//
// What a team has stays as it is: the Service that applications name is the team's own, unless the spec has meshc make
// it (createService), and what meshc makes beside has names of its own. The pods are found by a headless Service, whose
// EndpointSlices meshc serve reads and whose DNS name callers' proxies look up without it (STRICT_DNS). Connections to
// the Service that applications name are redirected to their own proxy, so no virtual IP is needed. A callee outside
// the cluster has no pods, and the Service that meshc makes for it is a virtual IP without endpoints, which gives the
// application an address to dial and answers nobody who is not redirected.
//
// The proxies do not talk to the API server: they have no token and no Role. meshc
// serve watches what its Roles let it see.
package kubernetes

import (
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/manifest"
)

// Member renders the manifests of a member that runs in the cluster, with the
// bootstrap of its proxies; for a service outside the cluster there are none. It
// depends on nothing but its arguments.
func Member(scope ir.Scope, proxy Proxy) ([]manifest.File, error) {
	if scope.Gateway != nil {
		return gateway(scope, proxy)
	}
	if !scope.Service.Workload.InCluster() {
		return nil, nil
	}
	return service(scope, proxy)
}

// service is what stands beside a team's workload, and the sidecar in it.
func service(scope ir.Scope, proxy Proxy) ([]manifest.File, error) {
	s := scope.Service
	config, err := bootstrapConfig(scope, proxy)
	if err != nil {
		return nil, err
	}
	var objects []any
	if !s.Shared && hasAccount(s) {
		objects = append(objects, manifest.Object(serviceAccount(scope)))
	}
	objects = append(objects, manifest.Object(config))
	if lookedUp(scope) {
		objects = append(objects, manifest.Object(headless(s, nil, scope)))
		for i := range s.Versions {
			objects = append(objects, manifest.Object(headless(s, &s.Versions[i], scope)))
		}
	}
	objects = append(objects, manifest.Object(networkPolicy(scope)))
	beside, err := manifest.YAMLFile(memberFile(s.Namespace, s.Name), objects...)
	if err != nil {
		return nil, err
	}
	inside, err := manifest.YAMLFile(sidecarFile(s.Namespace, s.Name), sidecar(scope, proxy))
	return []manifest.File{beside, inside}, err
}
