package check

import (
	"fmt"
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
			if !routes[j].Match.Covers(&routes[i].Match) {
				continue
			}
			at := fmt.Sprintf("%s.routes[%d]", path, i)
			if by := routes[i].ExposedBy; by != "" {
				at = "services." + by + ".expose"
			}
			found.Add(diag.New(diag.HiddenRoute, at,
				fmt.Sprintf("route %q never matches: %q above it matches all its requests", routes[i].Name,
					routes[j].Name),
				routes[i].Pos, routes[j].Pos).
				WithHint("%s goes to %q; put the narrower route first", request(&routes[i].Match), routes[j].Name))
			break
		}
	}
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
