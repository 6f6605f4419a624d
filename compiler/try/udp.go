package try

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/meshc/meshc/compiler/ir"
)

// udp is the scheme of a datagram: udp://HOST:PORT. No proxy is on its way: the network and the hosts at both ends let
// it through or drop it.
const udp = "udp"

// drop ends the way of a datagram: nobody answers.
func (r *run) drop(by string) { r.Answer = &Answer{By: by, Dropped: true} }

// sends follows a datagram of a service.
func (r *run) sends(s *ir.Service) error {
	at := ir.ServiceRef(s.Name).String()
	for _, unsure := range []bool{false, true} { // who plainly has the address, before those that may have it
		for i := range s.Uses {
			use := &s.Uses[i]
			for _, name := range use.UDP {
				follow := r.toUDP
				if use.External {
					follow = r.toUDPExternal
				}
				if follow(at, use, name, unsure) {
					return nil
				}
			}
		}
	}
	if s.PassesUndeclared() {
		r.step(at, s.Pos, "lets datagrams out that it does not declare")
		if r.mesh.Service(r.named()) != nil {
			return r.reachesUDP()
		}
		r.Reaches = []Reach{{Percent: 100, Address: net.JoinHostPort(r.request.Host, fmt.Sprint(r.request.port()))}}
		return nil
	}
	r.step(at, s.Pos, "sends no datagrams to %s on port %d: no port that it uses is there with protocol \"udp\"",
		r.request.Host, r.request.port())
	r.Write = fmt.Sprintf("services.%s.uses: the callee, by its name, whose port has protocol: \"udp\"", s.Name)
	r.drop(at)
	return nil
}

// toUDP follows a datagram to a callee in the mesh; false when it is to somebody else. Unsure has it ask for addresses
// that only the running mesh knows.
func (r *run) toUDP(at string, use *ir.Use, name string, unsure bool) bool {
	callee := r.mesh.Service(use.To)
	port, number := callee.UDPPort(name), r.request.port()
	ip, err := netip.ParseAddr(r.request.Host)
	reached := r.names(use) && number == port.Number
	for i := range callee.Workload.Endpoints {
		e := &callee.Workload.Endpoints[i]
		reached = reached || err == nil && e.Address == ip.Unmap().String() && e.Ports[name] == number
	}
	if unsure && err == nil && len(callee.Workload.Endpoints) == 0 && (number == port.Number || number == port.Target) {
		reached = r.passes(OnDestination, "it is", "it is not", "whether %s is an address of %s", ip, use.To)
	}
	if !reached {
		return false
	}
	r.step(at, use.Pos, "sends datagrams to %s, past its proxy", use.To)
	me := r.me
	for i := range callee.Allow {
		if rule := &callee.Allow[i]; rule.OpensUDP() && rule.Covers(name) && rule.Says(&me) {
			r.step(ir.ServiceRef(callee.Name).String(), rule.Pos, "lets the addresses of the %s in", me.Ref())
			break
		}
	}
	r.Reaches = []Reach{{Service: callee.Name, Port: name, Percent: 100}}
	if err == nil {
		r.Reaches[0].Address = joined(ip, number)
	}
	return true
}

// toUDPExternal follows a datagram to an external; false when it is to somebody else. Where a host of it is a name,
// nobody knows the addresses here, and every address is open on the port.
func (r *run) toUDPExternal(at string, use *ir.Use, name string, unsure bool) bool {
	e := r.mesh.External(use.To)
	ip, err := netip.ParseAddr(r.request.Host)
	reached, open := r.names(use), false
	for _, host := range e.Hosts {
		network, known := ir.ParseHost(host)
		reached = reached || known && err == nil && network.Contains(ip.Unmap())
		open = open || !known
	}
	if e.UDPPort(name).Number != r.request.port() || !reached && !(unsure && open && err == nil) {
		return false
	}
	r.step(at, use.Pos, "sends datagrams to %s, past its proxy", use.To)
	if !reached {
		r.step(at, e.Pos, "is let out to every address on that port, as %s has a name", e.Name)
	}
	r.Reaches = []Reach{{External: e.Name, Port: name, Percent: 100}}
	if err == nil {
		r.Reaches[0].Address = joined(ip, r.request.port())
	}
	return true
}

// reachesUDP follows a datagram of somebody outside, or of whoever has that identity, which no datagram shows: what
// counts is the address that it comes from.
func (r *run) reachesUDP() error {
	s := r.mesh.Service(r.named())
	if s == nil {
		return fmt.Errorf("the mesh %s has no service %s", r.mesh.Name, r.request.Host)
	}
	at := ir.ServiceRef(s.Name).String()
	i := slices.IndexFunc(s.UDP, func(p ir.Port) bool { return p.Number == r.request.port() })
	if i < 0 {
		r.step(at, s.Pos, "has no port %d of UDP", r.request.port())
		r.drop(at)
		return nil
	}
	port := &s.UDP[i]
	r.step(at, port.Pos, "takes datagrams on port %s by the address that they come from", port.Name)
	paths := r.mesh.UDPTaken(s)
	slices.SortStableFunc(paths, func(a, b ir.UDPPath) int { return b.Addresses.Bits() - a.Addresses.Bits() })
	for _, path := range paths { // those whose addresses are known first
		if path.Port == port.Target && r.comesBy(path) {
			r.Reaches = []Reach{{Service: s.Name, Port: port.Name, Percent: 100}}
			return nil
		}
	}
	r.drop(at)
	r.Write = fmt.Sprintf("{from: services: [%q], ports: [%q]} in services.%s.allow", "CALLER", port.Name, s.Name)
	return nil
}

// comesBy reports whether a datagram comes on that way.
func (r *run) comesBy(path ir.UDPPath) bool {
	switch ip := r.request.IP.Unmap(); {
	case r.me.Kind == ir.KindService && path.Other != "" && path.Other != r.me.Ref().String():
		return false
	case r.me.Kind == ir.KindService && !path.Addresses.IsValid():
		return true
	case path.Addresses.IsValid() && ip.IsValid():
		return path.Addresses.Contains(ip)
	case path.Addresses.IsValid():
		return r.passes(OnAddress, "it is", "it is not", "whether the sender has an address in %s", path.Addresses)
	case path.Other == "":
		return true
	}
	return r.passes(OnAddress, "it is", "it is not", "whether the sender has the address of a pod of the %s", path.Other)
}
