// Package link joins evaluated units into one mesh: it gives every service,
// gateway and external its one home, resolves every reference, and makes an
// ir.Mesh of what the units say.
//
// It collects all it finds. Where something is wrong it leaves that part out and
// goes on, so that the mesh it returns is whole only if nothing was found.
package link

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/compiler/spec"
)

// Options are what a mesh depends on besides its units.
type Options struct {
	// Lost reports whether a name stands in a unit that could not be evaluated: that it leads
	// nowhere here is not the fault of who refers to it.
	Lost func(name string) bool
	// Now is when rules must still be in force.
	Now time.Time
	// Version is the tag of meshc's own image.
	Version string
	// Qualified are plain names whose members have the name NAME.NAMESPACE in the mesh, although no other namespace
	// has a member of that name.
	Qualified []string
}

// Link joins the units of a mesh, which come sorted by directory.
func Link(units []*spec.Unit, o Options) (*ir.Mesh, Silences, diag.List) {
	l := &linker{
		mesh: &ir.Mesh{Review: ir.Review{Known: true}}, silences: Silences{}, now: o.Now, release: o.Version,
		names: newNames(units, o.Qualified), ambiguous: map[string]bool{}, naming: map[reflect.Type]bool{},
		homeAt: map[writtenAt]string{},
	}
	l.lost = func(name string) bool { return o.Lost(name) || l.ambiguous[name] }
	l.unsupported(units)
	l.secrets(units)
	l.homes(units)
	l.takenNames()
	if !l.settings(units) {
		return nil, l.silences, l.found
	}
	l.declare()
	l.defaultBounds(place{l.root, "mesh.defaults"}, l.root.Mesh.Defaults)
	l.server(l.root, l.root.Mesh.Server)
	l.operators(l.root, l.root.Mesh.Operators)
	l.takenServices()
	l.takenWorkloads()
	l.members()
	l.linkTests()
	slices.SortFunc(l.mesh.Silences, func(a, b ir.Silence) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Code, b.Code))
	})
	return l.mesh, l.silences, l.found
}

type linker struct {
	mesh        *ir.Mesh
	root        *spec.Unit // the first that has mesh
	trustDomain spiffeid.TrustDomain
	proxy       ir.Proxy     // what mesh.proxy says
	reports     ir.Telemetry // what mesh.telemetry says
	found       diag.List
	lost        func(name string) bool
	names       names
	ambiguous   map[string]bool       // names that are said to be, wherever they lead
	homeAt      map[writtenAt]string  // the name in the mesh of what has its home there
	naming      map[reflect.Type]bool // which types of the spec have names of members in them
	silences    Silences
	now         time.Time
	release     string // the tag of meshc's own image
	// rateLimitSaid is set when what is wrong with the rate limit service has been
	// said.
	rateLimitSaid bool

	services  map[string]home[spec.Service]
	gateways  map[string]home[spec.Gateway]
	externals map[string]home[spec.External]
	tests     map[string]home[spec.Test]

	// declared members by name; their edges are linked afterwards.
	declaredServices map[string]*ir.Service
	declaredGateways map[string]*ir.Gateway
}

// declare makes every member and external without its edges, so that edges can
// refer to them in any order.
func (l *linker) declare() {
	l.declaredServices = make(map[string]*ir.Service, len(l.services))
	l.declaredGateways = make(map[string]*ir.Gateway, len(l.gateways))
	accounts, having := map[spiffeid.ID]account{}, map[spiffeid.ID]int{}
	for _, name := range sortedKeys(l.services) {
		s := l.service(name, l.services[name])
		l.mesh.Services = append(l.mesh.Services, s)
		l.declaredServices[name] = s
		having[s.Identity]++
		if _, shared := accounts[s.Identity]; !shared {
			accounts[s.Identity] = account{l.services[name].place, l.services[name].pos}
		}
	}
	for _, s := range l.mesh.Services {
		s.Shared = having[s.Identity] > 1
	}
	l.namesApart()
	for _, name := range sortedKeys(l.gateways) {
		g := l.gateway(name, l.gateways[name])
		l.mesh.Gateways = append(l.mesh.Gateways, g)
		l.declaredGateways[name] = g
		l.ownIdentity(accounts, g.Identity, account{l.gateways[name].place, l.gateways[name].pos})
	}
	hosts := map[string]*ir.External{}
	for _, name := range sortedKeys(l.externals) {
		e := l.external(name, l.externals[name], hosts)
		l.mesh.Externals = append(l.mesh.Externals, e)
	}
}

