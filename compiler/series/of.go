package series

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
)

// Proxy is a member's proxy; each instance has one.
type Proxy struct {
	Of  ir.Ref
	Pos source.Position // of the member
	*Set
}

// OfMesh are the proxies of a mesh, in the order of [ir.Mesh.Scopes].
func OfMesh(m *ir.Mesh) []Proxy {
	var members []string
	for _, s := range m.Services {
		members = append(members, s.Identity.String())
	}
	for _, g := range m.Gateways {
		members = append(members, g.Identity.String())
	}
	below := func(prefix string) (out []string) {
		for _, id := range members {
			if strings.HasPrefix(id, prefix) {
				out = append(out, id)
			}
		}
		return out
	}
	var out []Proxy
	for _, scope := range m.Scopes() {
		member := scope.Member()
		out = append(out, Proxy{member.Ref(), scope.Pos(), setOf(&scope, below)})
	}
	return out
}

// Total is what the metrics of all members cost, with one proxy each.
func Total(m *ir.Mesh) Cost {
	var out Cost
	for _, p := range OfMesh(m) {
		out = out.Plus(p.Cost())
	}
	return out
}

// Of is the set of a proxy as far as its scope tells: not who else of the mesh has an identity that a pattern of its
// rules covers.
func Of(scope *ir.Scope) *Set { return setOf(scope, func(string) []string { return nil }) }

// setOf is the set of a proxy, with the identities of the mesh that begin with a prefix.
func setOf(scope *ir.Scope, below func(prefix string) []string) *Set {
	b := &builder{
		Set:   &Set{ways: map[Way]bool{}, edges: map[Edge]int{}, buckets: len(scope.Buckets())},
		scope: scope, member: scope.Member(), below: below,
	}
	if scope.Gateway != nil {
		b.gateway(scope.Gateway)
	} else {
		b.inbound(scope.Service)
	}
	b.outbound()
	return b.Set
}

type builder struct {
	*Set
	scope  *ir.Scope
	member ir.Member
	below  func(prefix string) []string
	// callees are those of the listener that is looked at; nil for none.
	callees map[Edge]bool
}

func port(p *ir.Port) string { return strconv.Itoa(int(p.Number)) }

// place is a position as labels have it.
func place(p source.Position) string {
	if !p.IsValid() {
		return ""
	}
	return p.String()
}

// going is a way of what the member's proxy sends on, or answers itself.
func (b *builder) going(kind, callee, port, version, route string, at source.Position) {
	w := Way{Edge: Edge{kind, b.member.Identity.String(), callee, port}, Version: version}
	if kind == ClientHTTP {
		w.Route, w.Source = route, place(at)
	}
	b.add(w)
	if callee != "" && b.callees != nil {
		b.callees[Edge{Kind: kind, Callee: callee, Port: port}] = true
	}
}

// counts adds a listener of what goes to so many callees: whatever it is for, it counts what it refuses before it has
// one.
func (b *builder) counts(kind string, callees int) {
	b.failures += ClientFailures(callees)
	b.going(kind, "", "", "", "", source.Position{})
}

