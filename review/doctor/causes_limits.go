package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/serve/telemetry"
)

// shortTimeouts finds timeout-too-short: requests end with UpstreamRequestTimeout, and the callee is not slower than
// before: either the timeout has changed, or what was usual takes as long as the timeout lets it.
func shortTimeouts(p *patient) (out []candidate) {
	for _, s := range p.having(timedOut) {
		limit := p.timeoutOf(s.edge)
		if !limit.Value.Bounds() || p.suffers(s.edge.callee) {
			continue
		}
		loaded, changed := p.timeoutChanged(s.edge, limit.Value)
		usual, known := s.edge.usual()
		if !changed && (!known || usual < 0.5*limit.Value.Milliseconds()) {
			continue
		}
		c := candidate{explains: []symptom{s}, sure: byState, since: loaded}
		c.Verdict = Verdict{
			Cause: TimeoutTooShort, Subject: s.edge.callee.String(), Position: lineOf(limit.Pos), Party: ByMesh,
			Text: fmt.Sprintf("the timeout of %s for requests from %s to %s is shorter than these take", limit.Value,
				s.edge.caller.Name, s.edge.callee.Name),
		}
		if known {
			c.evidence = append(c.evidence, Evidence{
				fmt.Sprintf("half of the requests took longer than %.0f ms before", usual), "meshc top --last 15m",
			})
		}
		c.next = "meshc describe " + s.edge.callee.String()
		out = append(out, c)
	}
	return out
}

// timeoutOf is the shortest timeout that ends requests of an edge, that of a try or of all; without a value for none.
func (p *patient) timeoutOf(e *edge) (limit ir.Setting[ir.Duration]) {
	call := p.callOf(e)
	if call == nil {
		return limit
	}
	limit = call.Policy.Timeout
	if per := call.Policy.PerTryTimeout; per.Value.Bounds() && (!limit.Value.Bounds() || per.Value < limit.Value) {
		limit = per
	}
	return limit
}

// callOf is the call of an edge by the route on which most requests fail, or else the one with the shortest timeout.
func (p *patient) callOf(e *edge) *ir.Call {
	if p.Mesh == nil {
		return nil
	}
	return callIn(p.Mesh, e)
}

func callIn(m *ir.Mesh, e *edge) (best *ir.Call) {
	failing := ""
	if end := e.latest.Client; end != nil {
		most := uint64(0)
		for _, l := range end.Lines {
			if l.Errors > most {
				failing, most = l.Name, l.Errors
			}
		}
	}
	named := false
	for call := range m.Calls() {
		if call.Caller.Ref() != e.caller || call.Use.External != (e.callee.Kind == ir.KindExternal) ||
			!slices.Contains(call.Ends(), e.callee.Name) {
			continue
		}
		takes := slices.ContainsFunc(call.By, func(r *ir.Route) bool { return r.Name == failing })
		if best == nil || takes && !named ||
			takes == named && bound(&call.Policy) < bound(&best.Policy) {
			best, named = &call, takes
		}
	}
	return best
}

// bound is the timeout of a policy, a long time for none.
func bound(p *ir.Policy) ir.Duration {
	if p.Timeout.Value.Bounds() {
		return p.Timeout.Value
	}
	return ir.Duration(time.Hour)
}

// timeoutChanged reports whether the timeout of an edge was longer in one of the meshes before, and when that ended.
func (p *patient) timeoutChanged(e *edge, limit ir.Duration) (loaded time.Time, changed bool) {
	for _, past := range slices.Backward(p.Past) {
		if was := callIn(past.Mesh, e); was != nil && bound(&was.Policy) > limit {
			return past.Until, true
		}
	}
	return time.Time{}, false
}

