package check

import (
	"fmt"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
)

// formsBesideRules finds rules and routes that read a form of requests otherwise than an application may: they take
// "%2F" for a part of a segment, and "x_user" for another header than "x-user".
func formsBesideRules(m *subject) (found diag.List) {
	for _, s := range m.Services {
		found = append(found, besideRules(ir.ServiceRef(s.Name), "services."+s.Name, &s.Proxy.Requests, s.Routes,
			&s.Guards, s.Pos)...)
		found = append(found, m.besideClaims(s)...)
	}
	for _, g := range m.Gateways {
		found = append(found, besideRules(ir.GatewayRef(g.Name), "gateways."+g.Name, &g.Proxy.Requests, g.Routes,
			&g.Guards, g.Pos)...)
	}
	return found
}

func besideRules(ref ir.Ref, path string, forms *ir.Forms, routes []ir.Route, guards *ir.Guards,
	pos source.Position,
) (found diag.List) {
	add := func(field, does, what string, by source.Position) {
		found.Add(diag.New(diag.FormsBesideRules, path+".proxy.requests."+field,
			fmt.Sprintf("%s %s, and a %s of it reads them otherwise than some applications", ref.Name, does, what),
			formsPos(forms, pos), by).
			WithHint("remove %s, or what rules and routes say of %s", field,
				map[string]string{"encodedSlashes": "paths", "underscores": "headers"}[field]))
	}
	if forms.EncodedSlashes {
		if what, by, is := read(guards, routes, rulePaths, routePath); is {
			add("encodedSlashes", "keeps escaped slashes in paths", what, by)
		}
	}
	if forms.Underscores == ir.UnderscoresAllow {
		if what, by, is := read(guards, routes, func(r *ir.Rule) bool { return len(r.Headers) > 0 },
			func(r *ir.Route) bool { return len(r.Match.Headers) > 0 }); is {
			add("underscores", "takes headers with underscores", what, by)
		}
	}
	return found
}

// besideClaims finds a claim of a token that a header carries to an application, which may take one of the caller for
// it.
func (m *subject) besideClaims(s *ir.Service) (found diag.List) {
	if s.Proxy.Requests.Underscores != ir.UnderscoresAllow {
		return nil
	}
	for _, name := range s.AllTokenIssuers() {
		if i := m.JWTIssuer(name); i != nil && len(i.Forward) > 0 {
			found.Add(diag.New(diag.FormsBesideRules, "services."+s.Name+".proxy.requests.underscores",
				fmt.Sprintf("%s takes headers with underscores, and some applications read one of them as %s, which carries a claim", s.Name, i.Forward[0].Header), formsPos(&s.Proxy.Requests, s.Pos), i.Pos).
				WithHint("remove underscores, or forward no claims"))
		}
	}
	return found
}

// read is the first rule, or else route, that reads a part of requests.
func read(guards *ir.Guards, routes []ir.Route, rule func(*ir.Rule) bool, route func(*ir.Route) bool) (what string,
	by source.Position, is bool,
) {
	for _, list := range [][]ir.Rule{guards.Allow, guards.Deny} {
		for i := range list {
			if r := &list[i]; rule(r) {
				return "rule", r.Pos, true
			}
		}
	}
	for i := range routes {
		if r := &routes[i]; route(r) {
			return "route", r.Pos, true
		}
	}
	return "", source.Position{}, false
}

func rulePaths(r *ir.Rule) bool { return len(r.Paths) > 0 && !slices.Contains(r.Paths, "/*") }

func routePath(r *ir.Route) bool {
	return r.Match.Path != (ir.PathMatch{}) && r.Match.Path != (ir.PathMatch{Kind: ir.MatchPrefix, Value: "/"})
}

func formsPos(f *ir.Forms, member source.Position) source.Position {
	if f.Pos.IsValid() {
		return f.Pos
	}
	return member
}

// formsNowhere finds forms of requests that a member writes whose proxy reads none.
func formsNowhere(m *subject) (found diag.List) {
	add := func(path string, forms *ir.Forms, why string) {
		found.Add(diag.New(diag.NoEffect, path+".proxy.requests", "requests cannot take effect: "+why, forms.Pos).
			WithHint("remove it"))
	}
	for _, s := range m.Services {
		switch f := &s.Proxy.Requests; {
		case !f.Pos.IsValid():
		case !m.reads(s, func(p *ir.Port, _ bool) bool { return p.Protocol.IsHTTP() }):
			add("services."+s.Name, f, s.Name+" takes and sends no HTTP that its proxy reads")
		case f.HeaderCase && !m.reads(s, func(p *ir.Port, via bool) bool { return f.KeepsCase(p) && !via }):
			add("services."+s.Name, f,
				"no port of "+s.Name+
					" and no external that it calls, but through egress gateways, has headerCase: that is of HTTP/1.1")
		}
	}
	for _, g := range m.Gateways {
		reads := slices.ContainsFunc(g.Listeners, func(l ir.Listener) bool { return l.To == nil })
		if f := &g.Proxy.Requests; f.Pos.IsValid() && !reads {
			add("gateways."+g.Name, f, "no listener of "+g.Name+" reads HTTP")
		}
	}
	return found
}

// reads reports whether the proxy of a service reads requests of such a port: one of its own, or one that it calls,
// which may be via an egress gateway.
func (m *subject) reads(s *ir.Service, such func(p *ir.Port, via bool) bool) bool {
	for i := range s.Ports {
		if p := &s.Ports[i]; !p.Open && such(p, false) {
			return true
		}
	}
	for i := range s.Uses {
		for _, name := range s.Uses[i].Ports {
			if p, via := m.portOf(&s.Uses[i], name); p != nil && such(p, via) {
				return true
			}
		}
	}
	return false
}

// portOf is a port that a use calls, and whether that is via an egress gateway; nil where there is none.
func (m *subject) portOf(use *ir.Use, name string) (p *ir.Port, via bool) {
	if !use.External {
		if s := m.Service(use.To); s != nil {
			return s.Port(name), false
		}
		return nil, false
	}
	if e := m.External(use.To); e != nil {
		return e.Port(name), e.Via != nil
	}
	return nil, false
}
