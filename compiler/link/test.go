package link

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

// linkTests links the tests, when everything that they may name is linked.
func (l *linker) linkTests() {
	for _, title := range sortedKeys(l.tests) {
		h := l.tests[title]
		here, s := h.place, h.spec
		if s.From == nil || s.Request == nil || s.Expect == nil {
			continue // the schema has refused it
		}
		t := &ir.Test{
			Title: title, Method: s.Request.Method.Or("GET"), Path: s.Request.Path.Value, Pos: h.pos,
			Expect: ir.Expectation{
				Allowed: s.Expect.Allowed.Value, Service: s.Expect.Service.Value,
				Version: s.Expect.Version.Value, Pos: here.pos(s.Expect.Pos),
			},
		}
		for _, what := range s.Expect.Unless {
			t.Expect.Unless = append(t.Expect.Unless, what.Value)
		}
		for _, name := range sortedKeys(s.Request.Headers) {
			t.Headers = append(t.Headers, ir.Header{Name: strings.ToLower(name), Value: s.Request.Headers[name].Value})
		}
		whole := l.testTarget(here, s, t)
		whole = l.testToken(here, s.Request, t) && whole
		whole = l.expectation(here.field("expect"), s.Expect) && whole
		if whole {
			l.mesh.Tests = append(l.mesh.Tests, t)
		}
	}
}

// testTarget is who sends a test's request, and where to; false when that cannot be told.
func (l *linker) testTarget(here place, s *spec.Test, t *ir.Test) bool {
	from, q := s.From, s.Request
	if from.Service.IsSet() == from.Gateway.IsSet() {
		l.add(diag.ExactlyOneOf, here.field("from"),
			fmt.Sprintf("from has %s service and gateway, and must have exactly one",
				bothOrNeither(from.Service.IsSet())), here.pos(from.Pos)).
			hint("%s", either(from.Service.IsSet(), `from: service: "NAME", or from: gateway: "NAME"`,
				"remove service, or remove gateway"))
		return false
	}
	needed, useless, where := q.To, q.Host, "to"
	if from.Gateway.IsSet() {
		needed, useless, where = q.Host, q.To, "host"
	}
	switch {
	case !needed.IsSet():
		l.add(diag.MissingField, here.field("request."+where),
			fmt.Sprintf("the request does not say where it goes: %s is missing", where), here.pos(q.Pos)).
			hint("a request from a service has to, the service that is called; a request to a gateway has host")
		return false
	case useless.IsSet():
		l.add(diag.NoEffect, here.field("request"),
			"to is for requests from a service and host for requests to a gateway, and both are written",
			here.pos(useless.Pos)).hint("remove it")
		return false
	}
	if from.Gateway.IsSet() {
		return l.byListener(here, s, t)
	}
	t.FromKind, t.From = ir.KindService, from.Service.Value
	if l.declaredServices[t.From] == nil {
		l.unknown(diag.UnknownCaller, here.field("from.service"), "service", t.From, sortedKeys(l.declaredServices),
			from.Service.Pos)
		return false
	}
	callee := l.declaredServices[q.To.Value]
	if callee == nil {
		l.unknown(diag.UnknownCallee, here.field("request.to"), "service", q.To.Value, sortedKeys(l.declaredServices),
			q.To.Pos)
		return false
	}
	var good []string
	for i := range callee.Ports {
		if callee.Ports[i].Protocol.IsHTTP() {
			good = append(good, callee.Ports[i].Name)
		}
	}
	port := q.Port.Value
	switch {
	case q.Port.IsSet() && !slices.Contains(good, port):
		l.add(diag.UnknownPort, here.field("request.port"), fmt.Sprintf("%s has no port %q that speaks HTTP",
			callee.Name, port), here.pos(q.Port.Pos), callee.Pos).
			hint("%s", l.didYouMean(port, good))
		return false
	case !q.Port.IsSet() && len(good) != 1:
		l.add(diag.AmbiguousPort, here.field("request"), fmt.Sprintf("%d ports of %s speak HTTP: which is meant?",
			len(good), callee.Name), here.pos(q.To.Pos), callee.Pos).
			hint("write port: %q", append(good, "NAME")[0])
		return false
	case !q.Port.IsSet():
		port = good[0]
	}
	t.Scheme, t.Host, t.Port = "http", callee.Name, callee.Port(port).Number
	return true
}