// limits finds rate-limited, by RateLimited and 429 where a limit is written (else it is the application's answer), and
// burst-above-limits, by UpstreamOverflow.
func limits(p *patient) (out []candidate) {
	for _, s := range p.having(limited) {
		pos, written := p.rateLimitOf(s.edge)
		subject := s.edge.callee
		if subject.Name == "" {
			subject = s.edge.caller
		}
		if !written {
			out = append(out, wrongRequest(s))
			continue
		}
		out = append(out, candidate{explains: []symptom{s}, sure: byNumbers, Verdict: Verdict{
			Cause: RateLimited, Subject: subject.String(), Position: lineOf(pos), Party: ByClient,
			Text: fmt.Sprintf("%s sends more requests to %s than its rate limit lets in", s.edge.caller.Name, subject.Name),
		}, next: "meshc describe " + subject.String()})
	}
	for _, s := range p.having(overflow) {
		pos := p.place(s.edge.callee)
		if call := p.callOf(s.edge); call != nil {
			for _, setting := range call.Policy.Bounds.Settings()[:3] {
				if setting.Pos.IsValid() {
					pos = setting.Pos
				}
			}
		}
		out = append(out, candidate{explains: []symptom{s}, sure: byNumbers, Verdict: Verdict{
			Cause: BurstAboveLimits, Subject: s.edge.callee.String(), Position: lineOf(pos), Party: ByClient,
			Text: fmt.Sprintf("%s has more requests to %s in flight than connections allows", s.edge.caller.Name,
				s.edge.callee.Name),
		}, next: "meshc describe " + s.edge.callee.String()})
	}
	return out
}

// rateLimitOf is where the limit is written that requests of an edge exceed: that of their route, or of the callee.
func (p *patient) rateLimitOf(e *edge) (pos source.Position, known bool) {
	lists := [][]ir.Route{}
	if p.Mesh != nil {
		lists = append(lists, p.routesOf(e.callee), p.routesOf(e.caller))
	}
	var written *ir.RateLimit
	for _, routes := range lists {
		for i := range routes {
			limit := routes[i].RateLimit
			if limit == nil {
				continue
			}
			taken := e.latest.Client != nil && slices.ContainsFunc(e.latest.Client.Lines, func(l telemetry.Line) bool {
				return l.Name == routes[i].Name
			})
			if written == nil || taken {
				written = limit
			}
		}
	}
	if guards := p.guardsOf(cmp.Or(e.callee, e.caller)); guards != nil && guards.RateLimit != nil && written == nil {
		written = guards.RateLimit
	}
	if written == nil {
		return source.Position{}, false
	}
	return written.Pos, true
}

// protocols finds protocol-mismatch: the proxies find no valid HTTP on a port, or all of its requests are broken off
// and the spec of its protocol has changed.
func protocols(p *patient) (out []candidate) {
	for callee, list := range p.byCallee(mismatched, broken, gone) {
		s := p.service(callee)
		if s == nil {
			continue
		}
		_, loaded := p.changedIn(s.Name, func(a, b *ir.Service) bool {
			return slices.ContainsFunc(b.Ports, func(is ir.Port) bool {
				was := a.Port(is.Name)
				return was != nil && was.Protocol.Multiplexed() != is.Protocol.Multiplexed()
			})
		})
		mismatch := slices.ContainsFunc(list, func(s symptom) bool { return s.kind == mismatched })
		if !mismatch && loaded.IsZero() {
			continue
		}
		pos, protocol := s.Pos, ir.Protocol("")
		for _, port := range s.Ports {
			if port.Number == list[0].edge.Port {
				pos, protocol = port.Pos, port.Protocol
			}
		}
		c := candidate{explains: list, sure: byNumbers, since: loaded, next: "meshc describe " + callee.String()}
		if !loaded.IsZero() {
			c.sure = byState
		}
		c.Verdict = Verdict{
			Cause: ProtocolMismatch, Subject: callee.String(), Position: lineOf(pos), Party: ByMesh,
			Text: fmt.Sprintf("the application of %s does not speak %s, as its port says", s.Name, protocol),
		}
		out = append(out, c)
	}
	return out
}
