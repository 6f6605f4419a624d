package local

import (
	"fmt"
	"path/filepath"

	"github.com/meshc/meshc/compiler/ir"
)

// Placement puts meshes on loopback: every instance gets an address of its own
// there, and plays a host. What it placed once keeps its place when the mesh is
// placed again after a change.
type Placement struct {
	loopback *Loopback
	// directory holds a directory for each member, and stubRoots is the file of
	// the authority that signs for externals.
	directory, stubRoots string

	addresses map[string]string
	ports     map[string]uint16
	taken     map[string]map[uint16]bool // by member
}

// NewPlacement places on those addresses. Below directory each member's
// certificates will be looked for; stubRoots is a file of PEM certificates that
// sign for the externals.
func NewPlacement(l *Loopback, directory, stubRoots string) *Placement {
	return &Placement{
		loopback: l, directory: directory, stubRoots: stubRoots,
		addresses: map[string]string{}, ports: map[string]uint16{}, taken: map[string]map[uint16]bool{},
	}
}

// Place is a copy of the mesh that can run on this machine. Every service has
// one instance for each version, or one named "a"; its proxy listens where
// callers find it, on the binds of its uses and for its administrator, and its
// application listens at the same address behind it. Externals are stood in for.
func (p *Placement) Place(m *ir.Mesh) (*ir.Mesh, error) {
	m = m.Clone()
	m.Certificates.Issuer = ir.Issuer{Kind: ir.IssuerEmbedded}
	if m.Delivery == ir.DeliveryStatic {
		m.Certificates.Issuer.Kind = ir.IssuerFile
	}
	for _, s := range m.Services {
		if err := p.service(m, s); err != nil {
			return nil, err
		}
	}
	for _, g := range m.Gateways {
		if err := p.gateway(g); err != nil {
			return nil, err
		}
	}
	for _, e := range m.Externals {
		if err := p.external(e); err != nil {
			return nil, err
		}
		if e.Via != nil {
			egress := m.Gateway(e.Via.Gateway).Egress
			e.Via.Host, e.Via.Port = egress.Host, egress.Port
		}
	}
	return m, nil
}

func (p *Placement) service(m *ir.Mesh, s *ir.Service) error {
	member := ir.ServiceRef(s.Name).ID()
	s.Workload = ir.Workload{Endpoints: p.instances(s), File: s.Workload.File, Pos: s.Workload.Pos}
	for i := range s.Probes {
		if port := s.PortAt(s.Probes[i].Port); port != nil {
			s.Probes[i].Port = port.Number
		}
	}
	s.Explicit = true
	// The ports are the same at every instance, as they would be on hosts.
	first := s.Workload.Endpoints[0].Address
	inbound, targets := map[string]uint16{}, map[string]uint16{}
	for _, port := range s.Ports {
		var err error
		if inbound[port.Name], err = p.port(member, first, "inbound "+port.Name, port.Number); err != nil {
			return err
		}
		if targets[port.Name], err = p.port(member, first, "target "+port.Name, port.Target); err != nil {
			return err
		}
	}
	for i := range s.Workload.Endpoints {
		s.Workload.Endpoints[i].Ports, s.Workload.Endpoints[i].Targets = inbound, targets
	}
	for i := range s.Uses {
		use := &s.Uses[i]
		use.Binds = map[string]string{}
		for _, name := range use.Ports {
			called, _ := callee(m, use, name)
			port, err := p.port(member, first, "bind "+use.To+" "+name, called.Number)
			if err != nil {
				return err
			}
			use.Binds[name] = join("127.0.0.1", port)
		}
	}
	if s.Proxy.SecretDirectory != "" {
		s.Proxy.SecretDirectory = filepath.Join(p.directory, member, "secrets")
	}
	return p.proxy(member, first, &s.Proxy)
}

// instances are one for each version, with its labels, or one alone.
func (p *Placement) instances(s *ir.Service) []ir.Endpoint {
	if len(s.Versions) == 0 {
		return []ir.Endpoint{p.instance(s, ir.Version{Name: onlyInstance})}
	}
	var out []ir.Endpoint
	for _, v := range s.Versions {
		out = append(out, p.instance(s, v))
	}
	return out
}

