package link

import (
	"fmt"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/compiler/spec"
)

// Of the requests that are logged by a share, and of the traces that are recorded, in percent.
const (
	defaultLogPercent = 1
	defaultSampling   = 1
)

// telemetry links mesh.telemetry, once services and externals are known by name.
func (l *linker) telemetry(u *spec.Unit) {
	here, s := place{u, "mesh.telemetry"}, u.Mesh.Telemetry
	if s == nil {
		return
	}
	l.collector(here.field("collector"), s.Collector)
	l.reports.AccessLog = l.accessLog(here.field("accessLog"), nil, s.AccessLog)
	if t := s.Tracing; t != nil {
		l.reports.Tracing = &ir.Tracing{Sampling: t.Sampling.Or(defaultSampling), Pos: here.pos(t.Pos)}
		if l.mesh.Collector == nil {
			l.missingCollector(here.field("tracing"), "tracing needs a collector", here.pos(t.Pos))
		}
	}
	if m := s.Metrics; m != nil && m.Push != nil {
		at := here.field("metrics.push")
		l.reports.Push = setting(at, true, m.Push.Pos)
		if l.mesh.Collector == nil {
			l.missingCollector(at, "push needs a collector", l.reports.Push.Pos)
		}
	}
}

// collector settles where OTLP goes.
func (l *linker) collector(here place, s *spec.Collector) {
	if s == nil {
		return
	}
	out := &ir.Collector{
		To: s.Service.Or(s.External.Value), External: s.External.IsSet(), Pos: here.pos(s.Pos),
	}
	l.mesh.Collector = out
	if s.Service.IsSet() == s.External.IsSet() {
		l.add(diag.ExactlyOneOf, here, fmt.Sprintf("collector has %s service and external, and must have exactly one",
			bothOrNeither(s.Service.IsSet())), out.Pos).
			hint("%s", either(s.Service.IsSet(), `collector: service: "NAME", or collector: external: "NAME"`,
				"remove service, or remove external"))
		return
	}
	out.Headers = l.secretHeaders(here.field("headers"), s.Headers)
	if out.External {
		e, known := l.externals[out.To]
		if !known {
			l.unknown(diag.UnknownCallee, here.field("external"), "external", out.To, sortedKeys(l.externals),
				s.External.Pos)
			return
		}
		out.Port = l.portOf(here, e.spec.Ports, e.pos, s.Port, s.Pos, func(p ir.Protocol) bool {
			return p.Multiplexed() || p == ir.HTTPS
		}, "speak gRPC")
		if p := e.spec.Ports[out.Port]; p != nil && ir.Protocol(p.Protocol.Value) == ir.HTTPS && e.spec.Via.IsSet() {
			l.add(diag.NotSupported, here.field("external"), "a collector by TLS via a gateway is not supported yet",
				here.pos(s.External.Pos), e.place.pos(e.spec.Via.Pos)).
				hint("let the proxies reach it themselves: remove via from external.%s", out.To)
		}
		if standsForMany(e.spec.Hosts) {
			l.add(diag.ExternalWildcard, here.field("external"),
				out.To+" stands for many names, and proxies report to one", here.pos(s.External.Pos), e.pos).
				hint("name an external without a wildcard among its hosts")
		}
		l.secretsAreKept(here.field("headers"), out, e)
		return
	}
	if len(out.Headers) > 0 {
		l.add(diag.NoEffect, here.field("headers"),
			fmt.Sprintf("headers cannot take effect: %s is a service of the mesh, and knows who reports by their certificates",
				out.To), out.Headers[0].Pos).hint("remove it, or name an external")
	}
	h, known := l.services[out.To]
	if !known {
		l.unknown(diag.UnknownCallee, here.field("service"), "service", out.To, sortedKeys(l.services), s.Service.Pos)
		return
	}
	out.Port = l.onlyPort(here, h, s.Port, s.Pos, ir.Protocol.Multiplexed, "speak gRPC")
}

