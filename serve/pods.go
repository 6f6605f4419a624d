package serve

import "github.com/meshc/meshc/render/live"

// SetPods sets the pods of a Kubernetes namespace, by the names of their services: their addresses, and which of them
// accept no requests (Unhealthy). Until it is called for a namespace, callers look up its services by DNS. Changes
// are pushed to the callers that they affect.
func (s *Server) SetPods(namespace string, pods map[string][]live.Endpoint) {
	changed, first := s.live.setPods(namespace, pods)
	if first {
		s.proxies.refreshConcerned(changed)
	} else {
		s.proxies.reassign(changed)
	}
}

// ChangePods sets the pods of some services of a namespace that [Server.SetPods] was called for; those of the other
// services stay.
func (s *Server) ChangePods(namespace string, pods map[string][]live.Endpoint) {
	s.proxies.reassign(s.live.changePods(namespace, pods))
}

// ForgetPods removes what [Server.SetPods] set for the namespace: callers look up its services by DNS again.
func (s *Server) ForgetPods(namespace string) {
	s.proxies.refreshConcerned(s.live.forgetPods(namespace))
}

// SetStarting sets the instances that are not ready for requests yet, by the names of their services and endpoints.
// They get no requests while another instance of the service is available.
func (s *Server) SetStarting(instances map[string][]string) {
	s.proxies.reassign(s.live.setStarting(instances))
}
