package diff

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

// about collects the conditions of one mesh for a space.
type about struct {
	*space
	mesh *ir.Mesh
	// doors are the meshes whose rules a request may meet.
	doors []*ir.Mesh
	known map[string]bool // rules, by service and how their paths are rewritten
}

// callee adds the routes of a service, and the rules at the ends of them. First are routes that lead to it.
func (a *about) callee(s *ir.Service, first ...*ir.Route) {
	if s == nil {
		return
	}
	for i := range s.Routes {
		r := &s.Routes[i]
		by := append(first[:len(first):len(first)], r)
		a.route(atRoute, r, first, false)
		a.ends = max(a.ends, services(r))
		a.rewritten(by)
		for _, d := range r.To {
			a.rules(a.mesh.Service(d.Service), by)
		}
	}
	a.rules(s, first)
}

// services is how many services a route leads to.
func services(r *ir.Route) int {
	known := map[string]bool{}
	for _, d := range r.To {
		known[d.Service] = true
	}
	return len(known)
}

// route adds what a route asks of requests that came by others, and of those that it answers itself by cors.
func (a *about) route(at stage, r *ir.Route, before []*ir.Route, matters bool) {
	m := &r.Match
	c := condition{headers: asked(m.Headers), query: asked(m.Query), matters: matters, stage: at}
	if m.Method != "" {
		c.methods = []string{m.Method}
	}
	if m.Host != "" {
		c.host = func(host string) bool { return ir.HostCovers(m.Host, host) }
	}
	if m.Path.Kind != "" {
		takes := matcher(pattern(m.Path.Kind, m.Path.Value))
		c.path = func(path string) bool { return takes(goesOnAs(before, path)) }
		a.pathPattern(pattern(m.Path.Kind, m.Path.Value), m.Path.Value, before)
	}
	a.conditions = append(a.conditions, c)
	if preflight, possible := c.preflight(r); possible {
		a.conditions = append(a.conditions, preflight)
	}
}

// preflight is the condition of the preflight requests among those that a route with cors takes; false where it takes
// none.
func (c condition) preflight(r *ir.Route) (condition, bool) {
	if r.CORS == nil || c.methods != nil && !slices.Contains(c.methods, http.MethodOptions) {
		return condition{}, false
	}
	said := func(name string) ir.StringMatch { return ir.StringMatch{Name: name, Kind: ir.MatchRegex, Value: ".+"} }
	c.methods = []string{http.MethodOptions}
	c.headers = append(slices.Clone(c.headers),
		asked([]ir.StringMatch{said("access-control-request-method"), said("origin")})...)
	return c, true
}

// goesOnAs is a path as the routes of a service see it behind a gateway's.
func goesOnAs(before []*ir.Route, path string) string {
	if len(before) == 0 {
		return path
	}
	return try.Arrives(before, path)
}

func matcher(pattern string) func(string) bool {
	re, err := regexp.Compile(`^(?s:` + pattern + `)$`)
	if err != nil {
		return func(string) bool { return false }
	}
	return re.MatchString
}

// rules adds those of a service for requests that come by the routes.
func (a *about) rules(s *ir.Service, by []*ir.Route) {
	if s == nil {
		return
	}
	changes := ""
	if len(by) > 0 {
		if p, substitution, ok := ir.RewrittenPath(by); ok {
			changes = p + "\x00" + substitution
		}
		for _, r := range by {
			changes += fmt.Sprintf("\x00%v", r.Headers.Request)
		}
	}
	if key := s.Name + "\x00" + changes; a.known[key] {
		return
	} else {
		a.known[key] = true
	}
	for _, m := range a.doors {
		a.door(m.Service(s.Name), by)
	}
}

func (a *about) door(s *ir.Service, by []*ir.Route) {
	if s == nil {
		return
	}
	a.guards(&s.Guards, s.Ports, by, atRule)
	for i := range s.Probes {
		a.probe(s.Probes[i].Kind, s.Probes[i].Path, by)
	}
	if s.Health != nil {
		a.probe(s.Health.Kind, s.Health.Path, by)
	}
}

// guards adds the rules of a member, for requests that come by the routes.
func (a *about) guards(s *ir.Guards, ports []ir.Port, by []*ir.Route, at stage) {
	for _, rules := range [][]ir.Rule{s.Deny, s.Allow} {
		for i := range rules {
			if r := &rules[i]; !r.Audit {
				headers, possible := edited(r.Headers, by)
				if !possible {
					continue
				}
				c := condition{headers: headers, jwt: r.JWT, ranges: r.IPRanges, until: r.Until, stage: at}
				if len(r.Methods) > 0 {
					c.methods = r.Methods
				}
				if len(r.Hosts) > 0 {
					c.host = func(host string) bool {
						return slices.ContainsFunc(r.Hosts, func(h string) bool { return try.RuleHost(h, host) })
					}
				}
				if len(r.Paths) > 0 {
					c.path = func(path string) bool {
						arrived := goesOnAs(by, path)
						return slices.ContainsFunc(r.Paths, func(p string) bool { return try.RulePath(p, arrived) })
					}
				}
				for _, p := range r.Paths {
					a.rulePath(p, by)
				}
				a.conditions = append(a.conditions, c)
			}
		}
	}
	for i := range ports { // without a token, and with one that no rule asks for
		if issuers := s.TokenIssuers(&ports[i]); len(issuers) > 0 {
			a.conditions = append(a.conditions, condition{token: func(t *try.Token) bool { return t == nil }},
				condition{token: func(t *try.Token) bool { return t != nil && slices.Contains(issuers, t.Issuer) }})
		}
	}
}

