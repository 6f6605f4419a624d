package link

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

// serviceRoutes links the routes of a service.
func (l *linker) serviceRoutes(s *ir.Service, h home[spec.Service]) []ir.Route {
	here := h.place
	if len(h.spec.Routes) > 0 {
		l.requestsOnly(here.field("routes"), s.Ports, "a route of "+s.Name, h.spec.Routes[0].Pos)
	}
	var out []ir.Route
	for i, r := range h.spec.Routes {
		at := here.field("routes").index(i)
		route := l.route(at, s.Name, r)
		if r.Match != nil && r.Match.Host.IsSet() {
			l.add(diag.NoEffect, at.field("match.host"),
				"host cannot take effect in a service's route: callers name the service itself",
				here.pos(r.Match.Host.Pos)).
				hint("match by host in a gateway's route")
		}
		if r.Match != nil && r.Match.Listeners != nil {
			l.add(diag.NoEffect, at.field("match.listeners"),
				"listeners cannot take effect in a service's route: only gateways have some", here.pos(r.Match.Pos)).
				hint("remove it")
		}
		for j, d := range r.To {
			if dest, ok := l.serviceDestination(at.field("to").index(j), s, d); ok {
				route.To = append(route.To, dest)
			}
		}
		if r.To == nil && !route.Answers() {
			route.To = []ir.Destination{{Service: s.Name, Weight: 1, Pos: route.Pos}}
		}
		l.weights(at, r, &route)
		if m := r.Mirror; m != nil && !route.Answers() {
			d := &spec.Destination{Pos: m.Pos, Service: m.Service, Version: m.Version}
			if dest, ok := l.serviceDestination(at.field("mirror"), s, d); ok {
				route.Mirror = &ir.Mirror{Destination: dest, Percent: m.Percent.Or(100)}
			}
		}
		if len(route.To) > 0 || route.Answers() {
			out = append(out, route)
		}
	}
	l.routeNames(here, out)
	return out
}

// serviceDestination is where a route of s sends requests: to s itself, or to
// another service in its place.
func (l *linker) serviceDestination(here place, s *ir.Service, d *spec.Destination) (ir.Destination, bool) {
	dest := ir.Destination{
		Service: d.Service.Or(s.Name), Version: d.Version.Value, Port: d.Port.Value,
		Weight: uint32(d.Weight.Or(1)), Pos: here.pos(d.Pos),
	}
	to := l.declaredServices[dest.Service]
	if to == nil {
		if l.externals[dest.Service].spec != nil {
			l.add(diag.NotSupported, here.field("service"), "a service's route to an external is not supported yet",
				here.pos(d.Service.Pos)).
				hint("send the requests to a service that uses it")
			return dest, false
		}
		l.unknown(diag.UnknownCallee, here.field("service"), "service", dest.Service, sortedKeys(l.declaredServices),
			d.Service.Pos)
		return dest, false
	}
	l.version(here, &to.Upstream, d)
	if d.Port.IsSet() {
		l.httpPort(here, to.Name, to.Ports, d.Port)
		return dest, to.Port(d.Port.Value) != nil
	}
	return dest, to == s || l.portInPlace(here, s, to, d, &dest)
}

// portInPlace is the port of another service that takes the place of the ports of
// s: its only one, or those of the same names.
func (l *linker) portInPlace(here place, s, to *ir.Service, d *spec.Destination, dest *ir.Destination) bool {
	http := httpPorts(to.Ports)
	if len(http) == 1 {
		dest.Port = http[0]
		return true
	}
	for _, name := range httpPorts(s.Ports) {
		if !slices.Contains(http, name) {
			l.add(diag.AmbiguousPort, here,
				fmt.Sprintf("%s has %d ports that speak HTTP, and none named %s: which takes its requests?", to.Name,
					len(http), name), here.pos(d.Pos), to.Pos).
				hint("write port: %q", append(http, "NAME")[0])
			return false
		}
	}
	return true
}

func httpPorts(ports []ir.Port) []string {
	var names []string
	for _, p := range ports {
		if p.Protocol.IsHTTP() {
			names = append(names, p.Name)
		}
	}
	return names
}

