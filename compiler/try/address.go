package try

import (
	"net/netip"

	"github.com/meshc/meshc/compiler/ir"
)

// tcp is the scheme of a connection of which nothing is known but where it goes: tcp://ADDRESS:PORT.
const tcp = "tcp"

// called is a port that a service calls.
type called struct {
	use      *ir.Use
	port     string
	protocol ir.Protocol
}

// redirected reports whether the proxy takes the call by the port's number, and not by an address of its own.
func (c *called) redirected() bool { return c.use.Binds[c.port] == "" }

// byAddress follows a connection to an address that the spec has for a callee below HTTP; false when it has none.
func (r *run) byAddress(at string, s *ir.Service, scope *ir.Scope, calls []called) bool {
	ip, err := netip.ParseAddr(r.request.Host)
	if err != nil || s.Explicit {
		return false
	}
	var of *called
	var in ir.Place
	for i, c := range calls {
		if !c.redirected() {
			continue
		}
		places, _ := scope.Places(c.use, c.port)
		for _, p := range places {
			if p.Contains(ip.Unmap()) && (of == nil || p.Bits() > in.Bits()) {
				of, in = &calls[i], p
			}
		}
	}
	if of == nil {
		return false
	}
	for _, f := range ir.ForbiddenWithin(in.Prefix) {
		if f.Contains(ip.Unmap()) {
			r.step(at, of.use.Pos, "closes the connection: %s %s", ip, ir.ForbiddenAddress(ip, false))
			r.answer(at, 0)
			return true
		}
	}
	if !in.IsSingleIP() && r.mayBeAnothers(at, s, scope, of, calls) {
		return true
	}
	r.step(at, of.use.Pos, "knows %s as an address of %s", ip, of.use.To)
	r.at = joined(ip, in.Port)
	r.call(at, s, of.use, of.port)
	return true
}

// mayBeAnothers follows a connection to an address in a range of a callee where meshc serve may tell that the address
// is another callee's; false when it is not.
func (r *run) mayBeAnothers(at string, s *ir.Service, scope *ir.Scope, of *called, calls []called) bool {
	for _, c := range calls {
		if c.use != of.use && c.redirected() && c.protocol == ir.TCP && scope.Told(c.use) && r.takesAddress(scope, c) {
			r.call(at, s, c.use, c.port)
			return true
		}
	}
	return false
}

// anyAddress follows a connection below HTTP to an address that is not a callee's by the spec: there is at most one
// callee whose address nobody knows here, and else it is closed.
func (r *run) anyAddress(at string, s *ir.Service, scope *ir.Scope, calls []called) {
	for _, c := range calls {
		if c.protocol == ir.TLS && c.redirected() && s.PassesUndeclared() {
			continue // its host is another one
		}
		if c.protocol == ir.TLS || !c.redirected() {
			r.call(at, s, c.use, c.port)
			return
		}
		if r.takesAddress(scope, c) {
			r.call(at, s, c.use, c.port)
			return
		}
	}
	if s.PassesUndeclared() {
		r.passOn(at, s)
		return
	}
	r.step(at, s.Pos, "has no callee at %s on port %d, and closes the connection", r.request.Host, r.request.port())
	r.answer(at, 0)
}

func joined(ip netip.Addr, port uint16) string { return netip.AddrPortFrom(ip.Unmap(), port).String() }

// takesAddress reports whether a call takes a connection to an address that is no callee's by the spec.
func (r *run) takesAddress(scope *ir.Scope, c called) bool {
	if _, whole := scope.Places(c.use, c.port); whole || c.protocol.IsHTTP() || c.protocol == ir.TLS {
		return false
	}
	if scope.Told(c.use) {
		if r.passes(OnDestination, "it is", "it is not", "whether %s is the address of the Service of %s in Kubernetes",
			r.request.Host, c.use.To) {
			return true // of any instance
		}
		if u := scope.Upstreams[c.use.To]; len(u.Workload.Endpoints) > 0 {
			return false
		}
	}
	if (scope.ByIdentity(c.use, c.port) || scope.Crowded(c.use, c.port)) && !r.passes(OnDestination, "it is", "it is not",
		"whether %s, with its certificate, is at %s", c.use.To, r.request.Host) {
		return false
	}
	if ip, err := netip.ParseAddr(r.request.Host); err == nil {
		number := r.request.port()
		if u := scope.Upstreams[c.use.To]; !c.use.External && u.Workload.InCluster() {
			number = u.InstancePort(u.Port(c.port))
		}
		r.at = joined(ip, number)
	}
	return true
}
