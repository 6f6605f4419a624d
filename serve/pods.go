package serve

import "github.com/meshc/meshc/render/live"

// SetPods makes the pods of a Kubernetes namespace known, by the names of their
// services: where they are, and which of them take no requests (Unhealthy). Until it
// is called for a namespace, callers look its services up by DNS. What changed is
// pushed to those whom it concerns.
func (s *Server) SetPods(namespace string, pods map[string][]live.Endpoint) {
	changed, first := s.live.setPods(namespace, pods)
	if first {
		s.proxies.refreshConcerned(changed)
	} else {
		s.proxies.reassign(changed)
	}
}

// ForgetPods makes the pods of a namespace unknown again.
func (s *Server) ForgetPods(namespace string) {
	s.proxies.refreshConcerned(s.live.forgetPods(namespace))
}

// SetStarting makes known which instances take no requests yet, by the names of their services and endpoints, whatever
// else is known of them: they get none while another instance is there.
func (s *Server) SetStarting(instances map[string][]string) {
	s.proxies.reassign(s.live.setStarting(instances))
}