// asked are matches of what a request has by itself.
func asked(list []ir.StringMatch) (out []textMatch) {
	for _, m := range list {
		out = append(out, textMatch{StringMatch: m})
	}
	return out
}

// edited is what is asked of the headers of a request before routes edit them; possible is false when no request has
// such headers behind them.
func edited(list []ir.StringMatch, by []*ir.Route) (out []textMatch, possible bool) {
	for _, m := range list {
		given, asked := true, textMatch{StringMatch: m} // given is whether the request's own values count
		for _, r := range by {
			e := &r.Headers.Request
			is := func(h ir.Header) bool { return h.Name == m.Name }
			if slices.Contains(e.Remove, m.Name) || slices.ContainsFunc(e.Set, is) {
				given, asked.added = false, nil
			}
			for _, h := range slices.Concat(e.Set, e.Add) {
				if is(h) {
					asked.added = append(asked.added, h.Value)
				}
			}
		}
		switch {
		case given:
			out = append(out, asked)
		case !try.Holds(m, asked.added):
			return nil, false
		}
	}
	return out, true
}

// probe adds a request that is let in as a probe.
func (a *about) probe(kind ir.HealthKind, path string, by []*ir.Route) {
	method := []string{"GET"}
	switch kind {
	case ir.HealthTCP:
		return
	case ir.HealthGRPC:
		method, path = []string{"POST"}, ir.GRPCHealthPath
	}
	path, _, _ = strings.Cut(path, "?")
	a.rulePath(path, by)
	a.conditions = append(a.conditions,
		condition{methods: method, path: func(p string) bool { return goesOnAs(by, p) == path }})
}

func (a *about) rulePath(path string, by []*ir.Route) {
	if below, all := strings.CutSuffix(path, "*"); all {
		a.pathPattern(quote(below)+".*", below, by)
		return
	}
	a.pathPattern(quote(path), path, by)
}

// pathPattern adds a pattern of paths, whose beginning is literal, and one of those that the routes rewrite to such.
func (a *about) pathPattern(pattern, literal string, by []*ir.Route) {
	a.addPath(pattern)
	if len(by) == 0 {
		return
	}
	from, to, ok := ir.RewrittenPath(by)
	if !ok {
		return
	}
	prefix, anchored := strings.CutPrefix(from, "^")
	if before, optional := strings.CutSuffix(prefix, "/?"); optional {
		prefix = before + "/"
	}
	re, err := regexp.Compile(prefix)
	if err != nil || !anchored {
		return
	}
	if front, whole := re.LiteralPrefix(); whole {
		to = strings.ReplaceAll(to, `\\`, `\`)
		if rest, longer := strings.CutPrefix(literal, to); longer {
			tail := strings.TrimPrefix(pattern, quote(literal))
			a.addPath(quote(front) + quote(rest) + tail)
		}
	}
}

// rewritten adds the paths that routes rewrite.
func (a *about) rewritten(by []*ir.Route) {
	if from, to, ok := ir.RewrittenPath(by); ok {
		a.addPath(quote(strings.ReplaceAll(to, `\\`, `\`))) // which stays as it is
		a.conditions = append(a.conditions,
			condition{path: func(path string) bool { return try.Arrives(by, path) != path }})
		if leaves, possible := ir.Leaves(by); possible {
			a.addPath(leaves)
			a.conditions = append(a.conditions, condition{path: matcher(leaves)})
		}
		if anchored, is := strings.CutPrefix(from, "^"); is {
			a.addPath("(?:" + strings.TrimSuffix(anchored, "$") + ").*")
			return
		}
		a.addPath(".*(?:" + from + ").*")
	}
}

func (a *about) addPath(pattern string) {
	if !slices.Contains(a.paths, pattern) {
		a.paths = append(a.paths, pattern)
	}
}

// clients are requests with a key of a client of a gateway, or with a password.
func (a *about) clients(g *ir.Gateway) {
	if g.APIKeyHeader != "" {
		a.conditions = append(a.conditions, condition{stage: atDoor, headers: asked([]ir.StringMatch{
			{Name: g.APIKeyHeader, Kind: ir.MatchPresent},
		})})
	}
	if g.ByPassword() {
		a.conditions = append(a.conditions, condition{stage: atDoor, headers: asked([]ir.StringMatch{
			{Name: "authorization", Kind: ir.MatchPrefix, Value: "Basic "},
		})})
	}
}

func quote(text string) string { return regexp.QuoteMeta(text) }

// gateway adds the routes of a gateway, and what they lead to. Matters are the routes that the meshes may differ in.
func (a *about) gateway(g *ir.Gateway, listener string, matters func(*ir.Route) bool) {
	if g == nil {
		return
	}
	for i := range g.Listeners {
		for _, h := range g.Listeners[i].Hosts {
			a.conditions = append(a.conditions,
				condition{host: func(host string) bool { return ir.HostCovers(h, host) }})
		}
	}
	for _, m := range a.doors {
		if door := m.Gateway(g.Name); door != nil {
			a.guards(&door.Guards, door.Doors(), nil, atDoor)
			a.clients(door)
		}
	}
	for i := range g.Routes {
		r := &g.Routes[i]
		if !r.Match.At(listener) {
			continue
		}
		a.route(atGateway, r, nil, matters(r))
		a.ends = max(a.ends, services(r))
		a.rewritten([]*ir.Route{r})
		if len(r.To) > 0 && r.GoesOn() {
			a.callee(a.mesh.Service(r.To[0].Service), r)
			continue
		}
		for _, d := range r.To {
			a.rules(a.mesh.Service(d.Service), []*ir.Route{r})
		}
	}
}
