package link

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/compiler/spec"
)

// probes are those that a service lets in without mutual TLS, once its ports, its
// workload and its proxy are known.
func (l *linker) probes(here place, list []*spec.Probe, s *ir.Service) []ir.Probe {
	var out []ir.Probe
	for i, p := range list {
		at := here.field("probes").index(i)
		probe := ir.Probe{Port: uint16(p.Port.Value), Pos: here.pos(p.Pos)}
		var written choice
		probe.Kind, written = probedBy(p.HTTP != nil, p.GRPC != nil, p.TCP != nil)
		if p.HTTP != nil {
			probe.Path = p.HTTP.Path.Value
			l.normalPath(at.field("http.path"), probe.Path, here.pos(p.HTTP.Path.Pos))
		}
		if len(written) != 1 {
			l.add(diag.ExactlyOneOf, at, fmt.Sprintf("probe has %d of http, grpc and tcp, and must have exactly one",
				len(written)), probe.Pos).
				hint("%s", written.instead(`http: path: "/healthz"`))
			continue
		}
		if slices.ContainsFunc(out,
			func(o ir.Probe) bool { return o.Port == probe.Port && o.Kind == probe.Kind && o.Path == probe.Path }) {
			l.add(diag.NoEffect, at, fmt.Sprintf("the %s probe of port %d is written twice", probe.Kind, probe.Port),
				probe.Pos).hint("remove one of them")
			continue
		}
		l.probed(at, s, &probe)
		out = append(out, probe)
	}
	return out
}

// probed holds a probe against the port that it is for.
func (l *linker) probed(here place, s *ir.Service, p *ir.Probe) {
	port := s.PortAt(p.Port)
	number := fmt.Sprint("port ", p.Port)
	switch {
	case !l.isApplicationPort(here.field("port"), s, port, p.Port, p.Pos):
	case port != nil && port.Open:
		l.add(diag.NoEffect, here, number+" is open: everything is allowed there", p.Pos, port.Pos).
			hint("remove the probe")
	case p.Kind == ir.HealthTCP:
	case slices.Contains(s.Proxy.ExcludeInboundPorts, p.Port):
		l.add(diag.NoEffect, here, number+" is not redirected to the proxy, so it needs no probe", p.Pos).
			hint("remove the probe")
	case s.Explicit && port == nil:
		l.add(diag.NoEffect, here,
			fmt.Sprintf("without redirection the proxy listens on the service's ports alone, and %s is none of them",
				number), p.Pos).
			hint("remove the probe: the application itself answers there")
	case s.Plaintext && port != nil && !port.Protocol.IsHTTP():
		l.add(diag.NoEffect, here, fmt.Sprintf(`with mtls "permissive" the rules say who is let in on %s without TLS`,
			number), p.Pos).
			hint("add {from: plaintext: true, ports: [%q]} to services.%s.allow, and remove the probe", port.Name, s.Name)
	case s.Plaintext && port != nil:
		l.add(diag.NoEffect, here, fmt.Sprintf(`with mtls "permissive" the rules say what is allowed on %s without TLS`,
			number), p.Pos).
			hint("add {from: plaintext: true, paths: [%q]} to services.%s.allow, and remove the probe",
				cmp.Or(p.Path, "/healthz"), s.Name)
	case p.Kind == ir.HealthGRPC && port != nil && port.Protocol == ir.HTTP:
		l.add(diag.NoEffect, here, fmt.Sprintf("the application speaks HTTP/1.1 on port %s, and gRPC needs HTTP/2",
			port.Name), p.Pos, port.Pos).
			hint(`write ports: %s: protocol: "grpc" in services.%s`, port.Name, s.Name)
	}
}

// isApplicationPort refuses a number that the proxy listens on. Where the service has no such port (port is nil), it
// also refuses the number by which callers know a port whose application listens on another number.
func (l *linker) isApplicationPort(
	here place, s *ir.Service, port *ir.Port, number uint16, pos source.Position,
) bool {
	if slices.Contains(s.Proxy.Ports(), number) {
		l.add(diag.PortTaken, here, fmt.Sprintf("port %d is used by the proxy", number), pos).
			hint("name a port of the application")
		return false
	}
	other := targetOf(s, number)
	if port != nil || other == nil {
		return true
	}
	l.add(diag.NoEffect, here, fmt.Sprintf("callers reach port %s at port %d, and the application listens on %d",
		other.Name, number, other.Target), pos, other.Pos).
		hint("port: %d", other.Target)
	return false
}

// targetOf is the port of the service that callers know by that number.
func targetOf(s *ir.Service, number uint16) *ir.Port {
	for i := range s.Ports {
		if s.Ports[i].Number == number {
			return &s.Ports[i]
		}
	}
	return nil
}
