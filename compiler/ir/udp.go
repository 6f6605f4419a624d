package ir

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// UDPPath is a way of datagrams that the mesh declares, between a member and others. No proxy is on it: NetworkPolicies
// and the rules of meshc redirect hold it open, and every other one closed.
type UDPPath struct {
	// Port is that of who takes the datagrams; 0 for every port.
	Port uint16 `json:"port,omitempty"`
	// Addresses are those of the other end; the zero value for all, where nothing more is known of them before the mesh
	// runs.
	Addresses netip.Prefix `json:"addresses,omitzero"`
	// Other is the other end, "service statsd"; empty where a rule lets anyone in.
	Other string `json:"other,omitempty"`
	// Pods is set where the other end are pods, which NetworkPolicies know by their labels.
	Pods bool `json:"pods,omitempty"`
}

// allPorts stands for every port in the text of a [UDPPath].
const allPorts = "all"

// String is how meshc redirect is told the path: PORT, or PORT@ADDRESSES, with "all" for every port.
func (p UDPPath) String() string {
	text := allPorts
	if p.Port != 0 {
		text = strconv.Itoa(int(p.Port))
	}
	switch {
	case !p.Addresses.IsValid():
		return text
	case p.Addresses.IsSingleIP():
		return fmt.Sprint(text, "@", p.Addresses.Addr())
	}
	return fmt.Sprint(text, "@", p.Addresses)
}

// ParseUDPPath reads what [UDPPath.String] says.
func ParseUDPPath(text string) (UDPPath, error) {
	var out UDPPath
	port, addresses, limited := strings.Cut(text, "@")
	if port != allPorts {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return out, fmt.Errorf("%q is not a valid port: 1 to 65535, or %s", port, allPorts)
		}
		out.Port = uint16(n)
	}
	if limited {
		network, known := ParseHost(addresses)
		if !known {
			return out, fmt.Errorf("%q is not a valid IP address or CIDR range", addresses)
		}
		out.Addresses = network.Masked()
	}
	return out, nil
}

// UDPPort returns the port of UDP of that name, or nil.
func (u *Upstream) UDPPort(name string) *Port { return portByName(u.UDP, name) }

// UDPPort returns the port of UDP of that name, or nil.
func (e *External) UDPPort(name string) *Port { return portByName(e.UDP, name) }

// OpensUDP reports whether the rule, in allow, lets datagrams in. Nobody reads those, and nothing but an address says
// who sends them; so such a rule is about a caller's address alone, and holds until another mesh is deployed.
func (r *Rule) OpensUDP() bool {
	return !r.Audit && !r.AboutRequests() && r.Until.IsZero() && slices.ContainsFunc(r.From, Peer.SendsUDP)
}

// SendsUDP reports whether a caller of that kind has addresses by which its datagrams are let in. The proxies of a
// gateway send none.
func (p Peer) SendsUDP() bool {
	return p.Kind == KindService || p.Kind == KindNamespace || p.Kind == KindAnyone
}

// takesUDP reports whether a rule lets the datagrams of a service in on a port of UDP.
func (s *Service) takesUDP(caller *Peer, port string) bool {
	return caller.Kind == KindService && slices.ContainsFunc(s.Allow, func(r Rule) bool {
		return r.OpensUDP() && r.Covers(port) && r.saysUDP(caller)
	})
}

// saysUDP is [Rule.Says] of the peers that send datagrams.
func (r *Rule) saysUDP(caller *Peer) bool {
	only := Rule{From: slices.DeleteFunc(slices.Clone(r.From), func(p Peer) bool { return !p.SendsUDP() })}
	return only.Says(caller)
}

// UDPTaken are the ways on which a service takes datagrams, sorted.
func (m *Mesh) UDPTaken(s *Service) []UDPPath {
	var out []UDPPath
	for i := range s.UDP {
		for k := range s.Allow {
			if r := &s.Allow[k]; r.OpensUDP() && r.Covers(s.UDP[i].Name) {
				out = append(out, m.udpCallers(&s.UDP[i], r)...)
			}
		}
	}
	return sortedPaths(out)
}

