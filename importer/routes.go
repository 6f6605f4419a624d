package importer

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/spec"
)

// Hosted are the routes for requests to one host; "" and "*" mean every host. A route that already matches listeners
// or a more specific host keeps them.
type Hosted struct {
	Host   string
	Routes []*spec.Route
}

// Routed combines the routes of a gateway into one list, because other projects have a separate list for each host.
// Routes of the most specific host come first. They end with a 404 route if the routes of a less specific host would
// otherwise match the remaining requests. Within a host, routes that match all requests come last.
func Routed(hosts []Hosted) []*spec.Route {
	var merged []Hosted
	for _, h := range hosts {
		if h.Host == "*" {
			h.Host = ""
		}
		if i := slices.IndexFunc(merged, func(m Hosted) bool { return m.Host == h.Host }); i >= 0 {
			merged[i].Routes = append(merged[i].Routes, h.Routes...)
			continue
		}
		merged = append(merged, h)
	}
	slices.SortStableFunc(merged, func(a, b Hosted) int { return MoreSpecific(a.Host, b.Host) })
	var out []*spec.Route
	for i, h := range merged {
		slices.SortStableFunc(h.Routes, func(a, b *spec.Route) int { return rankOf(a) - rankOf(b) })
		var own []*spec.Route
		for _, r := range h.Routes {
			if slices.ContainsFunc(own, func(before *spec.Route) bool { return reflect.DeepEqual(before, r) }) {
				continue
			}
			own = append(own, r)
		}
		if slices.ContainsFunc(merged[i+1:], func(m Hosted) bool { return Covers(m.Host, h.Host) }) {
			own = append(own, leftover(own)...)
		}
		for _, r := range own {
			h.place(r)
		}
		out = append(out, own...)
	}
	NameApart(out)
	return out
}

func rankOf(r *spec.Route) int {
	if takesAll(r) {
		return 1
	}
	return 0
}

// leftover returns routes that answer 404 to the requests that a host's routes do not match, for the same listeners;
// none if the routes match all requests.
func leftover(own []*spec.Route) []*spec.Route {
	listeners := map[string]bool{} // those whose requests may be left
	everywhere := len(own) == 0
	for _, r := range own {
		at := listenersOf(r)
		everywhere = everywhere || at == nil
		for _, name := range at {
			listeners[name] = true
		}
	}
	for _, r := range own {
		if !takesAll(r) {
			continue
		}
		if at := listenersOf(r); at == nil {
			return nil
		} else {
			for _, name := range at {
				delete(listeners, name)
			}
		}
	}
	rest := &spec.Route{DirectResponse: &spec.DirectResponse{Status: spec.Written(404)}}
	if !everywhere {
		if len(listeners) == 0 {
			return nil
		}
		At(rest, slices.Sorted(maps.Keys(listeners)))
	}
	return []*spec.Route{rest}
}

// place limits a route to the host, unless it is already limited to a more specific one.
func (h *Hosted) place(r *spec.Route) {
	if h.Host == "" || r.Match != nil && r.Match.Host.IsSet() {
		return
	}
	if r.Match == nil {
		r.Match = &spec.Match{}
	}
	r.Match.Host = spec.Written(h.Host)
}

// At limits a route to listeners with these names; nil means all listeners.
func At(r *spec.Route, listeners []string) {
	if listeners == nil {
		return
	}
	if r.Match == nil {
		r.Match = &spec.Match{}
	}
	r.Match.Listeners = spec.WrittenAll(listeners...)
}

func listenersOf(r *spec.Route) []string {
	if r.Match == nil {
		return nil
	}
	var out []string
	for _, f := range r.Match.Listeners {
		out = append(out, f.Value)
	}
	return out
}

// Ended returns the routes of a service with one at the end that answers 404 to the requests that none of them takes,
// as other meshes do: without it these requests would go to any instance.
func Ended(routes []*spec.Route) []*spec.Route {
	if len(routes) == 0 || slices.ContainsFunc(routes, takesAll) {
		return routes
	}
	return append(routes, &spec.Route{DirectResponse: &spec.DirectResponse{Status: spec.Written(404)}})
}

