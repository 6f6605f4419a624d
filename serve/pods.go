package serve

import (
	"reflect"
	"slices"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/envoy"
)

// SetPods makes the pods of a Kubernetes namespace known, by the names of their
// services: where they are, and which of them take no requests (Unhealthy). Until it
// is called for a namespace, callers look its services up by DNS. What changed is
// pushed to those whom it concerns.
func (s *Server) SetPods(namespace string, pods map[string][]ir.Endpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, known := s.pods[namespace]
	s.pods[namespace] = pods
	if s.mesh == nil {
		return
	}
	// Who looks at the cluster may be a mesh ahead: what is still served keeps its pods.
	for name, list := range before {
		if _, told := pods[name]; !told && s.mesh.Service(name) != nil {
			pods[name] = list
		}
	}
	changed := map[string]bool{}
	for _, service := range s.mesh.Services {
		if service.Namespace == namespace && (!known || !reflect.DeepEqual(before[service.Name], pods[service.Name])) {
			changed[service.Name] = true
		}
	}
	if len(changed) == 0 {
		return
	}
	s.overlay()
	for _, n := range s.sortedNodes() {
		if s.concerns(n, changed) {
			s.refresh(n)
		}
	}
}

// concerns reports whether what a node is served depends on the instances of one of
// those services.
func (s *Server) concerns(n *node, services map[string]bool) bool {
	kind, name, _, err := envoy.ParseNodeID(n.id)
	if err != nil {
		return false
	}
	var uses []ir.Use
	if kind == ir.KindGateway {
		if g := s.mesh.Gateway(name); g != nil {
			uses = g.Uses
		}
	} else if v := s.mesh.Service(name); v != nil {
		if services[name] {
			return true // its own place may have changed
		}
		uses = v.Uses
	}
	return slices.ContainsFunc(uses, func(u ir.Use) bool { return services[u.To] })
}

// withPods is the service with the pods that take requests, or the service itself
// where they are not known.
func (s *Server) withPods(service *ir.Service) *ir.Service {
	pods, known := s.pods[service.Namespace]
	if !service.Workload.InCluster() || !known {
		return service
	}
	copied := *service
	copied.Workload.Watched = true
	copied.Workload.Endpoints = slices.DeleteFunc(slices.Clone(pods[service.Name]), func(e ir.Endpoint) bool { return e.Unhealthy })
	return &copied
}

// ownPod is the service with that pod of it alone.
func (s *Server) ownPod(service *ir.Service, name string) *ir.Service {
	copied := *service
	copied.Workload.Endpoints = nil
	for _, pod := range s.pods[service.Namespace][service.Name] {
		if pod.Name == name {
			copied.Workload.Endpoints = []ir.Endpoint{pod}
		}
	}
	return &copied
}

// ForgetPods makes the pods of a namespace unknown again.
func (s *Server) ForgetPods(namespace string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.pods, namespace)
}
