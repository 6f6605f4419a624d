package link

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

// exposure is a route that a service has at a gateway.
type exposure struct {
	place
	of   *ir.Service
	file string // where the service is written
	spec *spec.Exposure
}

// allowedRoutes are what others may have routes for at a gateway.
func (l *linker) allowedRoutes(g *ir.Gateway, h home[spec.Gateway]) {
	for i, written := range h.spec.AllowedRoutes {
		here := h.field("allowedRoutes").index(i)
		a := ir.AllowedRoutes{Paths: values(written.Paths), Pos: here.pos(written.Pos)}
		if f := written.From; f != nil {
			a.Namespaces = values(f.Namespaces)
			for _, dir := range f.Directories {
				a.Directories = append(a.Directories, path.Clean(dir.Value))
			}
		}
		for j, f := range written.Hosts {
			a.Hosts = append(a.Hosts, l.host(here.field("hosts").index(j), f.Value, here.pos(f.Pos)))
		}
		for _, list := range []struct {
			name  string
			empty bool
		}{
			{"from", len(a.Namespaces)+len(a.Directories) == 0},
			{"hosts", len(a.Hosts) == 0},
			{"paths", written.Paths != nil && len(written.Paths) == 0},
		} {
			if list.empty {
				l.add(diag.EmptyList, here.field(list.name), list.name+" is empty, so nobody is allowed a route",
					a.Pos).
					hint(`{from: directories: ["teams/shop"], hosts: ["shop.example"], paths: ["/cart", "/cart/*"]}`)
			}
		}
		if l.mesh.AllowedRoutes == nil {
			l.mesh.AllowedRoutes = map[ir.Ref][]ir.AllowedRoutes{}
		}
		of := ir.GatewayRef(g.Name)
		l.mesh.AllowedRoutes[of] = append(l.mesh.AllowedRoutes[of], a)
	}
}

// exposures are the routes that services write, by gateway.
func (l *linker) exposures() map[string][]exposure {
	out := map[string][]exposure{}
	for _, s := range l.mesh.Services {
		h := l.services[s.Name]
		for i, written := range h.spec.Expose {
			e := exposure{place{h.unit, fmt.Sprintf("services.%s.expose[%d]", s.Name, i)}, s, h.pos.File, written}
			name := written.Gateway.Value
			if l.declaredGateways[name] == nil {
				l.unknown(diag.UnknownCallee, e.field("gateway"), "gateway", name, sortedKeys(l.declaredGateways),
					written.Gateway.Pos)
				continue
			}
			out[name] = append(out[name], e)
		}
	}
	return out
}

// usesExposed has the gateway use a service that has a route there; false when the service does not let it in, which
// is told.
func (l *linker) usesExposed(g *ir.Gateway, e exposure) bool {
	if ir.UseOf(g.Uses, e.of.Name) != nil {
		return true
	}
	caller, pos := g.Peer(), e.pos(e.spec.Pos)
	ports := l.allowedPorts(e.place, &caller, e.of, &spec.Use{}, pos)
	if len(ports) == 0 {
		return false
	}
	g.Uses = append(g.Uses, ir.Use{To: e.of.Name, Ports: ports, Pos: pos})
	slices.SortFunc(g.Uses, func(a, b ir.Use) int { return strings.Compare(a.To, b.To) })
	return true
}

// exposedRoutes are the routes of a gateway with those that services have there.
func (l *linker) exposedRoutes(g *ir.Gateway, list []exposure) []ir.Route {
	var others []ir.Route
	for _, e := range list {
		if !l.usesExposed(g, e) {
			continue
		}
		if route, ok := l.exposedRoute(g, e); ok {
			others = append(others, route)
		}
	}
	slices.SortFunc(others, func(a, b ir.Route) int { return ir.ComparePrecedence(&a, &b) })
	return merged(g.Routes, l.withoutConflicts(g, others))
}

