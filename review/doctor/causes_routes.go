package doctor

import (
	"fmt"
	"slices"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/serve/telemetry"
)

// hiddenRoutes finds route-hidden: since a change a route gets no requests any more, and an earlier one that is new or
// another one takes them.
func hiddenRoutes(p *patient) (out []candidate) {
	if p.Mesh == nil {
		return nil
	}
	for _, e := range p.edges {
		if e.Client == nil || e.latest.Client == nil {
			continue
		}
		holder, now := e.callee, p.routesOf(e.callee)
		was, loaded := p.routesBefore(e.callee)
		if e.caller.Kind == ir.KindGateway {
			if before, at := p.routesBefore(e.caller); before != nil {
				holder, now, was, loaded = e.caller, p.routesOf(e.caller), before, at
			}
		}
		if was == nil {
			continue
		}
		taker := takesOver(e, was, now, loaded)
		if taker == nil {
			continue
		}
		c := candidate{sure: byState, since: loaded, next: "meshc try " + e.caller.String() + " …"}
		for _, s := range p.symptoms {
			if s.edge == e {
				c.explains = append(c.explains, s)
			}
		}
		subject := e.callee
		if holder.Kind == ir.KindGateway && e.callee.Name == "" {
			subject = holder
		}
		c.Verdict = Verdict{
			Cause: RouteHidden, Subject: subject.String(), Position: lineOf(taker.Pos), Party: ByMesh,
			Text: fmt.Sprintf("the route %q takes requests that went by later routes before the change at %s", taker.Name,
				loaded.Format(time.TimeOnly)),
		}
		c.next = "meshc diff --from HEAD~1"
		c.evidence = append(c.evidence, Evidence{
			fmt.Sprintf("%s: requests go by %q now", e.name(), taker.Name), "meshc top --by line",
		})
		out = append(out, c)
	}
	return out
}

// answeringRoutes finds route-hidden where the new route answers itself: its requests are no longer on the edge to the
// callee, but fail on that of its caller to its own proxy.
func answeringRoutes(p *patient) (out []candidate) {
	if p.Mesh == nil {
		return nil
	}
	for _, s := range p.symptoms {
		if s.edge.callee.Name != "" || s.edge.latest.Client == nil {
			continue
		}
		for _, callee := range p.Mesh.Services {
			ref := ir.ServiceRef(callee.Name)
			was, loaded := p.routesBefore(ref)
			taker := answersInstead(s.edge.latest.Client.Lines, was, callee.Routes)
			if taker == nil {
				continue
			}
			out = append(out, candidate{explains: []symptom{s}, sure: byState, since: loaded, Verdict: Verdict{
				Cause: RouteHidden, Subject: ref.String(), Position: lineOf(taker.Pos), Party: ByMesh,
				Text: fmt.Sprintf("the route %q answers itself what went by later routes of %s before the change at %s",
					taker.Name, callee.Name, loaded.Format(time.TimeOnly)),
			}, next: "meshc diff --from HEAD~1"})
		}
	}
	return out
}

// answersInstead is a route that is new, answers itself, has requests, and stands before one of before.
func answersInstead(lines []telemetry.Line, was, now []ir.Route) *ir.Route {
	known := func(r ir.Route) bool {
		return slices.ContainsFunc(was, func(o ir.Route) bool { return o.Name == r.Name })
	}
	for i := range now {
		r := &now[i]
		asked := slices.ContainsFunc(lines, func(l telemetry.Line) bool {
			return l.Name == r.Name && l.Source == r.Pos.String() && l.Requests > 0
		})
		if r.Answers() && asked && !known(*r) && slices.ContainsFunc(now[i+1:], known) {
			return r
		}
	}
	return nil
}

func (p *patient) routesOf(r ir.Ref) []ir.Route {
	switch r.Kind {
	case ir.KindService:
		if s := p.Mesh.Service(r.Name); s != nil {
			return s.Routes
		}
	case ir.KindGateway:
		if g := p.Mesh.Gateway(r.Name); g != nil {
			return g.Routes
		}
	}
	return nil
}