// outbound is what the listeners count that the member's calls come to.
func (b *builder) outbound() {
	redirects := b.scope.Gateway == nil && b.member.Proxy.Interception == ir.InterceptRedirect
	requests, addressed, rest := map[uint16]bool{}, map[uint16]bool{}, map[uint16]bool{}
	callees := map[uint16]map[Edge]bool{} // of requests
	names := map[uint16]bool{}            // of TLS
	closed := map[uint16]bool{}           // of ranges
	for i := range b.member.Uses {
		use := &b.member.Uses[i]
		for _, name := range use.Ports {
			p, bound := b.portOf(use, name), use.Binds[name] != ""
			if !bound && !redirects {
				continue
			}
			switch {
			case p.Protocol.IsHTTP():
				alone := use.External
				b.callees = map[Edge]bool{}
				if !bound {
					alone = b.scope.ExternalsAlone(p.Number)
					requests[p.Number] = !alone
					if callees[p.Number] == nil {
						callees[p.Number] = b.callees
					}
					b.callees = callees[p.Number]
				}
				if !alone {
					b.going(ClientHTTP, "", "", "", RefusedRoute, use.Pos)
				}
				b.called(use, p)
				if bound {
					b.counts(ClientHTTP, len(b.callees))
				}
				b.callees = nil
				continue
			case bound || p.Protocol == ir.TLS:
				b.counts(ClientTCP, 0)
				names[p.Number] = names[p.Number] || !bound
			default:
				chains, whole := b.places(use, name)
				b.failures += chains * ClientFailures(0)
				addressed[p.Number] = addressed[p.Number] || chains > 0
				rest[p.Number] = rest[p.Number] || !whole
				closed[p.Number] = closed[p.Number] || b.closesWithin(use, name)
			}
			b.going(ClientTCP, b.label(use), port(p), "", "", source.Position{})
		}
	}
	if !redirects {
		return
	}
	b.counts(ClientTCP, 0) // connections to nobody whom the member calls
	if b.scope.PassesUndeclared() {
		b.passed(requests, addressed, rest, names, closed)
	}
	for number, normal := range requests {
		b.instances(number, callees[number])
		b.counts(ClientHTTP, len(callees[number]))
		b.going(ClientHTTP, "", "", "", UndeclaredRoute, b.scope.Pos())
		if normal {
			b.going(ClientHTTP, "", "", "", RefusedRoute, b.scope.Pos())
		}
	}
	for number := range rest {
		if rest[number] {
			b.counts(ClientTCP, 0)
		}
	}
	for number := range addressed {
		if _, some := requests[number]; addressed[number] && !rest[number] && !some {
			b.counts(ClientTCP, 0)
		}
	}
}

// closesWithin reports whether something within the ranges of a call is closed.
func (b *builder) closesWithin(use *ir.Use, name string) bool {
	places, _ := b.scope.Places(use, name)
	return slices.ContainsFunc(places, func(p ir.Place) bool { return ir.ForbiddenWithin(p.Prefix) != nil })
}

// passed are the listeners that count what passes undeclared: that of all connections, and those of port numbers of
// requests, of TLS, and of callees whose addresses are all known; and those of what is closed within ranges of
// externals.
func (b *builder) passed(requests, addressed, rest, names, closed map[uint16]bool) {
	b.passing++
	for _, some := range closed {
		if some {
			b.counts(ClientTCP, 0)
		}
	}
	for number := range requests {
		b.passing++ // requests
		if _, bytes := rest[number]; !bytes && !addressed[number] {
			b.counts(ClientTCP, 0)
			b.passing++
		}
	}
	for _, some := range names {
		if some {
			b.counts(ClientTCP, 0)
			b.passing++
		}
	}
	for number := range addressed {
		if _, some := requests[number]; addressed[number] && !rest[number] && !some {
			b.passing++ // in place of the listener that closes them
		}
	}
}

// places are how many ports of a callee's addresses have a listener of their own, and whether there are no others.
func (b *builder) places(use *ir.Use, name string) (chains int, whole bool) {
	places, whole := b.scope.Places(use, name)
	ports := map[uint16]bool{}
	for _, p := range places {
		ports[p.Port] = true
	}
	chains = len(ports)
	if b.scope.Told(use) {
		chains++ // by a Service
	}
	crowded := b.scope.Crowded(use, name)
	if crowded && b.scope.Upstreams[use.To].Workload.InCluster() {
		chains++ // to a pod
	}
	return chains, whole || crowded
}

func (b *builder) portOf(use *ir.Use, name string) *ir.Port {
	if use.External {
		return b.scope.Externals[use.To].Port(name)
	}
	return b.scope.Upstreams[use.To].Port(name)
}

