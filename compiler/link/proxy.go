package link

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/compiler/spec"
)

// proxyOf is mesh.proxy with what a member writes on top.
func (l *linker) proxyOf(here place, p *spec.Proxy) ir.Proxy {
	proxy := l.proxy
	if p == nil {
		return proxy
	}
	proxy.Interception = ir.Interception(p.Interception.Or(string(proxy.Interception)))
	proxy.InboundPort = uint16(p.InboundPort.Or(int(proxy.InboundPort)))
	proxy.OutboundPort = uint16(p.OutboundPort.Or(int(proxy.OutboundPort)))
	proxy.AdminPort = uint16(p.AdminPort.Or(int(proxy.AdminPort)))
	proxy.HealthPort = uint16(p.HealthPort.Or(int(proxy.HealthPort)))
	if proxy.MetricsPort != 0 {
		proxy.MetricsPort = uint16(p.MetricsPort.Or(int(proxy.MetricsPort)))
	} else {
		l.unread(here.field("metricsPort"), p.MetricsPort.Pos, "mesh.telemetry.metrics is not written")
	}
	proxy.CertificateDirectory = p.CertificateDirectory.Or(proxy.CertificateDirectory)
	if s := l.secondsSetting(here.field("drainTime"), p.DrainTime); s != nil {
		proxy.DrainTime = s.Value
	}
	proxy.SecretDirectory = p.SecretDirectory.Or(proxy.SecretDirectory)
	proxy.Server = p.Server.Or(proxy.Server)
	proxy.Requests = forms(here.field("requests"), proxy.Requests, p.Requests)
	l.excluded(here, p, &proxy)
	l.undeclaredCalls(here, p, &proxy)
	l.inPods(here, p, &proxy)
	if p.Privileged != nil {
		proxy.Privileged = values(p.Privileged)
		slices.Sort(proxy.Privileged)
		proxy.Privileged = slices.Compact(proxy.Privileged)
	}
	if p.IPFamilies != nil {
		proxy.Family = l.family(here.field("ipFamilies"), p)
	}
	l.differentPorts(here, here.pos(p.Pos), &proxy)
	if l.mesh.Delivery == ir.DeliveryStatic {
		l.unread(here.field("server"), p.Server.Pos, `with delivery "static" proxies ask no server`)
	}
	if p.Server.IsSet() {
		if _, _, ok := splitHostPort(proxy.Server); !ok {
			l.add(diag.BadAddress, here.field("server"), fmt.Sprintf("server is %q and must be HOST:PORT",
				proxy.Server), here.pos(p.Server.Pos))
		}
	}
	return proxy
}

// differentPorts refuses a proxy that would need a port for two purposes.
func (l *linker) differentPorts(here place, pos source.Position, proxy *ir.Proxy) {
	if own := proxy.Ports(); len(slices.Compact(own)) < len(own) {
		l.add(diag.PortTaken, here, fmt.Sprintf("the proxy needs different ports: %s", namedPorts(proxy)), pos)
	}
}

// excluded is what a member or the mesh says is not redirected.
func (l *linker) excluded(here place, p *spec.Proxy, proxy *ir.Proxy) {
	for _, list := range []struct {
		from []spec.Field[int]
		to   *[]uint16
	}{{p.ExcludeInboundPorts, &proxy.ExcludeInboundPorts}, {p.ExcludeOutboundPorts, &proxy.ExcludeOutboundPorts}} {
		if list.from != nil {
			*list.to = nil
		}
		for _, f := range list.from {
			*list.to = append(*list.to, uint16(f.Value))
		}
	}
	if p.ExcludeOutboundRanges != nil {
		proxy.ExcludeOutboundRanges = nil
	}
	for i, f := range p.ExcludeOutboundRanges {
		network, err := netip.ParsePrefix(f.Value)
		if err != nil {
			l.add(diag.BadAddress, here.field("excludeOutboundRanges").
				index(i), fmt.Sprintf("%q is not a valid CIDR range", f.Value), here.pos(f.Pos)).
				hint(`write "10.96.0.0/12" or "fd00::/108"`)
			continue
		}
		proxy.ExcludeOutboundRanges = append(proxy.ExcludeOutboundRanges, network.Masked())
	}
}

// family is the only IP family that is written, or empty for both.
func (l *linker) family(here place, p *spec.Proxy) ir.IPFamily {
	families := values(p.IPFamilies)
	slices.Sort(families)
	families = slices.Compact(families)
	switch len(families) {
	case 0:
		l.add(diag.EmptyList, here, "ipFamilies is empty, so the proxy would take no connections", here.pos(p.Pos)).
			hint("omit it for both")
	case 1:
		return ir.IPFamily(families[0])
	}
	return ""
}

// namedPorts are the ports of a proxy by the fields that have them.
func namedPorts(p *ir.Proxy) string {
	text := fmt.Sprintf("inboundPort %d, outboundPort %d, adminPort %d, healthPort %d", p.InboundPort, p.OutboundPort,
		p.AdminPort, p.HealthPort)
	if p.MetricsPort != 0 {
		text += fmt.Sprintf(", metricsPort %d", p.MetricsPort)
	}
	return text
}
