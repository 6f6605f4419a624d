package doctor

import (
	"fmt"
	"slices"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/render/envoy"
	"github.com/meshc/meshc/review/config"
	"github.com/meshc/meshc/serve"
)

// theServer finds server-starved: meshc serve does not answer, or late. spec-wrong is a mesh on disk that it does not
// serve.
func theServer(p *patient) (out []candidate) {
	s := p.Server
	if s == nil {
		return nil
	}
	c := candidate{sure: byNumbers, next: "meshc status --server " + s.Address, Verdict: Verdict{
		Cause: ServerStarved, Subject: "mesh", Party: ByMesh,
	}}
	switch {
	case s.Err != nil:
		c.Text = "meshc serve does not answer; proxies work on with what they have"
		c.evidence = append(c.evidence, Evidence{fmt.Sprintf("%s: %v", s.Address, s.Err), c.next})
		c.sure = byState
	case s.Took > late:
		c.Text = fmt.Sprintf("meshc serve answers late, after %s: pushes and certificates wait",
			s.Took.Round(time.Millisecond))
		c.evidence = append(c.evidence, Evidence{fmt.Sprintf("%s took %s to tell its status", s.Address, s.Took), c.next})
	}
	if c.Text != "" {
		out = append(out, c)
	}
	if s.Status != nil && s.Status.Failure != "" {
		out = append(out, candidate{sure: byElimination, next: "meshc vet", Verdict: Verdict{
			Cause: SpecWrong, Subject: "mesh", Party: ByMesh,
			Text: "the mesh on disk is wrong, and the last good one is served",
		}, evidence: []Evidence{{s.Status.Failure, "meshc vet"}}})
	}
	return out
}

// memberOf is whose proxy a node is.
func memberOf(node string) (ir.Ref, string) {
	kind, name, instance, err := envoy.ParseNodeID(node)
	if err != nil {
		return ir.Ref{}, ""
	}
	return ir.Ref{Kind: kind, Name: name}, instance
}

// refusedConfigurations finds proxy-old, where the proxy that refuses is of another version of Envoy than one that does
// not, and configuration-refused, by the proxy's own words.
func refusedConfigurations(p *patient) (out []candidate) {
	if p.Server == nil || p.Server.Status == nil {
		return nil
	}
	proxies := p.Server.Status.Proxies
	for i := range proxies {
		one := &proxies[i]
		for _, t := range one.Types {
			for _, r := range t.Refusals {
				member, _ := memberOf(one.Node)
				c := candidate{sure: byState, since: r.Since, next: "meshc config " + member.Name, Verdict: Verdict{
					Cause: ConfigurationRefused, Subject: member.String(), Position: lineOf(r.Source), Party: ByMesh,
					Text: fmt.Sprintf("the proxy of %s refuses %s %s", member.Name, r.Type, r.Resource),
				}, evidence: []Evidence{{fmt.Sprintf("%s: %s", one.Node, r.Reason), "meshc status"}}}
				if slices.ContainsFunc(proxies, func(o serve.Proxy) bool {
					return o.Connected && o.Version != one.Version && o.State() == serve.StateCurrent
				}) {
					c.Cause = ProxyOld
					c.Text = fmt.Sprintf("the proxy of %s is of Envoy %s, and refuses what the others take", member.Name, one.Version)
				}
				c.explains = p.byCallee(noInstance, unconnected, answered, unrouted, denied)[member]
				out = append(out, c)
			}
		}
	}
	return out
}

// crashesAfter is how long after a change of its member a proxy that ends is taken to end by it.
const crashesAfter = 20 * time.Second

