package link

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/compiler/spec"
)

// gateway makes a gateway without its edges and routes.
func (l *linker) gateway(name string, h home[spec.Gateway]) *ir.Gateway {
	here, s := h.place, h.spec
	l.silence(here, s.Silence)
	l.grants(ir.GatewayRef(name), s.Grants)
	g := &ir.Gateway{
		Name: name, Namespace: s.Namespace.Or(defaultNamespace), Account: s.Account.Or(ir.PlainName(name)),
		Proxy: l.proxyOf(here.field("proxy"), s.Proxy), Pos: h.pos,
	}
	g.Proxy.PassUndeclared = false // it makes its calls itself
	g.Identity = l.identity(g.Namespace, g.Account)
	g.Authorizer = l.authorizer(here, s.Authorizer)
	l.nothingRedirected(g.Pos, here, "of a gateway", s.Proxy)
	l.noTeamsPods(g.Pos, here, "the pods of a gateway run only its proxy", s.Proxy)
	if g.Proxy.SecretDirectory == "" {
		g.Proxy.SecretDirectory = ir.DefaultSecretDirectory
	}
	for _, name := range sortedKeys(s.Listeners) {
		g.Listeners = append(g.Listeners, l.listener(here.field("listeners."+name), name, s.Listeners[name]))
	}
	l.listenerPorts(here, g)
	l.proxyProtocols(here, g)
	l.listenerRedirects(here, g, s.Listeners)
	g.Telemetry = l.gatewayTelemetry(here.field("telemetry"), s.Telemetry)
	g.Replicas = l.replicas(here.field("replicas"), s.Replicas)
	g.Pods = l.gatewayPods(here.field("pods"), g, s.Pods)
	g.RateLimits = l.clientRateLimits(h, g)
	l.knownClients(h, g)
	g.Compression = l.compression(here.field("compression"), s.Compression)
	if e := s.Egress; e != nil {
		g.Egress = &ir.Egress{Host: e.Host.Or(l.mesh.EgressHost(g)), Port: uint16(e.Port.Or(defaultEgressPort))}
		for _, listener := range g.Listeners {
			if listener.Port == g.Egress.Port {
				l.add(diag.PortTaken, here.field("egress.port"),
					fmt.Sprintf("port %d is also the port of the listener %s", g.Egress.Port, listener.Name),
					here.pos(e.Pos), listener.Pos)
			}
		}
		if slices.Contains(g.Proxy.OfGateway(), g.Egress.Port) {
			l.add(diag.PortTaken, here.field("egress.port"), fmt.Sprintf("port %d is used by the proxy", g.Egress.Port),
				here.pos(e.Pos))
		}
	}
	if len(g.Listeners) == 0 && g.Egress == nil {
		l.add(diag.EmptyList, here.field("listeners"), here.path+" has no listeners", h.pos).
			hint(`listeners: http: {port: 8080, hosts: ["*"]}`)
	}
	l.unreadByGateway(here, g, s)
	return g
}

var (
	hostname = regexp.MustCompile(
		`^(\*\.)?([a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9_])?$`)
	allHosts = "*"
)

// host is a host in the form that it is matched in.
func (l *linker) host(here place, written string, pos source.Position) string {
	h := strings.TrimSuffix(strings.ToLower(written), ".")
	if h != allHosts && (!hostname.MatchString(h) || len(h) > 253) {
		l.add(diag.BadHost, here, fmt.Sprintf("%q is not a valid host", written), pos).
			hint(`a host is a DNS name, "*.DOMAIN", or "*" for all; without a port`)
	}
	return h
}

// gatewayRoutes links the routes of a gateway.
func (l *linker) gatewayRoutes(g *ir.Gateway, h home[spec.Gateway]) []ir.Route {
	here := h.place
	var out []ir.Route
	for i, r := range h.spec.Routes {
		at := here.field("routes").index(i)
		route := l.gatewayRoute(at, g, r)
		if r.To == nil && !route.Answers() {
			l.add(diag.NoDestination, at, "a gateway's route needs a destination", route.Pos).
				hint(`to: [{service: "NAME"}]`)
		}
		for j, d := range r.To {
			if dest, ok := l.gatewayDestination(at.field("to").index(j), g, h.spec.Uses, d); ok {
				route.To = append(route.To, dest)
			}
		}
		l.weights(at, r, &route)
		if m := r.Mirror; m != nil && !route.Answers() {
			d := &spec.Destination{Pos: m.Pos, Service: m.Service, Version: m.Version}
			if dest, ok := l.gatewayDestination(at.field("mirror"), g, h.spec.Uses, d); ok {
				route.Mirror = &ir.Mirror{Destination: dest, Percent: m.Percent.Or(100)}
			}
		}
		if len(route.To) > 0 || route.Answers() {
			l.readable(at, r, &route)
			out = append(out, route)
		}
	}
	return out
}

// gatewayRoute makes a route of a gateway without its destinations.
func (l *linker) gatewayRoute(at place, g *ir.Gateway, r *spec.Route) ir.Route {
	route := l.route(at, g.Name, r)
	if route.Match.Host != "" {
		route.Match.Host = l.host(at.field("match.host"), route.Match.Host, at.pos(r.Match.Host.Pos))
		if route.Match.Host == allHosts {
			route.Match.Host = ""
		}
		if r.Name.Value == "" {
			route.Name = describe(route.Match)
		}
	}
	if r.Match != nil && r.Match.Listeners != nil {
		route.Match.Listeners = l.routeListeners(at.field("match.listeners"), g, r.Match)
		if r.Name.Value == "" {
			route.Name = describe(route.Match)
		}
	}
	return route
}

