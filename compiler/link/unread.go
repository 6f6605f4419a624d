package link

import (
	"fmt"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

// unread refuses fields that nobody would read where they stand. Pos is zero for one that is not written.
func (l *linker) unread(here place, pos spec.Pos, why string) {
	if pos != 0 {
		l.add(diag.NoEffect, here, fmt.Sprintf("%s cannot take effect: %s", here.name(), why), here.pos(pos)).
			hint("remove it")
	}
}

// unreadByService refuses what a service says of its proxy and of its callers' that neither reads.
func (l *linker) unreadByService(here place, service *ir.Service, s *spec.Service) {
	if len(service.Ports) == 0 {
		why := "the service has no ports, so nobody calls it"
		if len(service.UDP) > 0 {
			why = "all ports of the service are of UDP: " + whyUDP
		}
		if b := s.LoadBalancer; b != nil {
			l.unread(here.field("loadBalancer"), b.Pos, why)
		}
		if c := s.Connections; c != nil {
			l.unread(here.field("connections"), c.Pos, why)
		}
		if o := s.Outliers; o != nil {
			l.unread(here.field("outliers"), o.Pos, why)
		}
		if n := s.Locality; n != nil {
			l.unread(here.field("locality"), n.Pos, why)
		}
	}
	p := s.Proxy
	if p == nil {
		return
	}
	at := here.field("proxy")
	if !l.readsSecrets(&service.Telemetry, s.Uses, "") {
		l.unread(at.field("secretDirectory"), p.SecretDirectory.Pos, "the proxies of a service read secrets only for "+
			"the headers of mesh.telemetry.collector, and for tls of externals that they connect to")
	}
	if service.Workload.InCluster() {
		return
	}
	for _, list := range []struct {
		name, flag string
		pos        spec.Pos
	}{
		{"excludeInboundPorts", "--exclude-inbound-ports", firstPos(p.ExcludeInboundPorts)},
		{"excludeOutboundPorts", "--exclude-outbound-ports", firstPos(p.ExcludeOutboundPorts)},
		{"excludeOutboundRanges", "--exclude-outbound-ranges", firstPos(p.ExcludeOutboundRanges)},
	} {
		if list.pos != 0 && !service.Explicit { // of which notRedirected says so
			l.add(diag.NoEffect, at.field(list.name),
				list.name+" cannot take effect: the instances of the service are not pods", here.pos(list.pos)).
				hint("remove it, and run meshc redirect on their hosts with %s", list.flag)
		}
	}
	if !slices.ContainsFunc(service.Probes, func(probe ir.Probe) bool { return probe.Kind == ir.HealthTCP }) {
		l.unread(at.field("healthPort"), p.HealthPort.Pos, "the service has no probe by TCP")
	}
}

// unreadByGateway refuses what a gateway says of itself that its proxies do not read.
func (l *linker) unreadByGateway(here place, g *ir.Gateway, s *spec.Gateway) {
	takesRequests := slices.ContainsFunc(g.Listeners, func(listener ir.Listener) bool {
		return listener.Protocol.IsHTTP()
	})
	if s.Compression != nil && !takesRequests {
		l.unread(here.field("compression"), s.Compression.Pos, "no listener takes requests of HTTP")
	}
	if len(g.RateLimits) > 0 && !takesRequests {
		at := here.field("rateLimits." + g.RateLimits[0].Name)
		l.unread(at, s.RateLimits[g.RateLimits[0].Name].Pos, "no listener takes requests of HTTP")
	}
	p := s.Proxy
	if p == nil {
		return
	}
	at := here.field("proxy")
	const why = "the connections of a gateway are not redirected"
	l.unread(at.field("inboundPort"), p.InboundPort.Pos, why)
	l.unread(at.field("outboundPort"), p.OutboundPort.Pos, why)
	l.unread(at.field("healthPort"), p.HealthPort.Pos, "a gateway has no probes")
	if len(g.Secrets()) == 0 && !l.readsSecrets(&g.Telemetry, s.Uses, g.Name) {
		l.unread(at.field("secretDirectory"), p.SecretDirectory.Pos, "no listener and no client names a secret, nor does "+
			"an external behind the gateway")
	}
}

// unreadByEgress refuses what a gateway says of its calls to externals that its proxies do not read: they pass the
// connections of their callers on, in which the requests are the callers'. Nor is a use read by which none go.
func (l *linker) unreadByEgress() {
	for _, g := range l.mesh.Gateways {
		h := l.gateways[g.Name]
		for _, use := range g.Uses {
			written := h.spec.Uses[use.To]
			if !use.External || written == nil {
				continue
			}
			at := h.field("uses." + use.To)
			e, asked := l.mesh.External(use.To), l.mesh.Collector
			goes := e.Via != nil && e.Via.Gateway == g.Name || e.Via == nil && l.externals[e.Name].spec.Via.IsSet() ||
				asked != nil && asked.External && asked.To == e.Name && g.Telemetry.ByOTLP()
			if !goes {
				l.add(diag.GoesNowhere, at, fmt.Sprintf("%s uses %s, and sends nothing there: the calls to %s do not go via %s, and routes of gateways lead to services",
					g.Name, e.Name, e.Name, g.Name), use.Pos).
					hint("remove it, or write via: %q in external.%s", g.Name, e.Name)
			}
			why := fmt.Sprintf("the requests to %s end at no gateway: their callers bound them", use.To)
			l.unread(at.field("timeout"), written.Timeout.Pos, why)
			l.unread(at.field("idleTimeout"), written.IdleTimeout.Pos, why)
			if o := written.Objectives; o != nil {
				l.unread(at.field("objectives"), o.Pos, fmt.Sprintf(
					"the requests to %s end at no gateway: their callers measure them", use.To))
			}
			if r := written.Retries; r != nil {
				l.unread(at.field("retries"), r.Pos, why)
			}
			if c := written.Connections; c != nil && (e.Via == nil || e.Via.Gateway != g.Name) {
				l.unread(at.field("connections"), c.Pos, fmt.Sprintf("the calls to %s do not go via %s", use.To,
					g.Name))
			}
		}
	}
}

// firstPos is where a list was written; zero if it was not.
func firstPos[T any](list []spec.Field[T]) spec.Pos {
	if len(list) == 0 {
		return 0
	}
	return list[0].Pos
}
