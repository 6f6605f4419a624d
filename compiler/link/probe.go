package link

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
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
	case slices.Contains(s.Proxy.Ports(), p.Port):
		l.add(diag.PortTaken, here.field("port"), number+" is used by the proxy", p.Pos).
			hint("name a port of the application")
	case port == nil && targetOf(s, p.Port) != nil:
		other := targetOf(s, p.Port)
		l.add(diag.NoEffect, here.field("port"),
			fmt.Sprintf("callers reach port %[2]s at %[1]s, and the application listens on %[3]d", number, other.Name,
				other.Target), p.Pos, other.Pos).
			hint("port: %d", other.Target)
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

// targetOf is the port of the service that callers know by that number.
func targetOf(s *ir.Service, number uint16) *ir.Port {
	for i := range s.Ports {
		if s.Ports[i].Number == number {
			return &s.Ports[i]
		}
	}
	return nil
}