// accessLog is what the mesh says of access logs, if anything, with what is written on top.
func (l *linker) accessLog(here place, mesh *ir.AccessLog, s *spec.AccessLog) *ir.AccessLog {
	if s == nil {
		return mesh
	}
	out := ir.AccessLog{Format: ir.LogJSON, Logged: ir.Logged{When: ir.LogErrors}}
	if mesh != nil {
		out = *mesh
	}
	out.Pos = here.pos(s.Pos)
	out.Format = ir.LogFormat(s.Format.Or(string(out.Format)))
	out.Query = s.Query.Or(out.Query)
	out.File = s.File.Or(out.File)
	if out.Format == ir.LogOTLP {
		l.unread(here.field("file"), s.File.Pos, `lines of the format "otlp" go to the collector`)
		out.File = ""
		if s.Format.IsSet() && l.mesh.Collector == nil {
			l.missingCollector(here.field("format"), `format "otlp" needs a collector`, here.pos(s.Format.Pos))
		}
	}
	l.logged(here, &out.Logged, s.When, s.Percent, out.Pos)
	return &out
}

func (l *linker) missingCollector(here place, message string, pos source.Position) {
	l.add(diag.MissingField, here, message, pos).
		hint(`name an external that takes OTLP, or a service that allows calls of those that report to it: ` +
			`mesh: telemetry: collector: service: "NAME"`)
}

// traced refuses to say of the sampling of a mesh that has no tracing, and reports whether there is something said.
func (l *linker) traced(here place, s *spec.Tracing) bool {
	if s == nil || l.reports.Tracing != nil {
		return s != nil
	}
	l.add(diag.NoEffect, here, "tracing cannot take effect: the mesh has no tracing", here.pos(s.Pos)).
		hint("remove it, or write mesh: telemetry: tracing: {} and a collector")
	return false
}

// routeSampling is how many of the traces that begin with a route's requests are recorded; nil where it says nothing.
func (l *linker) routeSampling(here place, s *spec.RouteTelemetry) *ir.Setting[float64] {
	if s == nil || !l.traced(here.field("tracing"), s.Tracing) {
		return nil
	}
	return setting(here, s.Tracing.Sampling.Value, s.Tracing.Sampling.Pos)
}

// logged is what was said of which requests are logged, with what is written on top.
func (l *linker) logged(here place, out *ir.Logged, when spec.Field[string], percent spec.Field[float64],
	pos source.Position,
) {
	if when.IsSet() || percent.IsSet() {
		out.Pos = pos
	}
	out.When = ir.LogWhen(when.Or(string(out.When)))
	if out.When != ir.LogSampled {
		out.Percent = 0
		l.unread(here.field("percent"), percent.Pos, fmt.Sprintf("when is %q, and not \"sampled\"", out.When))
		return
	}
	if out.Percent == 0 {
		out.Percent = defaultLogPercent
	}
	out.Percent = percent.Or(out.Percent)
}

// routeLogged are the requests of a route that are logged; nil where it says nothing.
func (l *linker) routeLogged(here place, s *spec.RouteTelemetry) *ir.Logged {
	if s == nil || s.AccessLog == nil {
		return nil
	}
	at, out := here.field("accessLog"), &ir.Logged{}
	l.logged(at, out, s.AccessLog.When, s.AccessLog.Percent, at.pos(s.AccessLog.Pos))
	return out
}

// memberTelemetry is what a member's proxies report: what the mesh says, with what the member writes on top.
func (l *linker) memberTelemetry(here place, s *spec.MemberTelemetry) ir.Telemetry {
	out := l.reports
	if s != nil {
		out.AccessLog = l.accessLog(here.field("accessLog"), out.AccessLog, s.AccessLog)
		if l.traced(here.field("tracing"), s.Tracing) {
			out.Tracing = &ir.Tracing{
				Sampling: s.Tracing.Sampling.Or(out.Tracing.Sampling), Pos: here.pos(s.Tracing.Pos),
			}
		}
	}
	return out
}

// serviceTelemetry is what the sidecars of a service report.
func (l *linker) serviceTelemetry(here place, service *ir.Service, s *spec.MemberTelemetry) ir.Telemetry {
	out := l.memberTelemetry(here, s)
	l.collects(here, service.Name, &out, s)
	if service.Workload.InCluster() {
		l.onStdout(here, &out, s, "the proxies of pods have no file system that they can write to")
	}
	return out
}

