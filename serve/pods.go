package serve

import "github.com/meshc/meshc/render/live"

// SetPods makes the pods of a Kubernetes namespace known, by the names of their
// services: where they are, and which of them take no requests (Unhealthy). Until it
// is called for a namespace, callers look its services up by DNS. What changed is
// pushed to those whom it concerns.
func (s *Server) SetPods(namespace string, pods map[string][]live.Endpoint) {
	changed, first := s.live.setPods(namespace, pods)
	if first {
		s.refreshConcerned(changed)
	} else {
		s.reassign(changed)
	}
}

// ForgetPods makes the pods of a namespace unknown again.
func (s *Server) ForgetPods(namespace string) { s.refreshConcerned(s.live.forgetPods(namespace)) }

// SetStarting makes known which instances take no requests yet, by the names of their services and endpoints, whatever
// else is known of them: they get none while another instance is there.
func (s *Server) SetStarting(instances map[string][]string) {
	s.reassign(s.live.setStarting(instances))
}
