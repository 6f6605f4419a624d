package link

import (
	"fmt"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

// actions are what a route does with its requests besides sending them; t is the
// template that their paths match. Owner is the service or gateway that has the route.
func (l *linker) actions(here place, owner string, r *spec.Route, route *ir.Route, t template) {
	route.Headers = l.headers(here.field("headers"), r.Headers)
	route.Rewrite = l.rewrite(here.field("rewrite"), r.Rewrite, t)
	route.Redirect = l.redirect(here.field("redirect"), r.Redirect)
	route.DirectResponse = l.directResponse(here.field("directResponse"), r.DirectResponse)
	route.CORS = l.cors(here.field("cors"), r.CORS, route)
	route.RateLimit = l.rateLimit(here.field("rateLimit"), owner, r.RateLimit, true)
	route.Fault = l.fault(here.field("fault"), r.Fault)
	route.Logged = l.routeLogged(here.field("telemetry"), r.Telemetry)
	route.Sampling = l.routeSampling(here.field("telemetry"), r.Telemetry)
	route.MaxRequestBytes = uint32(r.MaxRequestBytes.Value)
	if !route.Answers() {
		return
	}
	answer, pos := "redirect", spec.Pos(0)
	if r.Redirect != nil {
		pos = r.Redirect.Pos
	}
	if r.DirectResponse != nil {
		if r.Redirect != nil {
			l.add(diag.ExactlyOneOf, here, "redirect and directResponse cannot both answer",
				here.pos(r.DirectResponse.Pos), here.pos(pos)).
				hint("remove one of them")
		}
		answer, pos = "directResponse", r.DirectResponse.Pos
	}
	for _, idle := range idleWith(r) {
		if idle.set {
			l.add(diag.NoEffect, here.field(idle.name),
				fmt.Sprintf("%s cannot take effect: %s answers every request of the route", idle.name, answer),
				here.pos(idle.pos), here.pos(pos)).
				hint("remove %s, or make %s a separate route", idle.name, answer)
		}
	}
	route.Traffic = ir.Traffic{}
}

type mention struct {
	name string
	set  bool
	pos  spec.Pos
}

// idleWith are the fields that say nothing of a route that answers by itself.
func idleWith(r *spec.Route) []mention {
	out := []mention{
		{"to", r.To != nil, r.Pos},
		{"timeout", r.Timeout.IsSet(), r.Timeout.Pos},
		{"idleTimeout", r.IdleTimeout.IsSet(), r.IdleTimeout.Pos},
		{"maxRequestBytes", r.MaxRequestBytes.IsSet(), r.MaxRequestBytes.Pos},
	}
	if r.Retries != nil {
		out = append(out, mention{"retries", true, r.Retries.Pos})
	}
	if r.Rewrite != nil {
		out = append(out, mention{"rewrite", true, r.Rewrite.Pos})
	}
	if r.Mirror != nil {
		out = append(out, mention{"mirror", true, r.Mirror.Pos})
	}
	if r.Headers != nil && r.Headers.Request != nil {
		out = append(out, mention{"headers.request", true, r.Headers.Request.Pos})
	}
	return out
}