// version makes sure that a destination's version exists.
func (l *linker) version(here place, s *ir.Upstream, d *spec.Destination) {
	if !d.Version.IsSet() || s.Version(d.Version.Value) != nil {
		return
	}
	var names []string
	for _, v := range s.Versions {
		names = append(names, v.Name)
	}
	l.add(diag.UnknownVersion, here.field("version"), fmt.Sprintf("%s has no version %q", s.Name, d.Version.Value),
		here.pos(d.Version.Pos), s.Pos).
		hint("%s", l.didYouMean(d.Version.Value, names))
}

// httpPort makes sure that a destination's port exists and speaks HTTP.
func (l *linker) httpPort(here place, of string, ports []ir.Port, f spec.Field[string]) {
	for _, p := range ports {
		if p.Name != f.Value {
			continue
		}
		if !p.Protocol.IsHTTP() {
			l.add(diag.NoEffect, here.field("port"),
				fmt.Sprintf("a route cannot send requests to port %s, which speaks %s", p.Name, p.Protocol),
				here.pos(f.Pos), p.Pos)
		}
		return
	}
	l.add(diag.UnknownPort, here.field("port"), fmt.Sprintf("%s has no port %q", of, f.Value), here.pos(f.Pos)).
		hint("%s", l.didYouMean(f.Value, portNames(ports)))
}

// route makes a route without its destinations.
func (l *linker) route(here place, owner string, r *spec.Route) ir.Route {
	route := ir.Route{Name: r.Name.Value, Pos: here.pos(r.Pos), Traffic: l.traffic(here, r.Traffic())}
	var t template
	if m := r.Match; m != nil {
		at := here.field("match")
		route.Match = ir.Match{Host: strings.ToLower(m.Host.Value), Method: m.Method.Value}
		route.Match.Path, t = l.pathMatch(at.field("path"), m.Path)
		if m.GRPC != nil {
			route.Match.Path = l.grpcMatch(at.field("grpc"), m)
		}
		route.Match.Headers = l.headerMatches(at.field("headers"), m.Headers)
		route.Match.Query = l.queryMatches(at.field("query"), m.Query)
		for i := range route.Match.Query {
			q := &route.Match.Query[i]
			if f := m.Query[q.Name].Invert; f.Value {
				l.add(diag.NoEffect, at.field("query."+q.Name+".invert"),
					"invert cannot take effect on a query parameter", here.pos(f.Pos)).
					hint("present: false takes the requests without it; or put the route for those that match first")
				q.Invert = false
			}
		}
	}
	if route.Name == "" {
		route.Name = describe(route.Match)
		if m := r.Match; m != nil && m.Path != nil && m.Path.Template.IsSet() {
			route.Name = strings.Replace(route.Name, describePath(route.Match.Path), m.Path.Template.Value, 1)
		}
	}
	l.actions(here, owner, r, &route, t)
	return route
}

// weights refuses destinations that no request would reach.
func (l *linker) weights(here place, r *spec.Route, route *ir.Route) {
	if r.To != nil && len(r.To) == 0 {
		l.add(diag.NoDestination, here.field("to"), "to is empty, so the requests have no destination", route.Pos).
			hint("omit to for any instance")
		return
	}
	var sum uint64
	for _, d := range route.To {
		sum += uint64(d.Weight)
	}
	if len(route.To) == len(r.To) && len(r.To) > 0 && sum == 0 {
		l.add(diag.NoWeight, here.field("to"), "the weights sum to 0, so the requests have no destination",
			route.To[0].Pos).
			hint("weights are shares of each other: 90 and 10, or 9 and 1")
	}
	if sum > 1<<32-1 {
		l.add(diag.OutOfRange, here.field("to"), "the weights sum to more than 4294967295", route.To[0].Pos)
	}
}

// routeNames refuses two routes of one name, as statistics and diffs could not
// tell them apart. Routes without names that match the same are hidden ones,
// which is said elsewhere; they get a number to go on with.
func (l *linker) routeNames(here place, routes []ir.Route) {
	first := map[string]int{}
	for i := range routes {
		r := &routes[i]
		j, twice := first[r.Name]
		if !twice {
			first[r.Name] = i
			continue
		}
		if r.Name != describe(r.Match) || routes[j].Name != describe(routes[j].Match) {
			l.add(diag.DuplicateRoute, here.field(fmt.Sprintf("routes[%d].name", i)),
				fmt.Sprintf("two routes have the name %q", r.Name), r.Pos, routes[j].Pos)
		}
		r.Name = fmt.Sprintf("%s (%d)", r.Name, i+1)
	}
}