// Tidied returns the routes of a service without destinations that mean "any instance". It returns nil if only a
// route without any setting remains.
func Tidied(routes []*spec.Route) []*spec.Route {
	for _, r := range routes {
		if len(r.To) == 1 && *r.To[0] == (spec.Destination{}) {
			r.To = nil
		}
	}
	if len(routes) == 1 && reflect.DeepEqual(*routes[0], spec.Route{}) {
		return nil
	}
	NameApart(routes)
	return routes
}

// NameApart adds numbers to the names of routes that have the same name.
func NameApart(routes []*spec.Route) {
	count := map[string]int{}
	for _, r := range routes {
		if !r.Name.IsSet() {
			continue
		}
		name := r.Name.Value
		if count[name]++; count[name] > 1 {
			r.Name.Value = fmt.Sprintf("%s %d", name, count[name])
		}
	}
}

func takesAll(r *spec.Route) bool {
	m := r.Match
	return m == nil || !m.Host.IsSet() && m.GRPC == nil && !m.Method.IsSet() && m.Headers == nil && m.Query == nil &&
		(m.Path == nil || m.Path.Prefix.Value == "/")
}

// MoreSpecific compares two hosts for sorting: exact hosts come before wildcards, longer ones before shorter ones,
// and "any host" comes last.
func MoreSpecific(a, b string) int {
	rank := func(host string) int {
		switch {
		case host == "" || host == "*":
			return 0
		case strings.HasPrefix(host, "*."):
			return len(host)
		}
		return 1000 + len(host)
	}
	return rank(b) - rank(a)
}

// Covers reports whether the host wide, which is exact or has a wildcard, matches every host that narrow matches.
func Covers(wide, narrow string) bool {
	if wide == "" || wide == "*" || wide == narrow {
		return true
	}
	suffix, ok := strings.CutPrefix(wide, "*")
	return ok && strings.HasSuffix(narrow, suffix) && narrow != "" && narrow != "*"
}

// Intersect returns the host that matches what both hosts match, and false if there is none.
func Intersect(a, b string) (string, bool) {
	switch {
	case Covers(a, b):
		return b, true
	case Covers(b, a):
		return a, true
	}
	return "", false
}

// IsHidden reports whether one of some routes takes all requests of a match, as far as this is obvious.
func IsHidden(routes []*spec.Route, m *spec.Match) bool {
	return slices.ContainsFunc(routes, func(r *spec.Route) bool { return Hides(r.Match, m) })
}

// Hides reports whether a match takes all requests that another one does, as far as this is obvious.
func Hides(a, b *spec.Match) bool {
	if a == nil {
		return true
	}
	if b == nil {
		b = &spec.Match{}
	}
	if a.Listeners != nil && (b.Listeners == nil ||
		slices.ContainsFunc(b.Listeners, func(f spec.Field[string]) bool { return !slices.Contains(a.Listeners, f) })) {
		return false
	}
	asks := func(of, other map[string]*spec.StringMatch) bool {
		for name, value := range of {
			if !reflect.DeepEqual(other[name], value) {
				return false
			}
		}
		return true
	}
	if a.Method.IsSet() && a.Method != b.Method || a.Host.IsSet() && a.Host != b.Host || !asks(a.Headers, b.Headers) ||
		!asks(a.Query, b.Query) {
		return false
	}
	if a.GRPC != nil {
		return reflect.DeepEqual(a.GRPC, b.GRPC)
	}
	return a.Path == nil || hidesPath(a.Path, b.Path)
}

func hidesPath(a, b *spec.PathMatch) bool {
	switch {
	case a.Prefix.Value == "/":
		return true
	case b == nil:
		return false
	case a.Prefix.IsSet():
		return strings.HasPrefix(b.Exact.Value, a.Prefix.Value) || strings.HasPrefix(b.Prefix.Value, a.Prefix.Value)
	case a.Exact.IsSet():
		return b.Exact == a.Exact
	}
	return a.Regex.IsSet() && a.Regex == b.Regex
}