// udpCallers are the ways on which a rule lets datagrams in on a port.
func (m *Mesh) udpCallers(port *Port, r *Rule) []UDPPath {
	var out []UDPPath
	add := func(other string, pods bool, addresses []netip.Prefix) {
		for _, a := range within(addresses, r.IPRanges) {
			out = append(out, UDPPath{port.Target, a, other, pods})
		}
	}
	if slices.ContainsFunc(r.From, func(p Peer) bool { return p.Kind == KindAnyone }) {
		add("", false, []netip.Prefix{{}})
		return out
	}
	for _, caller := range m.Services {
		if peer := caller.Peer(); r.saysUDP(&peer) {
			w := &caller.Workload
			add(ServiceRef(caller.Name).String(), w.InCluster(), w.addresses())
		}
	}
	return out
}

// addresses are those of the instances: one zero value for pods, and none where nobody knows them.
func (w *Workload) addresses() []netip.Prefix {
	if w.InCluster() {
		return []netip.Prefix{{}}
	}
	var out []netip.Prefix
	for i := range w.Endpoints {
		if p, known := ParseHost(w.Endpoints[i].Address); known {
			out = append(out, p)
		}
	}
	return out
}

// within are the addresses that are in one of the ranges; of addresses that nobody knows the ranges themselves. All are
// within no ranges.
func within(addresses, ranges []netip.Prefix) []netip.Prefix {
	if len(ranges) == 0 {
		return addresses
	}
	var out []netip.Prefix
	for _, a := range addresses {
		for _, r := range ranges {
			if !a.IsValid() {
				out = append(out, r)
			} else if r.Contains(a.Addr()) {
				out = append(out, a)
				break
			}
		}
	}
	return out
}

// UDPSent are the ways on which a service sends datagrams, sorted: to the ports of callees, and to where those are
// reached at single instances. Those to name servers are not among them.
func (m *Mesh) UDPSent(s *Service) []UDPPath {
	var out []UDPPath
	for i := range s.Uses {
		use := &s.Uses[i]
		for _, name := range use.UDP {
			if use.External {
				out = append(out, m.External(use.To).udpPaths(name)...)
			} else {
				out = append(out, m.Service(use.To).udpPaths(name)...)
			}
		}
	}
	return sortedPaths(out)
}

// udpPaths are the ways to a port of UDP.
func (u *Upstream) udpPaths(name string) []UDPPath {
	port, other := u.UDPPort(name), ServiceRef(u.Name).String()
	if len(u.Workload.Endpoints) == 0 {
		pods := u.Workload.InCluster()
		return []UDPPath{{Port: port.Number, Other: other, Pods: pods}, {Port: port.Target, Other: other, Pods: pods}}
	}
	var out []UDPPath
	for i := range u.Workload.Endpoints {
		e := &u.Workload.Endpoints[i]
		if p, known := ParseHost(e.Address); known {
			out = append(out, UDPPath{Port: e.Ports[name], Addresses: p, Other: other})
		}
	}
	return out
}

// udpPaths are the ways to a port of UDP.
func (e *External) udpPaths(name string) []UDPPath {
	var out []UDPPath
	for _, host := range e.Hosts {
		addresses, _ := ParseHost(host) // the zero value for a name
		out = append(out, UDPPath{
			Port: e.UDPPort(name).Number, Addresses: addresses, Other: ExternalRef(e.Name).String(),
		})
	}
	return out
}

// sortedPaths are the paths in order, each once. A file may have ports that are none.
func sortedPaths(paths []UDPPath) []UDPPath {
	paths = slices.DeleteFunc(paths, func(p UDPPath) bool { return p.Port == 0 })
	slices.SortFunc(paths, func(a, b UDPPath) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), strings.Compare(a.String(), b.String()),
			strings.Compare(a.Other, b.Other))
	})
	return slices.Compact(paths)
}

// UDPFlags are what meshc redirect is told of the paths, each once.
func UDPFlags(paths []UDPPath) []string {
	var out []string
	for _, p := range paths {
		out = append(out, p.String())
	}
	return slices.Compact(out)
}