// routesBefore are those of before the last change of the routes; nil where they have not changed.
func (p *patient) routesBefore(r ir.Ref) ([]ir.Route, time.Time) {
	if r.Kind == ir.KindService {
		was, loaded := p.changedIn(r.Name, func(a, b *ir.Service) bool { return !ir.Same(a.Routes, b.Routes) })
		if was != nil {
			return was.Routes, loaded
		}
		return nil, loaded
	}
	after := p.Mesh
	for _, past := range slices.Backward(p.Past) {
		a, b := past.Mesh.Gateway(r.Name), after.Gateway(r.Name)
		if a != nil && b != nil && !ir.Same(a.Routes, b.Routes) {
			return a.Routes, past.Until
		}
		after = past.Mesh
	}
	return nil, time.Time{}
}

// takesOver is a route that is new, or that matches more than before, stands before one that had requests and gets
// none, and gets some.
func takesOver(e *edge, was, now []ir.Route, loaded time.Time) *ir.Route {
	asked := func(end *telemetry.End, name string) uint64 {
		n := uint64(0)
		for _, l := range end.Lines {
			if l.Name == name {
				n += l.Requests
			}
		}
		return n
	}
	if !e.settled(loaded) {
		return nil
	}
	for i := range now {
		r := &now[i]
		k := slices.IndexFunc(was, func(o ir.Route) bool { return o.Name == r.Name })
		fresh := k < 0 || !ir.Same(was[k].Match, r.Match) || slices.ContainsFunc(was[:k], func(o ir.Route) bool {
			return slices.ContainsFunc(now[i+1:], func(n ir.Route) bool { return n.Name == o.Name })
		})
		if !fresh || asked(e.latest.Client, r.Name) == 0 {
			continue
		}
		for later := i + 1; later < len(now); later++ {
			had := asked(e.Client, now[later].Name)
			known := slices.ContainsFunc(was, func(o ir.Route) bool { return o.Name == now[later].Name })
			if known && had > fewest && asked(e.latest.Client, now[later].Name)*4 < asked(e.latest.Client, r.Name) {
				return r
			}
		}
	}
	return nil
}

// settled reports whether an edge has had requests since then.
func (e *edge) settled(then time.Time) bool { return e.Client.Last.After(then) }

// emptyVersions finds version-empty: no instance has the labels of a version that a route leads to, while others
// answer. Its requests fail with NoHealthyUpstream, and the line of the route has as many errors as requests.
func emptyVersions(p *patient) (out []candidate) {
	for _, s := range p.having(noInstance) {
		callee, end := p.service(s.edge.callee), s.edge.latest.Client
		if callee == nil || end == nil {
			continue
		}
		for _, l := range end.Lines {
			v := callee.Version(l.Version)
			if v == nil || l.Errors == 0 || p.instancesOf(callee.Name) == 0 {
				continue
			}
			c := candidate{explains: []symptom{s}, sure: byNumbers, next: "meshc describe service " + callee.Name}
			if p.emptyCluster(callee, v.Name) {
				c.sure = byState
			} else if l.Errors*10 < l.Requests*9 {
				continue
			}
			c.Verdict = Verdict{
				Cause: VersionEmpty, Subject: s.edge.callee.String(), Position: lineOf(v.Pos), Party: ByMesh,
				Text: fmt.Sprintf("no instance of %s is of the version %s, to which the route %q leads", callee.Name, v.Name,
					l.Name),
			}
			c.evidence = append(c.evidence, Evidence{
				fmt.Sprintf("%d of %d requests by the route %q at %s failed", l.Errors, l.Requests, l.Name, l.Source),
				"meshc top --by line",
			})
			out = append(out, c)
		}
	}
	return out
}

// instancesOf is how many instances of a service take requests by what the server knows; 1 where it does not know.
func (p *patient) instancesOf(service string) int {
	if p.Server == nil || p.Server.Recent == nil {
		return 1
	}
	n := 0
	for _, i := range p.Server.Recent.Instances[service] {
		if !i.Unhealthy {
			n++
		}
	}
	return n
}

// emptyCluster reports whether a caller's proxy has no instance of a version.
func (p *patient) emptyCluster(callee *ir.Service, version string) bool {
	for i := range p.Proxies {
		for _, c := range p.Proxies[i].Clusters {
			if name, v := clusterParts(c.Name); name == callee.QualifiedName() && v == version && len(c.Hosts) == 0 {
				return true
			}
		}
	}
	return false
}
