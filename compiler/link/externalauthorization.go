package link

import (
	"fmt"
	"slices"
	"time"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/compiler/spec"
)

const defaultAuthorizationTimeout = ir.Duration(200 * time.Millisecond)

// externalAuthorization links mesh.externalAuthorization, once services are known
// by name.
func (l *linker) externalAuthorization(u *spec.Unit) {
	for _, name := range sortedKeys(u.Mesh.Authorizers) {
		s := u.Mesh.Authorizers[name]
		here := place{u, "mesh.externalAuthorization." + name}
		out := &ir.ExternalAuthorization{
			Name: name, Service: s.Service.Value, PathPrefix: s.PathPrefix.Value, Headers: values(s.Headers),
			Forward: values(s.Forward),
			Timeout: defaultAuthorizationTimeout, FailOpen: s.FailOpen.Value, Pos: here.pos(s.Pos),
		}
		for i, f := range s.Forward {
			if f.Value == ir.ClientHeader {
				l.add(diag.NoEffect, here.field("forward").
					index(i), f.Value+" is written by gateways, which say in it where the client is", here.pos(f.Pos)).
					hint("remove it")
			}
		}
		if s.Timeout.IsSet() {
			out.Timeout = l.duration(here.field("timeout"), s.Timeout)
		}
		l.mesh.Authorizers = append(l.mesh.Authorizers, out)
		h, known := l.services[out.Service]
		if !known {
			l.unknown(diag.UnknownCallee, here.field("service"), "service", out.Service, sortedKeys(l.services),
				s.Service.Pos)
			continue
		}
		asks := func(p ir.Protocol) bool { return p.Multiplexed() || p == ir.HTTP }
		out.Port = l.onlyPort(here, h, s.Port, s.Pos, asks, "speak HTTP or gRPC")
		if p := h.spec.Ports[out.Port]; p != nil {
			out.GRPC = ir.Protocol(p.Protocol.Value).Multiplexed()
		}
		if out.GRPC {
			for _, f := range []struct {
				name string
				pos  spec.Pos
				set  bool
			}{
				{"pathPrefix", s.PathPrefix.Pos, s.PathPrefix.IsSet()},
				{"headers", s.Pos, s.Headers != nil},
				{"forward", s.Pos, s.Forward != nil},
			} {
				if f.set {
					l.add(diag.NoEffect, here.field(f.name),
						f.name+
							" cannot take effect: over gRPC the service is sent the whole request, and itself decides what the application receives", here.pos(f.pos)).hint("remove it")
				}
			}
		}
	}
}

// onlyPort is the port of a service that is meant: the one that is named, or the
// only one that will do.
func (l *linker) onlyPort(here place, h home[spec.Service], named spec.Field[string], pos spec.Pos,
	will func(ir.Protocol) bool, what string,
) string {
	return l.portOf(here, h.spec.Ports, h.pos, named, pos, will, what)
}

// portOf is the port that is meant of those of a service or external, which was written there.
func (l *linker) portOf(here place, ports map[string]*spec.Port, written source.Position, named spec.Field[string],
	pos spec.Pos, will func(ir.Protocol) bool, what string,
) string {
	var good []string
	for _, name := range sortedKeys(ports) {
		if will(ir.Protocol(ports[name].Protocol.Value)) {
			good = append(good, name)
		}
	}
	switch {
	case named.IsSet() && slices.Contains(good, named.Value):
		return named.Value
	case named.IsSet():
		l.add(diag.UnknownPort, here.field("port"), fmt.Sprintf("it has no port %q that could %s", named.Value, what),
			here.pos(named.Pos), written).
			hint("%s", l.didYouMean(named.Value, good))
	case len(good) == 1:
		return good[0]
	case len(good) == 0:
		l.add(diag.UnknownPort, here, fmt.Sprintf("none of its ports %s", what), here.pos(pos), written).
			hint("name another, or add such a port there")
	default:
		l.add(diag.AmbiguousPort, here, fmt.Sprintf("%d of its ports %s: which is meant?", len(good), what),
			here.pos(pos), written).
			hint("write port: %q", good[0])
	}
	return ""
}

// authorizer is what a service or gateway says of external authorization.
func (l *linker) authorizer(here place, f spec.Field[string]) string {
	if !f.IsSet() {
		return ""
	}
	if l.mesh.ExternalAuthorization(f.Value) == nil {
		var known []string
		for _, a := range l.mesh.Authorizers {
			known = append(known, a.Name)
		}
		l.unknown(diag.UnknownCallee, here.field("externalAuthorization"), "external authorization", f.Value, known,
			f.Pos)
		return ""
	}
	return f.Value
}

// asked adds to what a member, which was written at pos, reaches the services that its proxy asks: for the keys of
// tokens, and about requests.
func (l *linker) asked(here place, caller *ir.Peer, issuers []string, authorizer spec.Field[string],
	pos source.Position, uses []ir.Use,
) []ir.Use {
	for _, issuer := range issuers {
		if i := l.mesh.JWTIssuer(issuer); i != nil && i.To != "" && i.Port != "" {
			uses = l.asks(here, caller, i.To, i.Port, i.External, "for the keys of "+issuer, i.Pos, pos, uses)
		}
	}
	if a := l.mesh.ExternalAuthorization(authorizer.Value); a != nil && a.Port != "" {
		uses = l.asks(here.field("externalAuthorization"), caller, a.Service, a.Port, false, "to authorize requests", a.Pos,
			here.pos(authorizer.Pos), uses)
	}
	return uses
}

func (l *linker) asks(here place, caller *ir.Peer, to, port string, external bool, what string, written,
	pos source.Position, uses []ir.Use,
) []ir.Use {
	if external {
		known := ir.UseOf(uses, to) != nil
		uses = reach(uses, ir.Use{Pos: pos}, to, port)
		if !known {
			ir.UseOf(uses, to).External = true
		}
		return uses
	}
	callee := l.declaredServices[to]
	switch {
	case callee == nil:
		return uses
	case caller.Ref() == ir.ServiceRef(to):
		l.add(diag.CallsItself, here, fmt.Sprintf("the proxy of %s would call its own application %s", caller.Name,
			what), pos, written)
		return uses
	case !l.admits(here, caller, callee, port,
		fmt.Sprintf("the proxy of %s calls %s %s, which does not allow calls from it", caller.Name, to, what),
		pos, l.services[to].pos, written):
		return uses
	}
	return reach(uses, ir.Use{Pos: pos}, to, port)
}