// byListener is at which listener of a gateway a test's request comes in.
func (l *linker) byListener(here place, s *spec.Test, t *ir.Test) bool {
	t.FromKind, t.From = ir.KindGateway, s.From.Gateway.Value
	g := l.declaredGateways[t.From]
	if g == nil {
		l.unknown(diag.UnknownCaller, here.field("from.gateway"), "gateway", t.From, sortedKeys(l.declaredGateways),
			s.From.Gateway.Pos)
		return false
	}
	t.Host = strings.ToLower(s.Request.Host.Value)
	var names []string
	var at *ir.Listener
	for i := range g.Listeners {
		listener := &g.Listeners[i]
		if !listener.Protocol.IsHTTP() {
			continue
		}
		names = append(names, listener.Name)
		wanted := listener.Name == s.Request.Port.Value
		if !s.Request.Port.IsSet() {
			wanted = slices.ContainsFunc(listener.Hosts, func(h string) bool { return ir.HostCovers(h, t.Host) })
		}
		if wanted && (at == nil || at.TLS == nil && listener.TLS != nil) {
			at = listener
		}
	}
	switch {
	case at == nil && s.Request.Port.IsSet():
		l.add(diag.UnknownListener, here.field("request.port"), fmt.Sprintf("the gateway %s has no listener %q of HTTP",
			g.Name, s.Request.Port.Value), here.pos(s.Request.Port.Pos), g.Pos).
			hint("%s", l.didYouMean(s.Request.Port.Value, names))
		return false
	case at == nil:
		l.add(diag.UnservedHost, here.field("request.host"), fmt.Sprintf("no listener of %s answers for %s", g.Name,
			t.Host), here.pos(s.Request.Host.Pos), g.Pos).
			hint("write port: %q to test the answer that one of them gives", append(names, "NAME")[0])
		return false
	}
	t.Scheme, t.Port = "http", at.Port
	if at.TLS != nil {
		t.Scheme = "https"
	}
	return true
}

// testToken is the token that a test's request carries.
func (l *linker) testToken(here place, q *spec.TestRequest, t *ir.Test) bool {
	if q.JWT == nil {
		return true
	}
	t.Claims = map[string][]string{}
	for name, value := range q.JWT {
		t.Claims[name] = []string{value.Value}
	}
	var known []string
	for _, i := range l.mesh.JWTIssuers {
		known = append(known, i.Issuer)
		if iss, said := q.JWT["iss"]; said && iss.Value == i.Issuer || !said && len(l.mesh.JWTIssuers) == 1 {
			t.Issuer = i.Name
		}
	}
	said := q.JWT["iss"]
	switch {
	case t.Issuer != "":
	case len(known) == 0:
		l.add(diag.UnknownIssuer, here.field("request.jwt"), "the mesh has no token issuer", here.pos(q.Pos)).
			hint("mesh: jwt: issuers: NAME: …")
	case said.IsSet():
		l.unknown(diag.UnknownIssuer, here.field("request.jwt.iss"), "token issuer", said.Value, known, said.Pos)
	default:
		l.add(diag.UnknownIssuer, here.field("request.jwt"), fmt.Sprintf("the mesh has %d token issuers: whose is it?",
			len(known)), here.pos(q.Pos)).
			hint("jwt: iss: %q", known[0])
	}
	return t.Issuer != ""
}

// expectation refuses one that nothing could meet.
func (l *linker) expectation(here place, e *spec.Expectation) bool {
	if !e.Allowed.Value && (e.Service.IsSet() || e.Version.IsSet()) {
		l.add(diag.NoEffect, here, "a request that is not allowed reaches no service and no version",
			here.pos(cmp.Or(e.Service.Pos, e.Version.Pos)), here.pos(e.Allowed.Pos)).hint("remove it")
		return false
	}
	if !e.Service.IsSet() {
		return true
	}
	s := l.declaredServices[e.Service.Value]
	if s == nil {
		l.unknown(diag.UnknownCallee, here.field("service"), "service", e.Service.Value, sortedKeys(l.declaredServices),
			e.Service.Pos)
		return false
	}
	var versions []string
	for _, v := range s.Versions {
		versions = append(versions, v.Name)
	}
	if e.Version.IsSet() && !slices.Contains(versions, e.Version.Value) {
		l.unknown(diag.UnknownVersion, here.field("version"), "version", e.Version.Value, versions, e.Version.Pos)
		return false
	}
	return true
}