// deadProxies finds proxy-dead: a proxy that meshc serve lost and whose administration nobody listens at, or whose
// callers cannot connect. configuration-crashes-proxy is one that ends just after its member's configuration changed.
func deadProxies(p *patient) (out []candidate) {
	if p.Server == nil || p.Server.Status == nil {
		return nil
	}
	for _, one := range p.Server.Status.Proxies {
		member, instance := memberOf(one.Node)
		if member.Name == "" {
			continue
		}
		known := slices.IndexFunc(p.Proxies, func(q Proxy) bool { return q.Node == one.Node })
		list := p.byCallee(unconnected, noInstance, broken)[member]
		restarted := known >= 0 && p.Proxies[known].Err == nil && p.Proxies[known].Uptime < time.Minute &&
			p.Proxies[known].Uptime > 0 && !p.Loaded.IsZero() && len(p.Past) > 0 &&
			p.Now.Add(-p.Proxies[known].Uptime).After(p.Loaded)
		gone := !one.Connected && (known >= 0 && p.Proxies[known].Refused || known < 0 && len(list) > 0)
		if !gone && !restarted {
			continue
		}
		pos, changed := p.changedLine(member)
		crashed := changed && (restarted || p.died(list).Sub(p.Loaded) < crashesAfter)
		if restarted && !crashed {
			continue
		}
		c := candidate{explains: list, sure: byState, next: "meshc status", Verdict: Verdict{
			Cause: ProxyDead, Subject: member.String(), Party: ByMesh,
			Text: fmt.Sprintf("the proxy %s of %s has ended", instance, member.Name),
		}, evidence: []Evidence{{fmt.Sprintf("%s is not connected to meshc serve", one.Node), "meshc status"}}}
		if known >= 0 && p.Proxies[known].Refused {
			c.evidence = append(c.evidence, Evidence{
				"nobody listens at the address of its administration, " + p.Proxies[known].Admin, "meshc config " + member.Name,
			})
		}
		if crashed {
			c.Cause, c.Position, c.since = ConfigurationCrashes, lineOf(pos), p.Loaded
			c.Text = fmt.Sprintf("the proxy of %s ends since it took the change at %s", member.Name,
				p.Loaded.Format(time.TimeOnly))
			c.next = "meshc diff --from HEAD~1"
		}
		out = append(out, c)
	}
	return out
}

// died is when a member's proxy ended, by the symptoms of its callers; now where there are none.
func (p *patient) died(list []symptom) time.Time {
	at := p.Now
	for _, s := range list {
		if !s.since.IsZero() && s.since.Before(at) {
			at = s.since
		}
	}
	return at
}

// changedLine is where the last change of the mesh concerns a member itself.
func (p *patient) changedLine(member ir.Ref) (source.Position, bool) {
	if len(p.Past) == 0 || p.Mesh == nil {
		return source.Position{}, false
	}
	before := p.Past[len(p.Past)-1].Mesh
	switch member.Kind {
	case ir.KindService:
		was, is := before.Service(member.Name), p.Mesh.Service(member.Name)
		if was == nil || is == nil || ir.Same(was, is) {
			return source.Position{}, false
		}
	case ir.KindGateway:
		was, is := before.Gateway(member.Name), p.Mesh.Gateway(member.Name)
		if was == nil || is == nil || ir.Same(was, is) {
			return source.Position{}, false
		}
	}
	for _, e := range p.lastChange() {
		if e.To.Member == member && e.IsBy.IsValid() {
			return e.IsBy, true
		}
	}
	return p.place(member), true
}

// stuckAfter is how long a proxy may take to acknowledge what it was sent.
const stuckAfter = 6 * time.Second

