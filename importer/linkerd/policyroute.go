package linkerd

import (
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
	"github.com/meshc/meshc/importer/gatewayapi"
)

// policyRoute is a route whose parent is a Server: requests that policies may be for.
type policyRoute struct {
	object  *importer.Object
	matches []gatewayapi.Ranked
	callers []callers
}

// policyRoutes reads the routes of Servers, by their group, kind and NAMESPACE/NAME.
func (m *reader) policyRoutes(servers map[string]*server) map[[3]string]*policyRoute {
	out := map[[3]string]*policyRoute{}
	for _, o := range m.objects {
		if o.Kind != "HTTPRoute" && o.Kind != "GRPCRoute" || !hasParent(o, "Server") {
			continue
		}
		r := &policyRoute{object: o, matches: m.sayable(o)}
		out[[3]string{o.Group(), o.Kind, o.Metadata.Namespace + "/" + o.Metadata.Name}] = r
		for i, p := range parents(o) {
			s := servers[o.Metadata.Namespace+"/"+p.Name]
			if p.Kind != "Server" || s == nil {
				m.NotCarried(o, "no Server "+o.Metadata.Namespace+"/"+p.Name+" was read, or another of its parents is one", "spec",
					"parentRefs", strconv.Itoa(i))
				continue
			}
			s.routes = append(s.routes, r)
		}
	}
	return out
}

// sayable are the requests of a route of a Server. Those that rules cannot say are told, and nobody is let in with
// them.
func (m *reader) sayable(o *importer.Object) []gatewayapi.Ranked {
	var d struct {
		Hostnames []string `json:"hostnames"`
	}
	if !m.DecodePart(o, "spec", &d) || len(d.Hostnames) > 0 {
		m.NotCarried(o, "rules of a service have no hosts, so nobody is let in for it", "spec", "hostnames")
		return nil
	}
	var out []gatewayapi.Ranked
	for _, match := range gatewayapi.Matches(m.Mesh, o) {
		if match.Match == nil {
			match.Match = &spec.Match{}
		}
		if p := match.Path; match.Query != nil || p != nil && (p.Regex.IsSet() || strings.Contains(
			p.Exact.Value+p.Prefix.Value, "*")) {
			m.NotCarried(o, "rules have no regular expressions for paths, no query parameters, and no * but for others, so "+
				"nobody is let in for these requests", "spec", "rules")
			continue
		}
		out = append(out, match)
	}
	return out
}

// overlaps reports whether two matches may take the same request; it may say so of some that do not.
func overlaps(a, b *spec.Match) bool {
	if a.Method.IsSet() && b.Method.IsSet() && a.Method != b.Method {
		return false
	}
	first, whole := pathOf(a)
	second, entire := pathOf(b)
	switch {
	case whole && entire:
		return first == second
	case whole:
		return strings.HasPrefix(first, second)
	case entire:
		return strings.HasPrefix(second, first)
	}
	return strings.HasPrefix(first, second) || strings.HasPrefix(second, first)
}

// pathOf is the path that a match takes, or else what it begins with.
func pathOf(m *spec.Match) (text string, whole bool) {
	switch {
	case m.GRPC != nil && m.GRPC.Method.IsSet():
		return "/" + m.GRPC.Service.Value + "/" + m.GRPC.Method.Value, true
	case m.GRPC != nil:
		return "/" + m.GRPC.Service.Value + "/", false
	case m.Path == nil:
		return "/", false
	case m.Path.Exact.IsSet():
		return m.Path.Exact.Value, true
	}
	return m.Path.Prefix.Value, false
}

// restrict narrows a rule to the requests that a match takes.
func restrict(rule *spec.Rule, match *spec.Match) {
	if match.Method.IsSet() {
		rule.Methods = spec.WrittenAll(match.Method.Value)
	}
	if p := match.Path; p != nil && p.Exact.IsSet() {
		rule.Paths = spec.WrittenAll(p.Exact.Value)
	} else if p != nil && p.Prefix.Value != "/" {
		rule.Paths = spec.WrittenAll(p.Prefix.Value + "*")
	}
	rule.GRPC, rule.Headers = match.GRPC, match.Headers
}