// members links what refers to other members: first who is let in, then who
// calls, then where requests go.
func (l *linker) members() {
	for _, s := range l.mesh.Services {
		h := l.services[s.Name]
		s.Allow = l.rules(doorOf(s, h), "allow", h.spec.Allow)
		s.Deny = l.rules(doorOf(s, h), "deny", h.spec.Deny)
		l.permissive(s, h)
		l.callersAreNamed(h.place, s, h.spec.RateLimit)
	}
	for _, s := range l.mesh.Services {
		h, caller := l.services[s.Name], s.Peer()
		s.Uses = l.uses(h.place, &caller, h.spec.Uses)
		left := free(&s.Proxy, s.Ports, h.spec.Uses)
		l.binds(h.place, &s.Proxy, s.Uses, h.spec.Uses, left)
		l.reachable(h.place, s, h.spec.Uses, left)
		for i := range s.Uses {
			if use := &s.Uses[i]; !use.External {
				use.StatefulSets = s.NamesPods(use, &l.declaredServices[use.To].Upstream)
			}
		}
		l.goesRound(h.place, s, left)
		s.Routes = l.serviceRoutes(s, h)
	}
	exposures := l.exposures()
	for _, g := range l.mesh.Gateways {
		h, caller := l.gateways[g.Name], g.Peer()
		l.gatewayRules(g, h)
		l.clientsAreCounted(h, g)
		l.clientsAreAsked(h, g)
		g.Uses = l.uses(h.place, &caller, h.spec.Uses)
		l.binds(h.place, &g.Proxy, g.Uses, h.spec.Uses, free(&g.Proxy, nil, h.spec.Uses))
		g.Routes = l.gatewayRoutes(g, h)
		l.allowedRoutes(g, h)
		g.Routes = l.exposedRoutes(g, exposures[g.Name])
		l.routeNames(h.place, g.Routes)
		l.listenerDestinations(g, h)
	}
	l.egress()
	l.unreadByEgress()
	l.metricsAreClosed()
	l.metricsPortsAreFree()
	for _, s := range l.mesh.Services {
		h, caller := l.services[s.Name], s.Peer()
		here := h.place
		s.Uses = l.routed(here, &caller, s.Uses)
		s.Uses = l.counted(here, &caller, s.RateLimit, nil, s.Uses)
		s.Uses = l.asked(here, &caller, s.AllTokenIssuers(), h.spec.Authorizer, s.Pos, s.Uses)
		l.requestsAreRead(here, s.Ports, s.Uses, h.spec.Telemetry)
		s.Uses = l.reported(here, &caller, &s.Telemetry, s.Pos, s.Uses)
	}
	for _, g := range l.mesh.Gateways {
		h, caller := l.gateways[g.Name], g.Peer()
		here := h.place
		g.Uses = l.routed(here, &caller, g.Uses)
		g.Uses = l.counted(here, &caller, g.CountedGlobally(), g.Routes, g.Uses)
		g.Uses = l.asked(here, &caller, g.AllTokenIssuers(), h.spec.Authorizer, g.Pos, g.Uses)
		g.Uses = l.reported(here, &caller, &g.Telemetry, g.Pos, g.Uses)
	}
	l.reportsTakeEffect(l.root)
}

// account is a member whose identity is known, and where it was written.
type account struct {
	place
	pos source.Position
}

// ownIdentity refuses a gateway that shares its identity with another member: who is outside the mesh would come with
// the identity of a service, and a service could say who a gateway's clients are.
func (l *linker) ownIdentity(accounts map[spiffeid.ID]account, id spiffeid.ID, a account) {
	if other, taken := accounts[id]; taken {
		l.add(diag.SharedIdentity, a.place, fmt.Sprintf("%s has the identity of %s: %s", a.path, other.path, id), a.pos,
			other.pos).
			hint("give it a service account of its own: account: %q", "another-name")
		return
	}
	accounts[id] = a
}

// finding is the last finding added, to hang a hint on.
type finding struct{ l *linker }

func (f finding) hint(format string, args ...any) {
	last := &f.l.found[len(f.l.found)-1]
	*last = last.WithHint(format, args...)
}

func (l *linker) add(code diag.Code, here place, message string, positions ...source.Position) finding {
	l.found.Add(diag.New(code, here.path, message, positions...))
	return finding{l}
}

// unsupported reports the fields in use that nothing renders yet.
func (l *linker) unsupported(units []*spec.Unit) {
	for _, u := range units {
		for _, m := range u.Unsupported {
			l.add(diag.NotSupported, place{u, m.Path}, m.Path+" is not supported yet", u.At(m.Pos)).
				hint("remove it: this version of meshc would ignore it")
		}
	}
}

// secrets refuses what looks like a secret: a spec is read by everybody.
func (l *linker) secrets(units []*spec.Unit) {
	for _, u := range units {
		for _, s := range u.Secrets() {
			l.add(diag.SecretInSpec, place{u, s.Path}, fmt.Sprintf("%s looks like a secret: %s", s.Path, s.Kind),
				u.At(s.Pos)).
				hint("remove it, and replace it: whoever can read the repository has it. Name a Kubernetes Secret or a file instead")
		}
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