func (p *Placement) instance(s *ir.Service, v ir.Version) ir.Endpoint {
	e := ir.Endpoint{
		Name: v.Name, Address: p.address(ir.ServiceRef(s.Name).ID() + "/" + v.Name),
		Weight: 1, Labels: v.Labels, Pos: v.Pos,
	}
	for i := range s.Workload.Endpoints {
		if written := &s.Workload.Endpoints[i]; written.Carries(&v) {
			e.Zone, e.Region, e.Weight = written.Zone, written.Region, written.Weight
			break
		}
	}
	return e
}

// onlyInstance is the name of the instance of what has but one.
const onlyInstance = "a"

func (p *Placement) gateway(g *ir.Gateway) error {
	member := ir.GatewayRef(g.Name).ID()
	g.Address = p.address(member + "/" + onlyInstance)
	for i := range g.Listeners {
		l := &g.Listeners[i]
		port, err := p.port(member, g.Address, fmt.Sprint("listener ", l.Port), l.Port)
		if err != nil {
			return err
		}
		l.Port = port
	}
	if g.Egress != nil {
		port, err := p.port(member, g.Address, "egress", g.Egress.Port)
		if err != nil {
			return err
		}
		g.Egress.Host, g.Egress.Port = g.Address, port
	}
	g.Proxy.SecretDirectory = filepath.Join(p.directory, member, "secrets")
	return p.proxy(member, g.Address, &g.Proxy)
}

func (p *Placement) external(e *ir.External) error {
	member := ir.ExternalRef(e.Name).ID()
	stub := ir.Endpoint{
		Name: onlyInstance, Address: p.address(member), Ports: map[string]uint16{}, Weight: 1,
		Pos: e.Pos,
	}
	for _, port := range e.Ports {
		number, err := p.port(member, stub.Address, port.Name, port.Number)
		if err != nil {
			return err
		}
		stub.Ports[port.Name] = number
		if port.Protocol == ir.HTTPS {
			e.Roots = p.stubRoots
		}
	}
	e.Endpoints = []ir.Endpoint{stub}
	return nil
}

// What Envoys and meshc serve listen on where they can.
const (
	adminPort       = 15000
	healthPort      = 15021
	serverPort      = 15010
	serverAdminPort = 15011
)

func (p *Placement) proxy(member, address string, proxy *ir.Proxy) error {
	admin, err := p.port(member, address, "admin", adminPort)
	if err != nil {
		return err
	}
	health, err := p.port(member, address, "health", healthPort)
	if err != nil {
		return err
	}
	server, err := p.Server()
	if err != nil {
		return err
	}
	proxy.Interception = ir.InterceptExplicit
	proxy.AdminPort, proxy.HealthPort = admin, health
	if proxy.MetricsPort != 0 {
		if proxy.MetricsPort, err = p.port(member, address, "metrics", ir.DefaultMetricsPort); err != nil {
			return err
		}
	}
	proxy.Server = server
	proxy.CertificateDirectory = filepath.Join(p.directory, member, "certificates")
	return nil
}

// Server is where meshc serve is placed, IP:PORT.
func (p *Placement) Server() (string, error) {
	address := p.loopback.Server()
	port, err := p.port("serve", address, "xds", serverPort)
	return join(address, port), err
}

// ServerAdmin is where meshc serve tells its status, IP:PORT.
func (p *Placement) ServerAdmin() (string, error) {
	address := p.loopback.Server()
	port, err := p.port("serve", address, "admin", serverAdminPort)
	return join(address, port), err
}

// ServerMetrics is where the scraper reads the metrics of meshc serve, IP:PORT.
func (p *Placement) ServerMetrics() (string, error) {
	address := p.loopback.Server()
	port, err := p.port("serve", address, "metrics", ir.ServerMetricsPort)
	return join(address, port), err
}

// address is that of an instance.
func (p *Placement) address(instance string) string {
	a, ok := p.addresses[instance]
	if !ok {
		a = p.loopback.Next()
		p.addresses[instance] = a
	}
	return a
}

// port is what a member uses for the purpose; no other purpose of the member
// has it.
func (p *Placement) port(member, address, purpose string, wanted uint16) (uint16, error) {
	key := member + " " + purpose
	if port, ok := p.ports[key]; ok {
		return port, nil
	}
	if p.taken[member] == nil {
		p.taken[member] = map[uint16]bool{}
	}
	port, err := p.loopback.Port(address, wanted, p.taken[member])
	if err == nil {
		p.ports[key] = port
	}
	return port, err
}
