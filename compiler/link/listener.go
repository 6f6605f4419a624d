package link

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

// listener is where a gateway takes connections. Where they go is linked later.
func (l *linker) listener(here place, name string, s *spec.Listener) ir.Listener {
	out := ir.Listener{
		Name: name, Port: uint16(s.Port.Value), Protocol: ir.Protocol(s.Protocol.Or(string(ir.HTTP))),
		Pos:   here.pos(s.Pos),
		Hosts: []string{allHosts}, HTTP3: s.HTTP3.Value, RedirectTo: s.RedirectTo.Value,
	}
	if s.Hosts != nil {
		out.Hosts = nil
		for i, f := range s.Hosts {
			host := l.host(here.field("hosts").index(i), f.Value, here.pos(f.Pos))
			if !slices.Contains(out.Hosts, host) {
				out.Hosts = append(out.Hosts, host)
			}
		}
		if len(s.Hosts) == 0 {
			l.add(diag.EmptyList, here.field("hosts"), "hosts is empty, so the listener matches no requests", out.Pos).
				hint(`omit it for all: ["*"]`)
		}
		if out.Protocol == ir.TCP && s.TLS == nil {
			l.add(diag.NoEffect, here.field("hosts"), "hosts cannot take effect: a TCP connection does not name a host",
				out.Pos).hint("remove them")
		}
	}
	if t := s.TLS; t != nil {
		out.TLS = &ir.ListenerTLS{Secret: t.Secret.Value, MinVersion: t.MinVersion.Or("1.2")}
		if c := t.ClientCertificates; c != nil {
			out.TLS.ClientRoots, out.TLS.ClientOptional = c.Secret.Value, c.Optional.Value
		}
		if out.Protocol == ir.TLS {
			l.add(diag.NoEffect, here.field("tls"), "tls cannot take effect: the TLS of clients is passed through",
				here.pos(t.Pos), here.pos(s.Protocol.Pos)).
				hint("to terminate it here, write protocol: \"http\" or \"tcp\"")
		}
	}
	out.Clients = l.clientIPDetection(here.field("clientIPDetection"), s, out.Protocol)
	if out.HTTP3 {
		switch {
		case out.TLS == nil || out.Protocol != ir.HTTP:
			l.add(diag.NoEffect, here.field("http3"),
				"http3 cannot take effect: HTTP/3 needs TLS that is terminated here", here.pos(s.HTTP3.Pos)).
				hint("write tls, or remove http3")
			out.HTTP3 = false
		case out.TLS.ClientRoots != "":
			l.add(diag.NotSupported, here.field("http3"), "http3 with client certificates is not supported yet",
				here.pos(s.HTTP3.Pos)).hint("remove http3")
		}
	}
	return out
}

// listenerPorts refuses listeners whose connections could not be told apart.
func (l *linker) listenerPorts(here place, g *ir.Gateway) {
	for i := range g.Listeners {
		a := &g.Listeners[i]
		at := here.field("listeners." + a.Name)
		if slices.Contains(g.Proxy.OfGateway(), a.Port) {
			l.add(diag.PortTaken, at.field("port"), fmt.Sprintf("port %d is used by the proxy", a.Port), a.Pos)
		}
		for j := range g.Listeners[:i] {
			b := &g.Listeners[j]
			if a.Port != b.Port {
				continue
			}
			if !a.BySNI() || !b.BySNI() {
				l.add(diag.PortTaken, at.field("port"), fmt.Sprintf("two listeners have port %d", a.Port), a.Pos,
					b.Pos).
					hint("one listener may answer for many hosts; listeners with TLS may share a port")
				break
			}
			if k := slices.IndexFunc(a.Hosts, func(h string) bool { return slices.Contains(b.Hosts, h) }); k >= 0 {
				l.add(diag.HostTaken, at.field("hosts"),
					fmt.Sprintf("the listeners %s and %s both answer for %s on port %d", b.Name, a.Name, a.Hosts[k],
						a.Port), a.Pos, b.Pos).
					hint("give each its own hosts")
				break
			}
		}
	}
}

