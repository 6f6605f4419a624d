package verify

import (
	"fmt"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
)

// writing is a setting about the calls of a place, and what is to be said of it if no request shows it.
type writing struct {
	ir.PolicySetting
	verdict Verdict
	why     string
}

// written are all settings of a mesh about calls. Whole says that requests of all sorts were looked at.
func written(m *ir.Mesh, whole bool) (list []writing) {
	defaults, holds := ir.Default(), unseen(m, whole)
	add := func(t *ir.Traffic, why string, args ...any) {
		p := new(ir.Settings).Policy(&ir.Use{Traffic: *t}, &ir.Traffic{})
		for _, s := range settingsOf(&p) {
			w := writing{s, NoEffect, fmt.Sprintf(why, args...)}
			if holds[s.Path+" "+s.Pos.String()] {
				w.verdict, w.why = NotProvoked, "no request was found for which it holds"
			} else if valueText(s.Value) == settingText(&defaults, s.Path) {
				w.verdict, w.why = Behaves, "is what holds without it too"
			}
			list = append(list, w)
		}
	}
	uses := func(of ir.Ref, uses []ir.Use) {
		for i := range uses {
			add(&uses[i].Traffic, "no request of %s to %s is let in", of, uses[i].To)
		}
	}
	routes := func(list []ir.Route) {
		for i := range list {
			r := &list[i]
			add(&r.Traffic, "no request that is let in goes by the route %s and has no nearer setting", r.Name)
		}
	}
	for _, s := range m.Services {
		add(&s.Traffic, "%s", overridden(m, ir.ServiceRef(s.Name)))
		routes(s.Routes)
		uses(ir.ServiceRef(s.Name), s.Uses)
	}
	for _, g := range m.Gateways {
		routes(g.Routes)
		uses(ir.GatewayRef(g.Name), g.Uses)
	}
	for _, e := range m.Externals {
		add(&e.Traffic, "%s", overridden(m, ir.ExternalRef(e.Name)))
	}
	add(&m.Defaults, "every call says otherwise, by its use, its route or its callee")
	return list
}

// unseen are the settings that may hold for some call though no request shows them, by path and place: those of
// connections below HTTP, and all where not all sorts of request were looked at.
func unseen(m *ir.Mesh, whole bool) map[string]bool {
	out := map[string]bool{}
	for c := range m.Calls() {
		list := settingsOf(&c.Policy)
		if !c.Port.Protocol.IsHTTP() {
			list = c.Policy.Bounds.Settings()
		} else if whole {
			continue
		}
		for _, s := range list {
			out[s.Path+" "+s.Pos.String()] = true
		}
	}
	return out
}

// overridden is why a setting of a callee is in force for no call.
func overridden(m *ir.Mesh, callee ir.Ref) string {
	var callers []string
	for c := range m.Calls() {
		if c.Use.To == callee.Name && c.Use.External == (callee.Kind == ir.KindExternal) && c.Port.Protocol.IsHTTP() {
			if text := c.Caller.String(); len(callers) == 0 || callers[len(callers)-1] != text {
				callers = append(callers, text)
			}
		}
	}
	if len(callers) == 0 {
		return fmt.Sprintf("nobody sends requests of HTTP to %s", callee)
	}
	return "every call says otherwise, by its use or its route: " + strings.Join(callers, ", ")
}
