package ir

import (
	"iter"
	"slices"
)

// Call is one way by which requests or connections of a member reach a callee: for each port that it calls there is one
// for each route that requests can go by, and one for those that no route takes.
type Call struct {
	Caller Peer
	// Use is the caller's, of the callee whose host requests name, or to which a gateway's route leads first.
	Use *Use
	// Port is the callee's.
	Port *Port
	// By are the routes that the requests go by, from the caller to the callee: none, a gateway's, the callee's own,
	// or a gateway's and then the callee's own.
	By []*Route
	// To are the services where the requests arrive, with versions and shares; empty for an external. A destination
	// without a port is at the one that has the name of Port.
	To []Destination
	// Policy is what is in force for them. Below HTTP only its Bounds are.
	Policy Policy
}

// Policy is what is in force for the calls of a use that go by these routes, from the caller to the callee, when the
// callee itself says that. The nearest to the caller wins: the use, the routes, the callee, the mesh's defaults.
func (s *Settings) Policy(use *Use, callee *Traffic, by ...*Route) Policy {
	places := make([]*Traffic, 0, len(by)+3)
	places = append(places, &use.Traffic)
	for _, r := range by {
		places = append(places, &r.Traffic)
	}
	return nearest(append(places, callee, &s.Defaults)...)
}

// Ends are the names of the services where the requests arrive, each once, or of the external.
func (c *Call) Ends() []string {
	if c.Use.External {
		return []string{c.Use.To}
	}
	var names []string
	for i := range c.To {
		if name := c.To[i].Service; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// Calls are those of all members: of services, then of gateways.
func (m *Mesh) Calls() iter.Seq[Call] {
	return func(yield func(Call) bool) {
		for _, s := range m.Scopes() {
			for c := range s.Calls() {
				if !yield(c) {
					return
				}
			}
		}
	}
}

// Calls are all calls of the member. A port that its proxy alone asks, or that only routes of others lead to, is none;
// nor is one that does not exist, in a mesh of which the linker has found errors.
func (s *Scope) Calls() iter.Seq[Call] {
	return func(found func(Call) bool) {
		yield := func(c Call) bool {
			c.Policy.Bounds = s.Bounds(&c.Policy, c.Use, c.Port)
			return found(c)
		}
		if s.Gateway != nil {
			s.gatewayCalls(yield)
			return
		}
		m := s.Member()
		for i := range m.Uses {
			use := &m.Uses[i]
			for _, name := range use.Ports {
				if !s.callsOfPort(m.Peer, use, name, yield) {
					return
				}
			}
		}
	}
}

// callsOfPort yields a service's calls of one port; false when no more are wanted.
func (s *Scope) callsOfPort(caller Peer, use *Use, name string, yield func(Call) bool) bool {
	if use.External {
		e := s.Externals[use.To]
		if e == nil || e.Port(name) == nil {
			return true
		}
		return yield(Call{Caller: caller, Use: use, Port: e.Port(name), Policy: s.Settings.Policy(use, &e.Traffic)})
	}
	callee := s.Upstreams[use.To]
	if callee == nil || callee.Port(name) == nil {
		return true
	}
	port := callee.Port(name)
	c := Call{Caller: caller, Use: use, Port: port}
	if port.Protocol.IsHTTP() {
		for i := range callee.Routes {
			r := &callee.Routes[i]
			c.By, c.To, c.Policy = []*Route{r}, r.To, s.Settings.Policy(use, &callee.Traffic, r)
			if !r.Answers() && !yield(c) {
				return false
			}
		}
	}
	c.By, c.To, c.Policy = nil, []Destination{{Service: callee.Name, Weight: 1}},
		s.Settings.Policy(use, &callee.Traffic)
	return yield(c)
}

// gatewayCalls yields the calls of a gateway's listeners and routes.
func (s *Scope) gatewayCalls(yield func(Call) bool) {
	g := s.Gateway
	for i := range g.Listeners {
		if to := g.Listeners[i].To; to != nil && !s.callsBy(nil, []Destination{*to}, yield) {
			return
		}
	}
	for i := range g.Routes {
		if r := &g.Routes[i]; !r.Answers() && !s.callsBy(r, r.To, yield) {
			return
		}
	}
}

// callsBy yields the calls by a gateway's route, or of a listener below HTTP when there is none.
func (s *Scope) callsBy(r *Route, to []Destination, yield func(Call) bool) bool {
	callee, use := s.Upstreams[to[0].Service], s.Use(to[0].Service)
	if callee == nil || use == nil || callee.Port(to[0].Port) == nil {
		return true
	}
	c := Call{Caller: s.Member().Peer, Use: use, Port: callee.Port(to[0].Port), To: to}
	if r == nil {
		c.Policy = s.Settings.Policy(use, &callee.Traffic)
		return yield(c)
	}
	if r.GoesOn() {
		for i := range callee.Routes {
			own := &callee.Routes[i]
			on := c
			on.By, on.To, on.Policy = []*Route{r, own}, own.To, s.Settings.Policy(use, &callee.Traffic, r, own)
			if !own.Answers() && !yield(on) {
				return false
			}
		}
	}
	c.By, c.Policy = []*Route{r}, s.Settings.Policy(use, &callee.Traffic, r)
	return yield(c)
}

// Bounds are those of a policy as they hold for the connections of the member's proxies to a callee's port.
func (s *Scope) Bounds(p *Policy, use *Use, port *Port) Bounds {
	if s.share(use, port) {
		return p.Bounds.Sharing()
	}
	return p.Bounds
}

// share reports whether the requests that the member's proxies send to a callee's port share connections.
func (s *Scope) share(use *Use, port *Port) bool {
	if !use.External {
		return s.Upstreams[use.To].Forms.Share(port)
	}
	return port.Protocol.Multiplexed() || port.Protocol.IsHTTP() && s.GoesVia(s.Externals[use.To])
}

// Use is the member's use of that callee, or nil.
func (s *Scope) Use(callee string) *Use { return UseOf(s.Member().Uses, callee) }
