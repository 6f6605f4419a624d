package doctor

import (
	"fmt"
	"slices"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
)

// edgeSubject is the subject of what concerns one caller.
func edgeSubject(e *edge) string { return "edge " + e.name() }

// service is that of a reference; nil for others.
func (p *patient) service(r ir.Ref) *ir.Service {
	if p.Mesh == nil || r.Kind != ir.KindService {
		return nil
	}
	return p.Mesh.Service(r.Name)
}

// place is where a member or an external is written.
func (p *patient) place(r ir.Ref) source.Position {
	if p.Mesh == nil {
		return source.Position{}
	}
	switch r.Kind {
	case ir.KindService:
		if s := p.Mesh.Service(r.Name); s != nil {
			return s.Pos
		}
	case ir.KindGateway:
		if g := p.Mesh.Gateway(r.Name); g != nil {
			return g.Pos
		}
	case ir.KindExternal:
		if e := p.Mesh.External(r.Name); e != nil {
			return e.Pos
		}
	}
	return source.Position{}
}

// changedIn is the last of the meshes of before in which something of a service is not the same as in the one behind
// it, and when that was loaded; nil where it is the same in all.
func (p *patient) changedIn(name string, differs func(was, is *ir.Service) bool) (was *ir.Service, loaded time.Time) {
	if p.Mesh == nil {
		return nil, time.Time{}
	}
	after := p.Mesh
	for _, past := range slices.Backward(p.Past) {
		a, b := past.Mesh.Service(name), after.Service(name)
		if a != nil && b != nil && differs(a, b) {
			return a, past.Until
		}
		after = past.Mesh
	}
	return nil, time.Time{}
}

// rulesBefore is a service as it was before the last change of its rules, and when that was loaded; nil for none.
func (p *patient) rulesBefore(name string) (was *ir.Service, loaded time.Time) {
	return p.changedIn(name, func(a, b *ir.Service) bool {
		return !ir.Same(a.Allow, b.Allow) || !ir.Same(a.Deny, b.Deny)
	})
}

// removedRules finds rule-removed: requests of one caller that are denied since rules of the callee changed. Denials of
// a caller whose rules have not changed are the caller's, client-errors.
func removedRules(p *patient) (out []candidate) {
	for _, s := range p.having(denied) {
		callee := p.service(s.edge.callee)
		if callee == nil || p.untaken(s.edge.callee) || len(s.edge.unasked()) > 0 {
			continue
		}
		was, loaded := p.rulesBefore(callee.Name)
		c := candidate{explains: []symptom{s}, sure: byNumbers}
		c.next = fmt.Sprintf("meshc edges --last %s", "5m")
		if was == nil {
			c.Verdict = Verdict{
				Cause: ClientErrors, Subject: edgeSubject(s.edge), Party: ByClient,
				Text: fmt.Sprintf("%s asks %s for what no rule lets it do, and the rules have not changed",
					s.edge.caller.Name, callee.Name),
			}
			c.sure = byElimination
			out = append(out, c)
			continue
		}
		c.sure, c.since = byState, loaded
		decides, what := decidingRule(s.edge, callee)
		c.Verdict = Verdict{
			Cause: RuleRemoved, Subject: edgeSubject(s.edge), Position: lineOf(decides), Party: ByMesh,
			Text: fmt.Sprintf("%s denies %s since the rules changed at %s: %s", callee.Name, s.edge.caller.Name,
				loaded.Format(time.TimeOnly), what),
		}
		c.evidence = append(c.evidence, Evidence{
			fmt.Sprintf("the mesh that was loaded at %s has other rules at %s than the one before",
				loaded.Format(time.TimeOnly), callee.Name), "meshc diff --from HEAD~1",
		})
		out = append(out, c)
	}
	return out
}

// decidingRule is where the spec says that a caller is denied: the rule that denies it, what is left of the one that
// let it in, the first of those that are left, or the callee.
func decidingRule(e *edge, callee *ir.Service) (source.Position, string) {
	if end := e.latest.Server; end != nil {
		for _, l := range end.Lines {
			if l.Denies {
				for i := range callee.Deny {
					if r := &callee.Deny[i]; r.Name == l.Name {
						return r.Pos, fmt.Sprintf("the rule %q denies it", r.Name)
					}
				}
			}
		}
	}
	for i := range callee.Allow {
		r := &callee.Allow[i]
		names := slices.ContainsFunc(r.From, func(f ir.Peer) bool { return f.Ref() == e.caller })
		if names && !r.Total() {
			return r.Pos, fmt.Sprintf("the rule %q lets other requests in only", r.Name)
		}
	}
	if len(callee.Allow) > 0 {
		return callee.Allow[0].Pos, "no rule that is left lets it in"
	}
	return callee.Pos, "no rule lets anybody in"
}
