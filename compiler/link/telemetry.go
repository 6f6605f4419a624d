package link

import (
	"fmt"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/compiler/spec"
)

const defaultLogPercent = 1

// telemetry links mesh.telemetry, once services and externals are known by name.
func (l *linker) telemetry(u *spec.Unit) {
	here, s := place{u, "mesh.telemetry"}, u.Mesh.Telemetry
	if s == nil {
		return
	}
	l.collector(here.field("collector"), s.Collector)
	l.reports.AccessLog = l.accessLog(here.field("accessLog"), nil, s.AccessLog)
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
		return
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
			l.add(diag.MissingField, here.field("format"), `format "otlp" needs a collector`,
				here.pos(s.Format.Pos)).
				hint(`name a service or external that takes OTLP: mesh: telemetry: collector: service: "NAME"`)
		}
	}
	l.logged(here, &out.Logged, s.When, s.Percent, out.Pos)
	return &out
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
	}
	return out
}

// serviceTelemetry is what the sidecars of a service report.
func (l *linker) serviceTelemetry(here place, service *ir.Service, s *spec.MemberTelemetry) ir.Telemetry {
	out := l.memberTelemetry(here, s)
	l.collects(here, service.Name, &out, s)
	if service.Workload.InCluster() {
		l.inPods(here, &out, s)
	}
	return out
}

// gatewayTelemetry is what the proxies of a gateway report.
func (l *linker) gatewayTelemetry(here place, s *spec.MemberTelemetry) ir.Telemetry {
	out := l.memberTelemetry(here, s)
	l.inPods(here, &out, s)
	return out
}

// inPods refuses a file of lines in pods, whose file systems are read-only. What the mesh says of files is for hosts.
func (l *linker) inPods(here place, t *ir.Telemetry, s *spec.MemberTelemetry) {
	if t.AccessLog == nil || t.AccessLog.File == "" {
		return
	}
	if s != nil && s.AccessLog != nil {
		l.unread(here.field("accessLog.file"), s.AccessLog.File.Pos,
			"the proxies of pods have no file system that they can write to")
	}
	log := *t.AccessLog
	log.File, t.AccessLog = "", &log
}

// collects has the collector's own proxies report nothing to it: each report would make another.
func (l *linker) collects(here place, name string, t *ir.Telemetry, s *spec.MemberTelemetry) {
	if c := l.mesh.Collector; c == nil || c.External || c.To != name || !t.ByOTLP() {
		return
	}
	if s != nil && s.AccessLog != nil {
		l.unread(here.field("accessLog.format"), s.AccessLog.Format.Pos,
			"the service is the collector, and does not report to itself")
	}
	t.AccessLog = nil
}

// reported adds the collector to what a member reaches when its proxies report by OTLP.
func (l *linker) reported(here place, caller *ir.Peer, t *ir.Telemetry, pos source.Position, uses []ir.Use) []ir.Use {
	c := l.mesh.Collector
	if c == nil || c.Port == "" || !t.ByOTLP() {
		return uses
	}
	return l.asks(here, caller, c.To, c.Port, c.External, "to report by OTLP", c.Pos, pos, uses)
}

// collectorTakesEffect refuses a collector to which nobody reports.
func (l *linker) collectorTakesEffect(u *spec.Unit) {
	if l.mesh.Collector == nil ||
		slices.ContainsFunc(l.mesh.Services, func(s *ir.Service) bool { return s.Telemetry.ByOTLP() }) ||
		slices.ContainsFunc(l.mesh.Gateways, func(g *ir.Gateway) bool { return g.Telemetry.ByOTLP() }) {
		return
	}
	l.unread(place{u, "mesh.telemetry.collector"}, u.Mesh.Telemetry.Collector.Pos, "nothing is reported by OTLP")
}
