package foreign

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/spec"
)

// Hosted are the routes for the requests that name a host, "" or "*" for any, and that come to some
// listeners; nil for all.
type Hosted struct {
	Host      string
	Listeners []string
	Routes    []*spec.Route
}

// Routed are the routes of a gateway, on which each host has its own in other meshes: the most
// specific host comes first, and its routes end with a 404 where those of a wider host would take what they
// leave.
func Routed(hosts []Hosted) []*spec.Route {
	var merged []Hosted
	for _, h := range hosts {
		if h.Host == "*" {
			h.Host = ""
		}
		if i := slices.IndexFunc(merged, func(m Hosted) bool { return m.Host == h.Host && slices.Equal(m.Listeners, h.Listeners) }); i >= 0 {
			merged[i].Routes = append(merged[i].Routes, h.Routes...)
			continue
		}
		merged = append(merged, h)
	}
	slices.SortStableFunc(merged, func(a, b Hosted) int { return MoreSpecific(a.Host, b.Host) })
	var out []*spec.Route
	for i, h := range merged {
		for n, r := range h.Routes {
			if slices.ContainsFunc(h.Routes[:n], func(before *spec.Route) bool { return same(before, r) }) {
				continue
			}
			h.place(r)
			out = append(out, r)
		}
		wider := slices.ContainsFunc(merged[i+1:], func(m Hosted) bool { return m.Host != h.Host && Covers(m.Host, h.Host) && m.meets(h) })
		if wider && !slices.ContainsFunc(h.Routes, takesAll) {
			rest := &spec.Route{DirectResponse: &spec.DirectResponse{Status: spec.Written(404)}}
			h.place(rest)
			out = append(out, rest)
		}
	}
	NameApart(out)
	return out
}

// place makes a route one for the host and the listeners.
func (h *Hosted) place(r *spec.Route) {
	if h.Host == "" && h.Listeners == nil {
		return
	}
	if r.Match == nil {
		r.Match = &spec.Match{}
	}
	if h.Host != "" {
		r.Match.Host = spec.Written(h.Host)
	}
	if h.Listeners != nil {
		r.Match.Listeners = spec.WrittenAll(h.Listeners...)
	}
}

// meets reports whether some listener is both's.
func (h *Hosted) meets(other Hosted) bool {
	return h.Listeners == nil || other.Listeners == nil || slices.ContainsFunc(h.Listeners, func(name string) bool { return slices.Contains(other.Listeners, name) })
}

// same reports whether two routes say the same, whether or not their host is written yet.
func same(a, b *spec.Route) bool {
	first, second := *a, *b
	first.Match, second.Match = withoutHost(a.Match), withoutHost(b.Match)
	return reflect.DeepEqual(first, second)
}

func withoutHost(m *spec.Match) *spec.Match {
	if m == nil {
		return &spec.Match{}
	}
	out := *m
	out.Host, out.Listeners = spec.Field[string]{}, nil
	return &out
}

// Tidied are the routes of a service without what need not be said: that all go to any instance.
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

// NameApart numbers the routes that have the name of another one.
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
	return m == nil || m.GRPC == nil && !m.Method.IsSet() && m.Headers == nil && m.Query == nil && (m.Path == nil || m.Path.Prefix.Value == "/")
}

// MoreSpecific orders hosts: exact ones before wildcards, longer ones before shorter, and any host
// last.
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

// Covers reports whether a host, exact or with a wildcard, takes all that another takes.
func Covers(wide, narrow string) bool {
	if wide == "" || wide == "*" || wide == narrow {
		return true
	}
	suffix, ok := strings.CutPrefix(wide, "*")
	return ok && strings.HasSuffix(narrow, suffix) && narrow != "" && narrow != "*"
}

// Intersect is the host that both take, and whether there is one.
func Intersect(a, b string) (string, bool) {
	switch {
	case Covers(a, b):
		return b, true
	case Covers(b, a):
		return a, true
	}
	return "", false
}
