package link

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

// reachable makes sure that every call of a service can be made, by an address
// of its own or by redirection, and refuses those that the proxy could not tell
// apart. A gateway makes its calls itself.
func (l *linker) reachable(here place, s *ir.Service, written map[string]*spec.Use, left *freePorts) {
	numbers := map[uint16][]claim{}
	for i := range s.Uses {
		use := &s.Uses[i]
		at := here.field("uses." + use.To)
		ports := unbound(use, written[use.To])
		if s.Proxy.Interception == ir.InterceptExplicit {
			switch {
			case len(ports) > 0 && use.External && l.mesh.External(use.To).HasRange():
				l.noRange(at, use.To, use.Pos)
			case len(ports) > 0:
				l.add(diag.NeedsBind, at,
					fmt.Sprintf("without redirection the call to %s needs an address on this host", use.To), use.Pos).
					hint("write %s", left.uses(use, ports...))
			}
			continue
		}
		for _, name := range ports {
			c := l.claim(s, use, name)
			number := c.port.Number
			if slices.Contains(s.Proxy.Ports(), number) {
				l.add(diag.PortTaken, at, fmt.Sprintf("%s listens on port %d, which is used by this service's proxy",
					use.To, number), use.Pos).
					hint("move the proxy: %s.proxy, or give the call a separate address: %s", here.path,
						left.uses(use, name))
				continue
			}
			l.toldApart(at, c, numbers[number], left)
			l.byPortAlone(at, s, c, left)
			numbers[number] = append(numbers[number], c)
		}
	}
	for _, number := range slices.Sorted(maps.Keys(numbers)) {
		l.sharedPaths(here, numbers[number], left)
	}
}

// claim is a call's to the connections to a port number that are redirected to the proxy.
type claim struct {
	use  *ir.Use
	port ir.Port
	// places are the addresses of it below HTTP; whole is set when it claims no others.
	places []ir.Place
	whole  bool
	// ranged is set where places are ranges, in which addresses may be others'.
	ranged bool
	// told is set where meshc serve can say the others, so that what nobody knows is not the callee's.
	told bool
}

func (l *linker) claim(s *ir.Service, use *ir.Use, name string) claim {
	c := claim{use: use, port: l.calleePort(use, name)}
	if use.External {
		c.places, c.whole = l.mesh.External(use.To).Places(&c.port)
		c.ranged = ir.HasRange(c.places)
	} else {
		c.places, c.whole = l.declaredServices[use.To].Places(&c.port, s.Workload.InCluster())
		c.told = s.Workload.InCluster() && c.port.Protocol == ir.TCP
	}
	return c
}

// byPortAlone warns of a call whose connections the proxy of a pod knows by their port number and by nothing else.
func (l *linker) byPortAlone(at place, s *ir.Service, c claim, left *freePorts) {
	if c.whole || !c.told || l.mesh.Delivery == ir.DeliveryXDS || l.declaredServices[c.use.To].Workload.InCluster() {
		return
	}
	l.add(diag.PortAlone, at, fmt.Sprintf(
		"every connection of %s to port %d that no other callee takes goes to %s, whatever its address: with static delivery the proxy of a pod is not told the address of the Service %s",
		s.Name, c.port.Number, c.use.To, c.use.To), c.use.Pos).
		hint(`write mesh: delivery: "xds", or give the call a separate address: %s`, left.uses(c.use, c.port.Name))
}

// toldApart refuses a claim that the proxy could not tell from one of the others.
func (l *linker) toldApart(at place, c claim, others []claim, left *freePorts) {
	for _, other := range others {
		network, shared := c.shares(other)
		address := network.String()
		if network.IsSingleIP() {
			address = network.Addr().String()
		}
		switch {
		case shared:
			l.add(diag.NeedsBind, at,
				fmt.Sprintf("the calls to %s and %s both go to %s, port %d, and cannot be distinguished", other.use.To,
					c.use.To, address, c.port.Number), c.use.Pos, other.use.Pos).
				hint("%s", separate(c, other, left))
			return
		case !c.isDistinct(other, l.mesh.Delivery == ir.DeliveryXDS):
			l.add(diag.NeedsBind, at,
				fmt.Sprintf("the calls to %s (%s) and %s (%s) go to the same port %d and cannot be distinguished",
					other.use.To, other.port.Protocol, c.use.To, c.port.Protocol, c.port.Number), c.use.Pos,
				other.use.Pos).
				hint("%s", separate(c, other, left))
			return
		}
	}
}

// separate says how two claims can be told apart: one that is not of ranges by an address of its own.
func separate(c, other claim, left *freePorts) string {
	switch {
	case c.ranged && other.ranged:
		return "keep the range in one of both"
	case c.ranged:
		c = other
	}
	return "give one of them a separate address: " + left.uses(c.use, c.port.Name)
}

// isDistinct reports whether a proxy can tell connections of two claims apart: HTTP by host, TLS by SNI, and bytes by
// their addresses, where the spec has those of one of the two. Those of which meshc serve says the addresses may be
// asked for at one that it does not know yet, and then the other must not take it: an external that has a name alone
// would. Served is set where there is a meshc serve.
func (c *claim) isDistinct(other claim, served bool) bool {
	one, two := c.port.Protocol, other.port.Protocol
	switch {
	case byHost(one, two):
		return true
	case one == ir.TLS || two == ir.TLS: // what speaks first would wait for a handshake
		return false
	}
	switch {
	case c.ranged: // what is not known to be another's may be in the range
		return other.whole || served && other.told
	case other.ranged:
		return c.whole || served && c.told
	}
	return c.whole || other.whole ||
		served && (c.told && (other.told || two.IsHTTP()) || other.told && one.IsHTTP())
}

// byHost reports whether calls of two protocols on one port are told apart by their hosts: by those of requests or by
// those of handshakes.
func byHost(a, b ir.Protocol) bool { return a.IsHTTP() && b.IsHTTP() || a == ir.TLS && b == ir.TLS }

// shares is an address at which both claims have the connections.
func (c *claim) shares(other claim) (netip.Prefix, bool) {
	for _, p := range c.places {
		for _, q := range other.places {
			if p.Prefix == q.Prefix { // of two that differ the smaller one counts
				return p.Prefix, true
			}
		}
	}
	return netip.Prefix{}, false
}
