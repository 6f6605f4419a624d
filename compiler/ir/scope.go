package ir

import (
	"net/netip"
	"slices"

	"github.com/meshc/meshc/compiler/source"
)

// Scope is all that a member's proxy may know of the mesh: exactly one of
// Service and Gateway is set.
type Scope struct {
	Settings *Settings `json:"settings"`
	Service  *Service  `json:"service,omitempty"`
	Gateway  *Gateway  `json:"gateway,omitempty"`
	// Upstreams and Externals are those that the member uses, by name.
	Upstreams map[string]*Upstream `json:"upstreams,omitempty"`
	Externals map[string]*External `json:"externals,omitempty"`
}

// ServiceScope is the scope of that service's proxies.
func (m *Mesh) ServiceScope(s *Service) Scope {
	scope := Scope{Settings: &m.Settings, Service: s}
	scope.add(m, s.Uses)
	return scope
}

// GatewayScope is the scope of that gateway's proxies.
func (m *Mesh) GatewayScope(g *Gateway) Scope {
	scope := Scope{Settings: &m.Settings, Gateway: g}
	scope.add(m, g.Uses)
	return scope
}

func (s *Scope) add(m *Mesh, uses []Use) {
	s.Upstreams = make(map[string]*Upstream, len(uses))
	s.Externals = make(map[string]*External)
	for _, use := range uses {
		if use.External {
			s.Externals[use.To] = m.External(use.To)
		} else {
			s.Upstreams[use.To] = &m.Service(use.To).Upstream
		}
	}
}

// Kind is what the member is.
func (s *Scope) Kind() MemberKind {
	if s.Gateway != nil {
		return KindGateway
	}
	return KindService
}

// Pos is where the member was written.
func (s *Scope) Pos() source.Position {
	if g := s.Gateway; g != nil {
		return g.Pos
	}
	return s.Service.Pos
}

// Member is the member's name, namespace, account, uses and proxy, whichever
// kind it is.
func (s *Scope) Member() Member {
	if g := s.Gateway; g != nil {
		return Member{g.Peer(), g.Account, g.Uses, g.Proxy}
	}
	v := s.Service
	return Member{v.Peer(), v.Account, v.Uses, v.Proxy}
}

// Member is what services and gateways have in common.
type Member struct {
	Peer
	Account string
	Uses    []Use
	Proxy   Proxy
}

// Loopback is the address that the host of that instance keeps to itself:
// 127.0.0.1, or the instance's own address when that is a loopback address. So
// one machine can play many hosts, each by an address of 127.0.0.0/8.
func (s *Scope) Loopback(instance string) string {
	if s.Gateway != nil {
		return loopback(s.Gateway.Address)
	}
	if e := s.Endpoint(instance); e != nil {
		return e.Loopback()
	}
	return localhost
}

// Endpoint is where the spec says that instance of the member to be; nil where it says nothing of it.
func (s *Scope) Endpoint(instance string) *Endpoint {
	if s.Service == nil {
		return nil
	}
	return s.Service.Endpoint(instance)
}

// Loopback is the address that the endpoint's host keeps to itself; see [Scope.Loopback].
func (e *Endpoint) Loopback() string { return loopback(e.Address) }

const localhost = "127.0.0.1"

func loopback(address string) string {
	if ip, err := netip.ParseAddr(address); err == nil && ip.IsLoopback() {
		return address
	}
	return localhost
}

// Scopes are those of all members: services, then gateways, each by name.
func (m *Mesh) Scopes() []Scope {
	scopes := make([]Scope, 0, len(m.Services)+len(m.Gateways))
	for _, s := range m.Services {
		scopes = append(scopes, m.ServiceScope(s))
	}
	for _, g := range m.Gateways {
		scopes = append(scopes, m.GatewayScope(g))
	}
	return scopes
}

// Namespaces are those of all members, sorted, each once.
func (m *Mesh) Namespaces() []string {
	var names []string
	for _, s := range m.Services {
		names = append(names, s.Namespace)
	}
	for _, g := range m.Gateways {
		names = append(names, g.Namespace)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
