package ir

// PassesUndeclared reports whether connections of the service's application that its uses do not declare go to the
// address that they were made to, without an identity.
func (s *Scope) PassesUndeclared() bool { return s.Service != nil && s.Service.PassesUndeclared() }

// PassesUndeclared is [Scope.PassesUndeclared] of the service. Without redirection its proxy never gets such
// connections.
func (s *Service) PassesUndeclared() bool {
	return s.Proxy.PassUndeclared && s.Proxy.Interception == InterceptRedirect
}

// TakesOthers reports whether the proxy of a service that passes undeclared connections has to take those on the port
// number of a call for the call's own, whatever their address: it is below HTTP, and neither the spec nor meshc serve
// says the addresses of its callee.
func (s *Scope) TakesOthers(use *Use, name string) bool {
	if !s.PassesUndeclared() || use.Binds[name] != "" || s.port(use, name).Protocol != TCP {
		return false
	}
	_, whole := s.Places(use, name)
	return !whole && !s.Crowded(use, name) && !(s.Told(use) && s.ByService(use) && s.byEndpoints(use))
}

// byEndpoints reports whether the spec has the instances of the callee.
func (s *Scope) byEndpoints(use *Use) bool { return len(s.Upstreams[use.To].Workload.Endpoints) > 0 }
