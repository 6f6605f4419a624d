package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
)

// hiddenRoutes finds routes that an earlier one leaves nothing to.
func hiddenRoutes(m *subject) diag.List {
	var found diag.List
	for _, s := range m.Services {
		hidden(&found, "services."+s.Name, s.Routes)
	}
	for _, g := range m.Gateways {
		hidden(&found, "gateways."+g.Name, g.Routes)
	}
	return found
}

func hidden(found *diag.List, path string, routes []ir.Route) {
	for i := range routes {
		for j := range routes[:i] {
			if !subsumes(&routes[j].Match, &routes[i].Match) {
				continue
			}
			found.Add(diag.New(diag.HiddenRoute, fmt.Sprintf("%s.routes[%d]", path, i),
				fmt.Sprintf("route %q never matches: %q above it matches all its requests", routes[i].Name,
					routes[j].Name),
				routes[i].Pos, routes[j].Pos).
				WithHint("%s goes to %q; put the narrower route first", request(&routes[i].Match), routes[j].Name))
			break
		}
	}
}

// subsumes reports whether a takes every request that b takes. It may say no
// where the answer is yes (two different regular expressions), never the other
// way round.
func subsumes(a, b *ir.Match) bool {
	return hostCovers(a.Host, b.Host) &&
		listenersCover(a.Listeners, b.Listeners) &&
		pathCovers(a.Path, b.Path) &&
		(a.Method == "" || a.Method == b.Method) &&
		stringsCover(a.Headers, b.Headers) &&
		stringsCover(a.Query, b.Query)
}

// hostCovers reports whether a host, "*.DOMAIN", or "" for all, covers another.
func hostCovers(a, b string) bool {
	return a == "" || ir.HostCovers(a, b)
}

// listenersCover reports whether the listeners of a, nil for all, are those of b and maybe more.
func listenersCover(a, b []string) bool {
	return a == nil || len(b) > 0 &&
		!slices.ContainsFunc(b, func(name string) bool { return !slices.Contains(a, name) })
}

func pathCovers(a, b ir.PathMatch) bool {
	switch a.Kind {
	case "":
		return true
	case ir.MatchExact:
		return b == a
	case ir.MatchPrefix:
		if a.Value == "/" {
			return true // every path begins so
		}
		return (b.Kind == ir.MatchExact || b.Kind == ir.MatchPrefix) && strings.HasPrefix(b.Value, a.Value)
	default:
		if b.Kind == ir.MatchRegex && ungrouped.Replace(a.Value) == ungrouped.Replace(b.Value) {
			return true
		}
		return a.Value == ".*" || a.Value == "/.*" || b == a || b.Kind == ir.MatchExact && a.Takes(b.Value)
	}
}

// ungrouped takes the groups out that a template's variables make: they name what is
// matched, and match the same.
var ungrouped = strings.NewReplacer("([^/]+)", "[^/]+", "(.*)", ".*")

// stringsCover reports whether everything that a asks for, b asks for too.
func stringsCover(a, b []ir.StringMatch) bool {
	for _, asked := range a {
		if !slices.ContainsFunc(b, func(given ir.StringMatch) bool {
			return given.Name == asked.Name && implies(given, asked)
		}) {
			return false
		}
	}
	return true
}

// implies reports whether what matches a matches b.
func implies(a, b ir.StringMatch) bool {
	if a.Kind == b.Kind && a.Value == b.Value && a.Invert == b.Invert {
		return true
	}
	// A header may stand there twice, and then either value matches: that one is
	// another says nothing of the other.
	if a.Invert || b.Invert {
		return false
	}
	switch b.Kind {
	case ir.MatchPresent:
		return a.Kind != ir.MatchAbsent
	case ir.MatchPrefix:
		return (a.Kind == ir.MatchExact || a.Kind == ir.MatchPrefix) && strings.HasPrefix(a.Value, b.Value)
	case ir.MatchSuffix:
		return (a.Kind == ir.MatchExact || a.Kind == ir.MatchSuffix) && strings.HasSuffix(a.Value, b.Value)
	}
	return a.Kind == ir.MatchExact && b.Takes(a.Value)
}

// request is a request that the match takes, in words.
func request(m *ir.Match) string {
	method := m.Method
	if method == "" {
		method = "GET"
	}
	path := m.Path.Value
	switch m.Path.Kind {
	case "":
		path = "/"
	case ir.MatchRegex:
		path = "a path like " + path
	}
	if len(m.Query) > 0 {
		var parts []string
		for _, q := range m.Query {
			if q.Kind != ir.MatchAbsent {
				parts = append(parts, q.Name+"="+q.Value)
			}
		}
		if len(parts) > 0 {
			path += "?" + strings.Join(parts, "&")
		}
	}
	text := method + " " + strings.Replace(m.Host, "*", "a", 1) + path
	for _, h := range m.Headers {
		switch h.Kind {
		case ir.MatchAbsent:
			text += " without " + h.Name
		case ir.MatchPresent:
			text += " with " + h.Name
		case ir.MatchSuffix:
			text += fmt.Sprintf(" with %s: …%s", h.Name, h.Value)
		default:
			text += fmt.Sprintf(" with %s: %s", h.Name, h.Value)
		}
	}
	return text
}