// routeListeners are the listeners whose requests a route takes.
func (l *linker) routeListeners(here place, g *ir.Gateway, m *spec.Match) []string {
	if len(m.Listeners) == 0 {
		l.add(diag.EmptyList, here, "listeners is empty, so the route matches no requests", here.pos(m.Pos)).
			hint("omit it for all of them")
	}
	out := []string{} // not nil, which is all of them
	for i, f := range m.Listeners {
		at := here.index(i)
		if !slices.Contains(out, f.Value) {
			out = append(out, f.Value)
		}
		of := g.Listener(f.Value)
		switch {
		case of == nil:
			var names []string
			for _, other := range g.Listeners {
				names = append(names, other.Name)
			}
			l.add(diag.UnknownListener, at, fmt.Sprintf("the gateway %s has no listener %q", g.Name, f.Value),
				here.pos(f.Pos), g.Pos).hint("%s", l.didYouMean(f.Value, names))
		case of.Protocol != ir.HTTP || of.RedirectTo != "":
			l.add(diag.NoEffect, at, fmt.Sprintf("a route cannot take effect at %s, which does not use routes",
				f.Value), here.pos(f.Pos), of.Pos).hint("remove it")
		}
	}
	slices.Sort(out)
	return out
}

func (l *linker) gatewayDestination(here place, g *ir.Gateway, uses map[string]*spec.Use,
	d *spec.Destination,
) (dest ir.Destination, ok bool) {
	pos := here.pos(d.Pos)
	if !d.Service.IsSet() {
		l.add(diag.NoDestination, here, "a gateway's destination needs a service", pos).hint(`to: [{service: "NAME"}]`)
		return dest, false
	}
	name := d.Service.Value
	callee := l.declaredServices[name]
	use := ir.UseOf(g.Uses, name)
	switch {
	case l.externals[name].spec != nil && callee == nil:
		l.add(diag.NotSupported, here.field("service"), "a gateway's route to an external is not supported yet",
			here.pos(d.Service.Pos)).
			hint("send the requests to a service that uses it")
		return dest, false
	case callee == nil:
		l.unknown(diag.UnknownCallee, here.field("service"), "service", name, sortedKeys(l.declaredServices),
			d.Service.Pos)
		return dest, false
	case uses[name] == nil:
		l.add(diag.NotUsed, here.field("service"), fmt.Sprintf("the gateway sends requests to %s and does not use it",
			name), here.pos(d.Service.Pos), g.Pos).
			hint("write uses: %s: {} in gateways.%s", name, g.Name)
		return dest, false
	case use == nil:
		return dest, false // said of the use
	}
	l.version(here, &callee.Upstream, d)
	port := d.Port.Value
	if d.Port.IsSet() {
		l.httpPort(here, name, callee.Ports, d.Port)
		if callee.Port(port) != nil && !slices.Contains(use.Ports, port) {
			l.add(diag.PortNotAllowed, here.field("port"),
				fmt.Sprintf("%s does not allow calls from the gateway %s on port %s", name, g.Name, port),
				here.pos(d.Port.Pos), callee.Pos)
			return dest, false
		}
	} else {
		var http []string
		for _, p := range use.Ports {
			if callee.Port(p).Protocol.IsHTTP() {
				http = append(http, p)
			}
		}
		if len(http) != 1 {
			l.add(diag.AmbiguousPort, here,
				fmt.Sprintf("%s has %d ports that speak HTTP and allow calls from this gateway: which is meant?", name,
					len(http)), pos, callee.Pos).
				hint("write port: %q", append(http, "NAME")[0])
			return dest, false
		}
		port = http[0]
	}
	return ir.Destination{
		Service: name, Version: d.Version.Value, Port: port, Weight: uint32(d.Weight.Or(1)),
		Pos: pos,
	}, true
}

// readable refuses a path that is rewritten in a way that leaves open which of the
// service's own routes take it.
func (l *linker) readable(here place, r *spec.Route, route *ir.Route) {
	if route.Rewrite == nil || route.Rewrite.Path == nil || !route.GoesOn() {
		return
	}
	to := l.declaredServices[route.To[0].Service]
	for i := range to.Routes {
		own := &to.Routes[i]
		rewritten := own.Rewrite != nil && own.Rewrite.Path != nil
		if route.Rewrite.Path.Readable(route.Match.Path, own.Match.Path) && (!rewritten ||
			route.Rewrite.Path.Prefix != "" && own.Rewrite.Path.Prefix != "") {
			continue
		}
		l.add(diag.NotSupported, here.field("rewrite.path"),
			fmt.Sprintf("it is not known which paths reach the route %q of %s after this rewrite", own.Name, to.Name),
			here.pos(r.Rewrite.Path.Pos), own.Pos).
			hint("rewrite a prefix to a prefix, match by exact or prefix there, or name a version here: such requests bypass its routes")
		return
	}
}
