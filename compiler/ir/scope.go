package ir

import (
	"net/netip"
	"slices"

	"github.com/meshc/meshc/compiler/source"
)

// Scope is all that a member's proxy may know of the mesh, and all that its configuration and its manifests are made
// of: exactly one of Service and Gateway is set. Which field is read by the proxy and which only by the deployment
// says the tag "scope" of the field; see [Part].
type Scope struct {
	// Settings are those of the mesh, with the token issuers, the authorization service, the rate limit service and
	// the trust domains that the member itself asks or believes, and no others.
	Settings *Settings `json:"settings"`
	Service  *Service  `json:"service,omitempty"`
	Gateway  *Gateway  `json:"gateway,omitempty"`
	// Upstreams and Externals are those that the member uses, by name.
	Upstreams map[string]*Upstream `json:"upstreams,omitempty"`
	Externals map[string]*External `json:"externals,omitempty"`
	// ForeignHeaders are [Settings.ForeignHeaders] where the proxy takes requests from outside the mesh: at a gateway
	// with listeners, and at a service that lets plaintext, probes or the scraper in. Empty elsewhere.
	ForeignHeaders []string `json:"foreignHeaders,omitempty"`
	// ClientGateways are [Mesh.ClientGateways] of the service; empty for a gateway.
	ClientGateways []Peer `json:"clientGateways,omitempty"`
	// UDPTaken and UDPSent are [Mesh.UDPTaken] and [Mesh.UDPSent] of the service; empty for a gateway.
	UDPTaken []UDPPath `json:"udpTaken,omitempty" scope:"deployment"`
	UDPSent  []UDPPath `json:"udpSent,omitempty" scope:"deployment"`
	// Life is how old connections between the member's proxy and those of others get.
	Life Life `json:"life,omitzero"`
}

// ServiceScope is the scope of that service's proxies.
func (m *Mesh) ServiceScope(s *Service) Scope {
	scope := Scope{
		Service: s, Settings: m.settingsFor(s.Uses, s.AllTokenIssuers(), s.Authorizer, &s.Telemetry),
		ClientGateways: m.ClientGateways(s), UDPTaken: m.UDPTaken(s), UDPSent: m.UDPSent(s),
	}
	if s.Plaintext || len(s.Probes) > 0 || len(s.Scrape) > 0 {
		scope.ForeignHeaders = m.ForeignHeaders(s.Authorizer)
	}
	scope.add(m, s.Uses)
	return scope
}

// GatewayScope is the scope of that gateway's proxies.
func (m *Mesh) GatewayScope(g *Gateway) Scope {
	scope := Scope{Gateway: g, Settings: m.settingsFor(g.Uses, g.AllTokenIssuers(), g.Authorizer,
		&g.Telemetry)}
	if len(g.Listeners) > 0 {
		scope.ForeignHeaders = m.ForeignHeaders(g.Authorizer)
	}
	if g.Egress == nil { // members of the mesh do not call it
		scope.Settings.TrustDomains = nil
	}
	scope.add(m, g.Uses)
	return scope
}

// settingsFor are the settings of [Scope.Settings] of a member with these uses, that verifies tokens of these issuers,
// asks that authorization service and reports this.
func (m *Mesh) settingsFor(uses []Use, issuers []string, authorizer string, reports *Telemetry) *Settings {
	out := m.Settings
	if !reports.ByOTLP() {
		out.Collector = nil
	}
	if out.Operators != nil { // a proxy depends on whether there are any
		out.Operators = &Operators{}
	}
	out.JWTIssuers, out.Authorizers = nil, nil
	if len(uses) == 0 { // they are of calls
		out.Defaults = Traffic{}
	}
	for _, name := range issuers {
		if i := m.JWTIssuer(name); i != nil {
			out.JWTIssuers = append(out.JWTIssuers, i)
		}
	}
	if a := m.ExternalAuthorization(authorizer); a != nil {
		out.Authorizers = []*ExternalAuthorization{a}
	}
	if r := m.RateLimit; r != nil &&
		!slices.ContainsFunc(uses, func(u Use) bool { return !u.External && u.To == r.Service }) {
		out.RateLimit = nil
	}
	return &out
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
	s.Life = s.lifeOf(m.Certificates.life())
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

// Member is the member's name, namespace, account, uses, proxy and telemetry, whichever
// kind it is.
func (s *Scope) Member() Member {
	if g := s.Gateway; g != nil {
		return Member{g.Peer(), g.Account, g.Uses, g.Proxy, g.Telemetry}
	}
	v := s.Service
	return Member{v.Peer(), v.Account, v.Uses, v.Proxy, v.Telemetry}
}

// Member is what services and gateways have in common.
type Member struct {
	Peer
	Account string
	Uses    []Use
	Proxy   Proxy
	Telemetry
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

// ExternalsAlone reports whether all requests of the service on a port number that are redirected to its proxy go to
// externals, so that nothing in the mesh reads their paths.
func (s *Scope) ExternalsAlone(number uint16) bool {
	for _, use := range s.Member().Uses {
		for _, name := range use.Ports {
			if use.External || use.Binds[name] != "" {
				continue
			}
			if callee := s.Upstreams[use.To]; callee != nil {
				if port := callee.Port(name); port != nil && port.Number == number && port.Protocol.IsHTTP() {
					return false
				}
			}
		}
	}
	return true
}