// listenerRedirects resolves redirectTo.
func (l *linker) listenerRedirects(here place, g *ir.Gateway, written map[string]*spec.Listener) {
	for i := range g.Listeners {
		from := &g.Listeners[i]
		if from.RedirectTo == "" {
			continue
		}
		at, pos := here.field("listeners."+from.Name+".redirectTo"), here.pos(written[from.Name].RedirectTo.Pos)
		to := g.Listener(from.RedirectTo)
		switch {
		case to == nil:
			var names []string
			for _, other := range g.Listeners {
				names = append(names, other.Name)
			}
			l.add(diag.UnknownListener, at, fmt.Sprintf("the gateway has no listener %q", from.RedirectTo), pos, g.Pos).
				hint("%s", l.didYouMean(from.RedirectTo, names))
		case to == from || to.RedirectTo != "":
			l.add(diag.RedirectCircle, at,
				fmt.Sprintf("the redirect of %s leads to %s, which answers with a redirect too", from.Name, to.Name),
				pos, to.Pos).
				hint("name a listener that serves requests")
		case from.Protocol != ir.HTTP || to.Protocol != ir.HTTP:
			l.add(diag.NoEffect, at,
				fmt.Sprintf("redirectTo cannot take effect between %s and %s: both must speak HTTP", from.Protocol,
					to.Protocol), pos, to.Pos)
		}
	}
}

// listenerDestinations links where the connections of a gateway's listeners go.
func (l *linker) listenerDestinations(g *ir.Gateway, h home[spec.Gateway]) {
	for i := range g.Listeners {
		listener := &g.Listeners[i]
		here := h.field("listeners." + listener.Name)
		switch s := h.spec.Listeners[listener.Name]; {
		case listener.Protocol == ir.HTTP && s.To != nil:
			l.add(diag.NoEffect, here.field("to"),
				"to cannot take effect: the gateway's routes decide where requests go", here.pos(s.To.Pos)).
				hint("write routes, or protocol: \"tcp\"")
		case listener.Protocol == ir.HTTP:
		case s.To == nil:
			l.add(diag.NoDestination, here, fmt.Sprintf("a listener of %s needs a destination", listener.Protocol),
				listener.Pos).hint(`to: service: "NAME"`)
		default:
			listener.To = l.listenerDestination(here.field("to"), g, s.To)
		}
	}
}

func (l *linker) listenerDestination(here place, g *ir.Gateway, to *spec.ListenerTo) *ir.Destination {
	callee, pos := l.declaredServices[to.Service.Value], here.pos(to.Service.Pos)
	if callee == nil {
		l.unknown(diag.UnknownCallee, here.field("service"), "service", to.Service.Value,
			sortedKeys(l.declaredServices), to.Service.Pos)
		return nil
	}
	use := ir.UseOf(g.Uses, callee.Name)
	if use == nil {
		if _, written := l.gateways[g.Name].spec.Uses[callee.Name]; !written {
			l.add(diag.NotUsed, here.field("service"),
				fmt.Sprintf("the gateway sends connections to %s and does not use it", callee.Name), pos, g.Pos).
				hint("write uses: %s: {} in gateways.%s", callee.Name, g.Name)
		}
		return nil // else said of the use
	}
	l.version(here, &callee.Upstream, &spec.Destination{Pos: to.Pos, Version: to.Version})
	var ports []string
	for _, name := range use.Ports {
		if !callee.Port(name).Protocol.IsHTTP() {
			ports = append(ports, name)
		}
	}
	port := to.Port.Value
	switch {
	case port == "" && len(ports) == 1:
		port = ports[0]
	case port == "" || !slices.Contains(ports, port):
		l.add(diag.AmbiguousPort, here,
			fmt.Sprintf("%s has %d ports that allow calls from this gateway and do not speak HTTP: which is meant?",
				callee.Name, len(ports)), pos, callee.Pos).
			hint("write port: %q", append(ports, "NAME")[0])
		return nil
	}
	return &ir.Destination{Service: callee.Name, Version: to.Version.Value, Port: port, Weight: 1, Pos: pos}
}

// compression of a gateway's answers; nil for none.
func (l *linker) compression(here place, c *spec.Compression) *ir.Compression {
	if c == nil {
		return nil
	}
	out := &ir.Compression{
		Algorithms: values(c.Algorithms), MinBytes: uint32(cmp.Or(c.MinBytes.Value, 1024)),
		ContentTypes: values(c.ContentTypes),
	}
	if c.Algorithms == nil {
		out.Algorithms = []string{"brotli", "gzip"}
	}
	if len(out.Algorithms) == 0 {
		l.add(diag.EmptyList, here.field("algorithms"), "algorithms is empty, so nothing is compressed",
			here.pos(c.Pos)).hint("remove compression")
	}
	for i, f := range c.Algorithms {
		if slices.Contains(out.Algorithms[:i], f.Value) {
			l.add(diag.NoEffect, here.field("algorithms").index(i), f.Value+" is written twice", here.pos(f.Pos)).
				hint("remove one of them")
		}
	}
	return out
}
