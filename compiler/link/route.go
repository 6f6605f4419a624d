package link

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/compiler/spec"
)

// serviceRoutes links the routes of a service.
func (l *linker) serviceRoutes(s *ir.Service, h home[spec.Service]) []ir.Route {
	path := "services." + s.Name
	if len(h.spec.Routes) > 0 {
		l.requestsOnly(h.unit, path+".routes", s.Ports, "a route of "+s.Name, h.spec.Routes[0].Pos)
	}
	var out []ir.Route
	for i, r := range h.spec.Routes {
		at := fmt.Sprintf("%s.routes[%d]", path, i)
		route := l.route(h.unit, at, r)
		if r.Match != nil && r.Match.Host.IsSet() {
			l.add(diag.NoEffect, at+".match.host", "host cannot take effect in a service's route: callers name the service itself", h.unit.At(r.Match.Host.Pos)).
				hint("match by host in a gateway's route")
		}
		for j, d := range r.To {
			l.serviceDestination(h.unit, fmt.Sprintf("%s.to[%d]", at, j), s, d, &route)
		}
		if r.To == nil {
			route.To = []ir.Destination{{Service: s.Name, Weight: 1, Pos: route.Pos}}
		}
		l.weights(at, r, &route)
		out = append(out, route)
	}
	l.routeNames(path, out)
	return out
}

func (l *linker) serviceDestination(u *spec.Unit, path string, s *ir.Service, d *spec.Destination, route *ir.Route) {
	dest := ir.Destination{Service: s.Name, Version: d.Version.Value, Port: d.Port.Value, Weight: uint32(d.Weight.Or(1)), Pos: u.At(d.Pos)}
	if d.Service.IsSet() && d.Service.Value != s.Name {
		l.add(diag.NotSupported, path+".service", "a service's route that sends requests to another service is not supported yet", u.At(d.Service.Pos)).
			hint("take service out; a route here chooses among the versions of %s", s.Name)
		return
	}
	l.version(u, path, &s.Upstream, d)
	if d.Port.IsSet() {
		l.httpPort(u, path, s.Name, s.Ports, d.Port)
	}
	route.To = append(route.To, dest)
}

// version makes sure that a destination's version exists.
func (l *linker) version(u *spec.Unit, path string, s *ir.Upstream, d *spec.Destination) {
	if !d.Version.IsSet() || s.Version(d.Version.Value) != nil {
		return
	}
	var names []string
	for _, v := range s.Versions {
		names = append(names, v.Name)
	}
	l.add(diag.UnknownVersion, path+".version", fmt.Sprintf("%s has no version %q", s.Name, d.Version.Value), u.At(d.Version.Pos), s.Pos).
		hint("%s", l.didYouMean(d.Version.Value, names))
}

// httpPort makes sure that a destination's port exists and speaks HTTP.
func (l *linker) httpPort(u *spec.Unit, path, of string, ports []ir.Port, f spec.Field[string]) {
	for _, p := range ports {
		if p.Name != f.Value {
			continue
		}
		if !p.Protocol.IsHTTP() {
			l.add(diag.NoEffect, path+".port", fmt.Sprintf("a route cannot send requests to port %s, which speaks %s", p.Name, p.Protocol), u.At(f.Pos), p.Pos)
		}
		return
	}
	l.add(diag.UnknownPort, path+".port", fmt.Sprintf("%s has no port %q", of, f.Value), u.At(f.Pos)).
		hint("%s", l.didYouMean(f.Value, portNames(ports)))
}

// route makes a route without its destinations.
func (l *linker) route(u *spec.Unit, path string, r *spec.Route) ir.Route {
	route := ir.Route{Name: r.Name.Value, Pos: u.At(r.Pos), Traffic: l.traffic(u, path, r.Timeout, r.Retries)}
	if m := r.Match; m != nil {
		at := path + ".match"
		route.Match = ir.Match{
			Host: strings.ToLower(m.Host.Value), Method: m.Method.Value, Path: l.pathMatch(u, at+".path", m.Path),
			Headers: l.stringMatches(u, at+".headers", m.Headers), Query: l.stringMatches(u, at+".query", m.Query),
		}
	}
	if route.Name == "" {
		route.Name = describe(route.Match)
	}
	return route
}

func (l *linker) pathMatch(u *spec.Unit, path string, m *spec.PathMatch) ir.PathMatch {
	if m == nil {
		return ir.PathMatch{}
	}
	var out ir.PathMatch
	written := 0
	for _, alternative := range []struct {
		kind  ir.MatchKind
		field spec.Field[string]
	}{{ir.MatchExact, m.Exact}, {ir.MatchPrefix, m.Prefix}, {ir.MatchRegex, m.Regex}} {
		if alternative.field.IsSet() {
			written++
			out = ir.PathMatch{Kind: alternative.kind, Value: alternative.field.Value}
		}
	}
	if written != 1 {
		l.add(diag.ExactlyOneOf, path, fmt.Sprintf("path has %d of exact, prefix and regex, and must have exactly one", written), u.At(m.Pos)).
			hint(`path: prefix: "/api/"`)
	}
	if out.Kind == ir.MatchRegex {
		l.regex(path+".regex", out.Value, u.At(m.Regex.Pos))
	} else if strings.ContainsAny(out.Value, "?#") {
		l.add(diag.BadFormat, path, fmt.Sprintf("%q has a query or a fragment; a path is matched without them", out.Value), u.At(m.Pos)).
			hint("match query parameters with match: query")
	}
	return out
}