// silentStreams finds stream-without-updates: a connected proxy has not answered what it was sent, while others have,
// or has instances that its server has not, and has refused nothing.
func silentStreams(p *patient) (out []candidate) {
	if p.Server == nil || p.Server.Status == nil {
		return nil
	}
	proxies := p.Server.Status.Proxies
	current := slices.ContainsFunc(proxies, func(o serve.Proxy) bool { return o.State() == serve.StateCurrent })
	for i := range proxies {
		one := &proxies[i]
		if one.State() != serve.StateBehind || !current {
			continue
		}
		for _, t := range one.Types {
			age := seconds(t.Age)
			if t.State != serve.StateBehind || age < stuckAfter {
				continue
			}
			member, _ := memberOf(one.Node)
			since := p.Now.Add(-age)
			out = append(out, candidate{sure: byState, since: since, next: "meshc config " + member.Name, Verdict: Verdict{
				Cause: StreamWithoutUpdates, Subject: member.String(), Party: ByMesh,
				Text: fmt.Sprintf("the proxy of %s has an open stream, and has acknowledged nothing since %s", member.Name,
					since.Format(time.TimeOnly)),
			}, evidence: []Evidence{{
				fmt.Sprintf("%s has not acknowledged a change of %s for %s", one.Node, t.Type, age.Round(time.Second)),
				"meshc status",
			}}, explains: p.fromAndTo(member, noInstance, unconnected, unrouted)})
			break
		}
	}
	all := p.byCallee(denied)
	for _, member := range callees(all) {
		if !p.untaken(member) {
			continue
		}
		out = append(out, candidate{sure: byState, since: p.Loaded, next: "meshc config " + member.Name, Verdict: Verdict{
			Cause: StreamWithoutUpdates, Subject: member.String(), Party: ByMesh,
			Text: fmt.Sprintf("a proxy of %s has an open stream, and was not sent the rules of %s", member.Name,
				p.Loaded.Format(time.TimeOnly)),
		}, evidence: []Evidence{{
			fmt.Sprintf("what a proxy of %s has was sent before its rules changed", member.Name), "meshc status",
		}}, explains: all[member]})
	}
	return out
}

// untaken reports whether the last mesh has other rules of a member, and a connected proxy was sent no listeners or
// routes since then.
func (p *patient) untaken(member ir.Ref) bool {
	was, loaded := p.rulesBefore(member.Name)
	if was == nil || !loaded.Equal(p.Loaded) || p.Server == nil || p.Server.Status == nil {
		return false
	}
	return slices.ContainsFunc(p.Server.Status.Proxies, func(one serve.Proxy) bool {
		if of, _ := memberOf(one.Node); of != member || !one.Connected {
			return false
		}
		kept := 0
		for _, t := range one.Types {
			switch {
			case t.Type != config.Listener && t.Type != config.Route:
			case !t.Since.Before(loaded):
				return false
			default:
				kept++
			}
		}
		return kept > 0
	})
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

// delayedEndpoints finds endpoints-delayed: several proxies took, or take, seconds to acknowledge a change of
// endpoints, shortly after a mesh was loaded.
func delayedEndpoints(p *patient) []candidate {
	if p.Server == nil || p.Server.Status == nil || p.Now.Sub(p.Loaded) > time.Minute || len(p.Past) == 0 {
		return nil
	}
	var slowest time.Duration
	n := 0
	for _, one := range p.Server.Status.Proxies {
		for _, t := range one.Types {
			if t.Type != config.Endpoint || one.Excepted != "" {
				continue
			}
			if took := seconds(max(t.Age, t.Took)); took > late {
				n++
				slowest = max(slowest, took)
			}
		}
	}
	if n < 2 {
		return nil
	}
	return []candidate{{sure: byElimination, since: p.Loaded, next: "meshc status", Verdict: Verdict{
		Cause: EndpointsDelayed, Subject: "mesh", Party: ByMesh,
		Text: "changes of endpoints arrive late, while the mesh that was loaded is pushed",
	}, evidence: []Evidence{{
		fmt.Sprintf("%d proxies took up to %s to acknowledge a change of endpoints", n, slowest.Round(100*time.Millisecond)),
		"meshc status",
	}}}}
}

// fromAndTo are symptoms of some kinds at either end of which a member is.
func (p *patient) fromAndTo(member ir.Ref, kinds ...kind) (out []symptom) {
	for _, s := range p.having(kinds...) {
		if s.edge.caller == member || s.edge.callee == member {
			out = append(out, s)
		}
	}
	return out
}