// label is how metrics name the callee of a use.
func (b *builder) label(use *ir.Use) string {
	if use.External {
		return b.scope.Externals[use.To].Name
	}
	return b.scope.Upstreams[use.To].QualifiedName()
}

// called are the ways of requests for a port of a callee.
func (b *builder) called(use *ir.Use, p *ir.Port) {
	if use.External {
		e := b.scope.Externals[use.To]
		b.going(ClientHTTP, e.Name, port(p), "", RestRoute, e.Pos)
		for _, upgrade := range p.Upgrades {
			b.going(ClientHTTP, e.Name, port(p), "", Variant(RestRoute, upgrade), e.Pos)
		}
		return
	}
	callee := b.scope.Upstreams[use.To]
	for i := range callee.Routes {
		r := &callee.Routes[i]
		b.route(r.Name, p, p, nil, r)
	}
	b.sent(RestRoute, p, callee.Pos, []ir.Destination{{Service: callee.Name}}, p)
}

// instances are the ways of requests on a port number for single instances, by the routes of their service.
func (b *builder) instances(number uint16, callees map[Edge]bool) {
	b.callees = callees
	for _, n := range b.scope.Instances(number) {
		callee := b.scope.Upstreams[n.Use.To]
		for i := range callee.Routes {
			r := callee.Routes[i].AtOne(callee.Name)
			b.route(r.Name, n.Port, n.Port, nil, r)
		}
	}
	b.callees = nil
}

// The routes that nobody wrote.
const (
	// RestRoute is of requests that no written route takes, RefusedRoute of those whose path or method others would
	// read in another way, UndeclaredRoute of hosts that the member does not use, MisdirectedRoute of requests that
	// belong to another listener, and UnroutedRoute of those that no route of a gateway with rules takes.
	RestRoute        = "(rest)"
	RefusedRoute     = "(refused)"
	UndeclaredRoute  = "undeclared-host"
	MisdirectedRoute = "(misdirected)"
	UnroutedRoute    = "(unrouted)"
)

// route are the ways of requests that routes take, the last of which says where they go: at a listener of a gateway,
// or nil at the proxy of their sender. Upgrades are of the port that the requests come for.
func (b *builder) route(name string, came, upgrades *ir.Port, l *ir.Listener, by ...*ir.Route) {
	last := by[len(by)-1]
	if _, possible := ir.Leaves(by); possible {
		b.going(ClientHTTP, "", "", "", Variant(name, "dots"), last.Pos)
	}
	if !last.Answers() {
		b.sent(name, came, last.Pos, last.To, upgrades)
		return
	}
	b.going(ClientHTTP, "", "", "", name, last.Pos)
	switch {
	case last.Redirect == nil:
	case last.Redirect.Scheme == "":
		other := "https"
		if l != nil && l.TLS != nil {
			other = "http"
		}
		if l == nil || l.Clients.NumTrustedHops > 0 {
			b.going(ClientHTTP, "", "", "", Variant(name, other), last.Pos)
		}
	case last.Redirect.PortAfter(true) != last.Redirect.PortAfter(false):
		b.going(ClientHTTP, "", "", "", Variant(name, "port"), last.Pos)
	}
}

// Variant is the name of a route beside another one, for some of its requests.
func Variant(route, which string) string { return route + "|" + which }

// sent are the ways of requests that a route sends to destinations.
func (b *builder) sent(name string, came *ir.Port, at source.Position, to []ir.Destination, upgrades *ir.Port) {
	for _, d := range to {
		callee := b.scope.Upstreams[d.Service]
		p := callee.Port(cmp.Or(d.Port, came.Name))
		b.going(ClientHTTP, callee.QualifiedName(), port(p), d.Version, name, at)
		for _, upgrade := range upgrades.Upgrades {
			b.going(ClientHTTP, callee.QualifiedName(), port(p), d.Version, Variant(name, upgrade), at)
		}
	}
}