func (l *linker) stringMatches(u *spec.Unit, path string, matches map[string]*spec.StringMatch) []ir.StringMatch {
	var out []ir.StringMatch
	for _, name := range sortedKeys(matches) {
		m := matches[name]
		at := path + "." + name
		match := ir.StringMatch{Name: name}
		written := 0
		for _, alternative := range []struct {
			kind  ir.MatchKind
			field spec.Field[string]
		}{{ir.MatchExact, m.Exact}, {ir.MatchPrefix, m.Prefix}, {ir.MatchRegex, m.Regex}} {
			if alternative.field.IsSet() {
				written++
				match.Kind, match.Value = alternative.kind, alternative.field.Value
			}
		}
		if m.Present.IsSet() {
			written++
			match.Kind = ir.MatchAbsent
			if m.Present.Value {
				match.Kind = ir.MatchPresent
			}
		}
		if written != 1 {
			l.add(diag.ExactlyOneOf, at, fmt.Sprintf("%s has %d of exact, prefix, regex and present, and must have exactly one", name, written), u.At(m.Pos)).
				hint("%s: present: true", name)
			continue
		}
		if match.Kind == ir.MatchRegex {
			l.regex(at+".regex", match.Value, u.At(m.Regex.Pos))
		}
		out = append(out, match)
	}
	return out
}

func (l *linker) regex(path, expression string, pos source.Position) {
	if _, err := regexp.Compile(expression); err != nil {
		message := strings.TrimPrefix(err.Error(), "error parsing regexp: ")
		l.add(diag.BadRegex, path, fmt.Sprintf("regex is not good: %s", message), pos).
			hint("the syntax is RE2's: https://github.com/google/re2/wiki/Syntax")
	}
}

// weights refuses destinations that no request would reach.
func (l *linker) weights(path string, r *spec.Route, route *ir.Route) {
	if r.To != nil && len(r.To) == 0 {
		l.add(diag.NoDestination, path+".to", "to is empty, so the requests go nowhere", route.Pos).hint("leave to out for any instance")
		return
	}
	var sum uint64
	for _, d := range route.To {
		sum += uint64(d.Weight)
	}
	if len(route.To) == len(r.To) && len(r.To) > 0 && sum == 0 {
		l.add(diag.NoWeight, path+".to", "the weights sum to 0, so the requests go nowhere", route.To[0].Pos).
			hint("weights are shares of each other: 90 and 10, or 9 and 1")
	}
	if sum > 1<<32-1 {
		l.add(diag.OutOfRange, path+".to", "the weights sum to more than 4294967295", route.To[0].Pos)
	}
}

// routeNames refuses two routes of one name, as statistics and diffs could not
// tell them apart. Routes without names that match the same are hidden ones,
// which is said elsewhere; they get a number to go on with.
func (l *linker) routeNames(path string, routes []ir.Route) {
	first := map[string]int{}
	for i := range routes {
		r := &routes[i]
		j, twice := first[r.Name]
		if !twice {
			first[r.Name] = i
			continue
		}
		if r.Name != describe(r.Match) || routes[j].Name != describe(routes[j].Match) {
			l.add(diag.DuplicateRoute, fmt.Sprintf("%s.routes[%d].name", path, i), fmt.Sprintf("two routes have the name %q", r.Name), r.Pos, routes[j].Pos)
		}
		r.Name = fmt.Sprintf("%s (%d)", r.Name, i+1)
	}
}

// describe is a match in words: the name of a route that was given none.
func describe(m ir.Match) string {
	var words []string
	if m.Method != "" {
		words = append(words, m.Method)
	}
	words = append(words, m.Host+describePath(m.Path))
	for _, h := range m.Headers {
		words = append(words, "header "+describeString(h))
	}
	for _, q := range m.Query {
		words = append(words, "query "+describeString(q))
	}
	name := strings.TrimSpace(strings.Join(words, " "))
	if name == "" {
		return "default"
	}
	return name
}

func describePath(p ir.PathMatch) string {
	switch p.Kind {
	case ir.MatchPrefix:
		return p.Value + "*"
	case ir.MatchRegex:
		return "~" + p.Value
	}
	return p.Value
}

func describeString(m ir.StringMatch) string {
	switch m.Kind {
	case ir.MatchExact:
		return m.Name + "=" + m.Value
	case ir.MatchPrefix:
		return m.Name + "=" + m.Value + "*"
	case ir.MatchRegex:
		return m.Name + "~" + m.Value
	case ir.MatchAbsent:
		return "no " + m.Name
	}
	return m.Name
}
