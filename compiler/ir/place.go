package ir

import (
	"net/netip"
	"slices"
)

// Place is where connections of a member lead that its proxy is handed with their addresses, below HTTP: addresses, by
// which a callee is told from others on the same port.
type Place struct {
	netip.Prefix
	// Port is where the proxy connects to at the address. It is the port that was asked for, but for an instance that
	// the spec places at another.
	Port uint16
}

// Places are those of a call on a port with the protocol tcp. Whole is false where they are not all that the callee may
// have: the addresses of pods, names and instances in a file are not in the spec, nor is that of a Service of
// Kubernetes by which a caller in the cluster may address the callee. A connection to an address that is not a callee's
// place may be for such a callee, of which a number can have only one.
func (s *Scope) Places(use *Use, name string) (places []Place, whole bool) {
	if use.External {
		e := s.Externals[use.To]
		return e.Places(e.Port(name))
	}
	u := s.Upstreams[use.To]
	return u.Places(u.Port(name), s.Service != nil && s.Service.Workload.InCluster())
}

// Places are those of the instances on a port, for a caller in the cluster or outside; see [Scope.Places].
func (u *Upstream) Places(port *Port, inCluster bool) (places []Place, whole bool) {
	w := &u.Workload
	if port.Protocol != TCP || w.InCluster() || w.DNS != "" || w.File != "" {
		return nil, false
	}
	return u.known(port), !inCluster
}

// known are the places of the instances that the spec says, whatever is spoken on the port.
func (u *Upstream) known(port *Port) (places []Place) {
	for i := range u.Workload.Endpoints {
		e := &u.Workload.Endpoints[i]
		if ip, err := netip.ParseAddr(e.Address); err == nil {
			places = addPlace(places, Place{single(ip), e.Ports[port.Name]}, port.Number)
		}
	}
	return places
}

// Places are the addresses of an external on a port; see [Scope.Places]. Through an egress gateway connections lead to
// the first host alone.
func (e *External) Places(port *Port) (places []Place, whole bool) {
	if port.Protocol != TCP || len(e.Endpoints) > 0 {
		return nil, false
	}
	hosts := e.Hosts
	if e.Via != nil && len(hosts) > 1 {
		hosts = hosts[:1]
	}
	for _, host := range hosts {
		network, known := ParseHost(host)
		if !known {
			return nil, false
		}
		places = append(places, Place{network, port.Number})
	}
	return places, true
}

// addPlace adds one of an instance. Of two at one address it is that at the number itself which is meant, if there is
// one.
func addPlace(places []Place, p Place, number uint16) []Place {
	for i := range places {
		if places[i].Prefix == p.Prefix {
			if p.Port == number {
				places[i] = p
			}
			return places
		}
	}
	return append(places, p)
}

// ByIdentity reports whether connections of the call to an address that is not a callee's place go to that address all
// the same, where only who has the identity of the callee can take them. It is so for callees of the mesh whose
// instances the spec does not say: of a caller in the cluster the pods, of another one all.
func (s *Scope) ByIdentity(use *Use, name string) bool {
	if use.External || s.Service == nil || s.Crowded(use, name) {
		return false
	}
	u := s.Upstreams[use.To]
	if s.ByService(use) && s.Settings.Delivery != DeliveryXDS {
		return false // nobody tells the address of the Service
	}
	_, whole := u.Places(u.Port(name), false)
	return !whole && u.Port(name).Protocol == TCP
}

// ByService reports whether the member asks for the callee by a Service in the cluster that leads to no pods, so that
// only the proxy can choose an instance.
func (s *Scope) ByService(use *Use) bool {
	return !use.External && s.Service != nil && s.Service.Workload.InCluster() &&
		!s.Upstreams[use.To].Workload.InCluster()
}

// Told reports whether meshc serve tells the member's proxy the address of the callee's Service, once it knows it.
func (s *Scope) Told(use *Use) bool {
	return !use.External && s.Service != nil && s.Service.Workload.InCluster() && s.Settings.Delivery == DeliveryXDS
}

// Addressed are the namespaces of services that pods call below HTTP by the addresses of their Services. Who passes
// undeclared connections may call any.
func (m *Mesh) Addressed() map[string]bool {
	out := map[string]bool{}
	for _, s := range m.Services {
		if !s.Workload.InCluster() {
			continue
		}
		if s.PassesUndeclared() {
			for _, callee := range m.Services {
				out[callee.Namespace] = true
			}
		}
		for i := range s.Uses {
			use := &s.Uses[i]
			for _, name := range use.Ports {
				if use.External || use.Binds[name] != "" {
					continue
				}
				if callee := m.Service(use.To); callee.Port(name).Protocol == TCP {
					out[callee.Namespace] = true
				}
			}
		}
	}
	return out
}

// Crowded reports whether another call of a member in the cluster, on the same number, or a connection that passes
// undeclared, may be meant too where nobody knows an address. Then the addresses of the callee lead to it once they are
// known, while the mesh runs, and no others.
func (s *Scope) Crowded(use *Use, name string) bool {
	if s.Service == nil || !s.Service.Workload.InCluster() || use.External || use.Binds[name] != "" {
		return false
	}
	port := s.port(use, name)
	if port.Protocol != TCP {
		return false
	}
	if s.PassesUndeclared() && s.Told(use) && s.Upstreams[use.To].Workload.InCluster() {
		return true
	}
	for i := range s.Service.Uses {
		other := &s.Service.Uses[i]
		for _, n := range other.Ports {
			p := s.port(other, n)
			if other.To == use.To && n == name || p.Number != port.Number || other.Binds[n] != "" {
				continue
			}
			if places, whole := s.Places(other, n); !whole || HasRange(places) {
				return true
			}
		}
	}
	return false
}

// port is that of a callee.
func (s *Scope) port(use *Use, name string) *Port {
	if use.External {
		return s.Externals[use.To].Port(name)
	}
	return s.Upstreams[use.To].Port(name)
}

// HasRange reports whether some of the places are ranges of addresses, in which addresses may be other callees'.
func HasRange(places []Place) bool {
	return slices.ContainsFunc(places, func(p Place) bool { return !p.IsSingleIP() })
}

func single(ip netip.Addr) netip.Prefix { return netip.PrefixFrom(ip, ip.BitLen()) }
