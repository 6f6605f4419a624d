package ir

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Valid checks what readers of a mesh rely on: order, names and references. The
// linker makes only such meshes; a file can hold anything.
func (m *Mesh) Valid() error {
	switch {
	case m.Name == "" || m.TrustDomain == "":
		return fmt.Errorf("it names no mesh or trust domain")
	case m.Delivery != DeliveryXDS && m.Delivery != DeliveryStatic:
		return fmt.Errorf("delivery %q", m.Delivery)
	case !ordered(m.Services, func(s *Service) string { return s.Name }),
		!ordered(m.Gateways, func(g *Gateway) string { return g.Name }),
		!ordered(m.Externals, func(e *External) string { return e.Name }):
		return fmt.Errorf("members are not sorted by name, or a name stands twice")
	}
	if !slices.Contains(keyKinds, m.Certificates.Key) {
		return fmt.Errorf("keys of the kind %q", m.Certificates.Key)
	}
	for _, s := range m.Services {
		if err := errors.Join(validProxy(ServiceRef(s.Name).String(), s.Proxy), validEndpoints(ServiceRef(s.Name).
			String(), s.Workload.Endpoints)); err != nil {
			return err
		}
		if p := s.Workload.Pods; p != nil && !slices.Contains(PodsKinds(), p.Kind) {
			return fmt.Errorf("service %s: pods of the kind %q", s.Name, p.Kind)
		}
		if err := m.validMember("service", s.Name, s.Namespace, s.Identity.TrustDomain().Name(), s.Uses); err != nil {
			return err
		}
		if err := m.validRoutes(ServiceRef(s.Name).String(), s.Routes); err != nil {
			return err
		}
	}
	for _, g := range m.Gateways {
		if err := validProxy(GatewayRef(g.Name).String(), g.Proxy); err != nil {
			return err
		}
		if err := m.validMember("gateway", g.Name, g.Namespace, g.Identity.TrustDomain().Name(), g.Uses); err != nil {
			return err
		}
		if err := m.validRoutes(GatewayRef(g.Name).String(), g.Routes); err != nil {
			return err
		}
		if err := m.validGateway(g); err != nil {
			return err
		}
	}
	if r := m.RateLimit; r != nil {
		if s := m.Service(r.Service); s == nil || s.Port(r.Port) == nil {
			return fmt.Errorf("the rate limit service %q has no port %q", r.Service, r.Port)
		}
	}
	for _, e := range m.Externals {
		if !validName(e.Name) || len(e.Hosts) == 0 || len(e.Ports)+len(e.UDP) == 0 {
			return fmt.Errorf("external %q is not whole", e.Name)
		}
		if err := validEndpoints(ExternalRef(e.Name).String(), e.Endpoints); err != nil {
			return err
		}
	}
	return nil
}

func (m *Mesh) validMember(kind, name, namespace, trustDomain string, uses []Use) error {
	if !validName(PlainName(name)) || !validName(namespace) ||
		name != PlainName(name) && name != QualifiedName(name, namespace) {
		return fmt.Errorf("%s %q in namespace %q: not a name", kind, name, namespace)
	}
	if trustDomain != m.TrustDomain {
		return fmt.Errorf("%s %s has an identity of another trust domain", kind, name)
	}
	for _, u := range uses {
		var ports, udp []Port
		if u.External {
			if e := m.External(u.To); e != nil {
				ports, udp = e.Ports, e.UDP
			}
		} else if s := m.Service(u.To); s != nil {
			ports, udp = s.Ports, s.UDP
		}
		for i, p := range slices.Concat(u.Reached(), u.UDP) {
			of := ports
			if i >= len(u.Reached()) {
				of = udp
			}
			if portByName(of, p) == nil {
				return fmt.Errorf("%s %s uses port %q of %q, which is not there", kind, name, p, u.To)
			}
		}
	}
	return nil
}

func validProxy(of string, p Proxy) error {
	_, port, err := net.SplitHostPort(p.Server)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("%s: the server %q is not HOST:PORT", of, p.Server)
	}
	return nil
}

func validEndpoints(of string, endpoints []Endpoint) error {
	for i := range endpoints {
		if _, err := netip.ParseAddr(endpoints[i].Address); err != nil {
			return fmt.Errorf("%s: the endpoint %q is at %q, which is not an IP address", of, endpoints[i].Name,
				endpoints[i].Address)
		}
	}
	return nil
}

// validGateway checks that what the gateway's listeners and egress name is there,
// and used by the gateway.
func (m *Mesh) validGateway(g *Gateway) error {
	if len(g.Listeners) == 0 && g.Egress == nil {
		return fmt.Errorf("gateway %s has no listeners", g.Name)
	}
	uses := func(name, port string, external bool) bool {
		return slices.ContainsFunc(g.Uses, func(u Use) bool {
			return u.To == name && u.External == external && (port == "" || slices.Contains(u.Reached(), port))
		})
	}
	for i := range g.Listeners {
		l := &g.Listeners[i]
		if l.RedirectTo != "" && g.Listener(l.RedirectTo) == nil {
			return fmt.Errorf("gateway %s: listener %s redirects to %q, which is not there", g.Name, l.Name,
				l.RedirectTo)
		}
		if (l.To == nil) != (l.Protocol == HTTP) {
			return fmt.Errorf("gateway %s: listener %s speaks %q", g.Name, l.Name, l.Protocol)
		}
		if l.To != nil && !uses(l.To.Service, l.To.Port, false) {
			return fmt.Errorf("gateway %s: listener %s goes to %q, which is not used", g.Name, l.Name, l.To.Service)
		}
	}
	if err := g.validRules(); err != nil {
		return err
	}
	for i := range g.Routes {
		for _, d := range g.Routes[i].Targets() {
			if !uses(d.Service, "", false) || d.Port == "" {
				return fmt.Errorf("gateway %s: route %q goes to %q, which is not used", g.Name, g.Routes[i].Name,
					d.Service)
			}
		}
	}
	if g.Egress != nil {
		for _, e := range g.Egress.Externals {
			if !uses(e.Name, "", true) {
				return fmt.Errorf("gateway %s: calls to %q leave by it, which it does not use", g.Name, e.Name)
			}
		}
	}
	return nil
}

func (m *Mesh) validRoutes(of string, routes []Route) error {
	for _, r := range routes {
		if len(r.To) == 0 && !r.Answers() {
			return fmt.Errorf("%s: route %q goes nowhere", of, r.Name)
		}
		for _, d := range r.Targets() {
			s := m.Service(d.Service)
			if s == nil || d.Version != "" && s.Version(d.Version) == nil || d.Port != "" && s.Port(d.Port) == nil {
				return fmt.Errorf("%s: route %q goes to %q version %q port %q, which is not there", of, r.Name,
					d.Service, d.Version, d.Port)
			}
		}
	}
	return nil
}

// validName reports whether a name is an RFC 1123 label, and so safe in paths.
func validName(name string) bool {
	return name != "" && len(name) <= 63 && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-'
	})
}

func ordered[T any](list []*T, name func(*T) string) bool {
	if slices.Contains(list, nil) {
		return false
	}
	return slices.IsSortedFunc(list, func(a, b *T) int {
		if name(a) == name(b) {
			return -1 // twice is not in order
		}
		return strings.Compare(name(a), name(b))
	})
}