// gatewayTelemetry is what the proxies of a gateway report.
func (l *linker) gatewayTelemetry(here place, s *spec.MemberTelemetry) ir.Telemetry {
	out := l.memberTelemetry(here, s)
	l.onStdout(here, &out, s, "the proxies of a gateway log on standard output")
	return out
}

// onStdout refuses a file of lines where it could not be opened, with the reason. What the mesh says of files is for
// hosts.
func (l *linker) onStdout(here place, t *ir.Telemetry, s *spec.MemberTelemetry, why string) {
	if t.AccessLog == nil || t.AccessLog.File == "" {
		return
	}
	if s != nil && s.AccessLog != nil {
		l.unread(here.field("accessLog.file"), s.AccessLog.File.Pos, why)
	}
	log := *t.AccessLog
	log.File, t.AccessLog = "", &log
}

// requestsAreRead refuses what a service says of requests that only knows connections below HTTP.
func (l *linker) requestsAreRead(here place, ports []ir.Port, uses []ir.Use, s *spec.MemberTelemetry) {
	if s == nil || len(httpPorts(ports)) > 0 {
		return
	}
	for i := range uses {
		for _, name := range uses[i].Ports {
			if l.calleePort(&uses[i], name).Protocol.IsHTTP() {
				return
			}
		}
	}
	const why = "the service has no requests of HTTP"
	if s.AccessLog != nil {
		l.unread(here.field("telemetry.accessLog.query"), s.AccessLog.Query.Pos, why)
	}
	if s.Tracing != nil {
		l.unread(here.field("telemetry.tracing"), s.Tracing.Pos, why)
	}
}

// collects has the collector's own proxies report nothing to it: each report would make another.
func (l *linker) collects(here place, name string, t *ir.Telemetry, s *spec.MemberTelemetry) {
	if c := l.mesh.Collector; c == nil || c.External || c.To != name || !t.ByOTLP() {
		return
	}
	const why = "the service is the collector, and does not report to itself"
	t.Push = nil
	if t.Tracing = nil; s != nil && s.Tracing != nil {
		l.unread(here.field("tracing"), s.Tracing.Pos, why)
	}
	if !t.ByOTLP() {
		return
	}
	if t.AccessLog = nil; s != nil && s.AccessLog != nil {
		l.unread(here.field("accessLog.format"), s.AccessLog.Format.Pos, why)
	}
}

// reported adds the collector to what a member reaches when its proxies report by OTLP.
func (l *linker) reported(here place, caller *ir.Peer, t *ir.Telemetry, pos source.Position, uses []ir.Use) []ir.Use {
	c := l.mesh.Collector
	if c == nil || c.Port == "" || !t.ByOTLP() {
		return uses
	}
	return l.asks(here, caller, c.To, c.Port, c.External, "to report by OTLP", c.Pos, pos, uses)
}

// reportsTakeEffect refuses a collector to which nobody reports, and a file that nobody writes.
func (l *linker) reportsTakeEffect(u *spec.Unit) {
	here := place{u, "mesh.telemetry"}
	if log := l.reports.AccessLog; log != nil && log.File != "" &&
		!slices.ContainsFunc(l.mesh.Services, func(s *ir.Service) bool {
			return s.Telemetry.AccessLog != nil && s.Telemetry.AccessLog.File != ""
		}) {
		l.unread(here.field("accessLog.file"), u.Mesh.Telemetry.AccessLog.File.Pos,
			"pods and gateways log on standard output, and no service runs elsewhere")
	}
	if l.mesh.Collector == nil ||
		slices.ContainsFunc(l.mesh.Services, func(s *ir.Service) bool { return s.Telemetry.ByOTLP() }) ||
		slices.ContainsFunc(l.mesh.Gateways, func(g *ir.Gateway) bool { return g.Telemetry.ByOTLP() }) {
		return
	}
	l.unread(here.field("collector"), u.Mesh.Telemetry.Collector.Pos, "nothing is reported by OTLP")
}