// exposedRoute is one route of a service at a gateway; ok is false when it cannot be, which is told.
func (l *linker) exposedRoute(g *ir.Gateway, e exposure) (route ir.Route, ok bool) {
	m := e.spec.Match
	if m == nil {
		return route, false // the schema has refused it
	}
	if !m.Host.IsSet() {
		l.add(diag.MissingField, e.field("match"), "match needs a host", e.pos(m.Pos)).
			hint(`match: {host: "shop.example", path: prefix: "/%s/"}`, e.of.Name)
		return route, false
	}
	written := &spec.Route{Pos: e.spec.Pos, Name: e.spec.Name, Match: m, Rewrite: e.spec.Rewrite}
	route, dest := l.gatewayRoute(e.place, g, written), ir.Destination{}
	d := &spec.Destination{
		Pos: e.spec.Pos, Service: spec.Field[string]{Value: e.of.Name, Pos: e.spec.Pos}, Port: e.spec.Port,
	}
	if dest, ok = l.gatewayDestination(e.place, g, map[string]*spec.Use{e.of.Name: {}}, d); !ok {
		return route, false
	}
	route.To, route.ExposedBy = []ir.Destination{dest}, e.of.Name
	l.readable(e.place, written, &route)
	return route, l.mayExpose(g, e, &route)
}

// mayExpose reports whether the gateway lets the service have a route, and tells when it does not.
func (l *linker) mayExpose(g *ir.Gateway, e exposure, route *ir.Route) bool {
	h := l.gateways[g.Name]
	if path.Dir(h.pos.File) == path.Dir(e.file) {
		return true
	}
	var about *ir.AllowedRoutes
	allowed := l.mesh.AllowedRoutes[ir.GatewayRef(g.Name)]
	for i := range allowed {
		if !allowed[i].About(e.of, e.file) {
			continue
		}
		if allowed[i].Covers(&route.Match) {
			return true
		}
		about = &allowed[i]
	}
	what := fmt.Sprintf("the gateway %s does not let %s have a route for %s", g.Name, e.of.Name, route.Name)
	if about == nil {
		l.add(diag.RouteNotAllowed, e.place, what, route.Pos, h.pos).
			hint("its owner writes in gateways.%s: allowedRoutes: [{from: directories: [%q], hosts: [%q]}]", g.Name,
				path.Dir(e.file), e.spec.Match.Host.Value)
		return false
	}
	text := "hosts " + strings.Join(about.Hosts, ", ")
	if about.Paths != nil {
		text += ", paths " + strings.Join(about.Paths, ", ")
	}
	l.add(diag.RouteNotAllowed, e.place, what, route.Pos, about.Pos).hint("it may have routes for: %s", text)
	return false
}

// withoutConflicts refuses routes of services that take the same requests, of which only the first would have any.
// They come in order.
func (l *linker) withoutConflicts(g *ir.Gateway, routes []ir.Route) []ir.Route {
	var out []ir.Route
	for i := range routes {
		r := &routes[i]
		same := slices.IndexFunc(out, func(other ir.Route) bool {
			return other.Match.Covers(&r.Match) && r.Match.Covers(&other.Match)
		})
		if same >= 0 {
			l.add(diag.RouteConflict, place{l.services[r.ExposedBy].unit, "services." + r.ExposedBy + ".expose"},
				fmt.Sprintf("%s and %s both have the requests for %s at the gateway %s", out[same].ExposedBy,
					r.ExposedBy, r.Name, g.Name), r.Pos, out[same].Pos).
				hint("a host and path belong to one service: match another path, or a header")
			continue
		}
		out = append(out, *r)
	}
	return out
}

// merged are the routes of a gateway, in the order written, with those of services, in theirs: each of them before the
// first own route that takes all of its requests, and more. Equal ones come after, and are found as hidden.
func merged(own, others []ir.Route) []ir.Route {
	var out []ir.Route
	for i := range own {
		others = slices.DeleteFunc(others, func(r ir.Route) bool {
			before := own[i].Match.Covers(&r.Match) && !r.Match.Covers(&own[i].Match)
			if before {
				out = append(out, r)
			}
			return before
		})
		out = append(out, own[i])
	}
	return append(out, others...)
}
