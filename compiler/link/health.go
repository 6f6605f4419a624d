package link

import (
	"fmt"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

// health is how the instances of a service are probed; nil when they are not.
func (l *linker) health(here place, h *spec.Health, ports []ir.Port) *ir.Health {
	if h == nil {
		return nil
	}
	out := &ir.Health{UnhealthyAfter: uint32(h.UnhealthyAfter.Or(3)), HealthyAfter: uint32(h.HealthyAfter.Or(2))}
	out.Interval, out.Timeout = 10*second, second
	if h.Interval.IsSet() {
		out.Interval = l.duration(here.field("interval"), h.Interval)
	}
	if h.Timeout.IsSet() {
		out.Timeout = l.duration(here.field("timeout"), h.Timeout)
	}
	var written choice
	out.Kind, written = probedBy(h.HTTP != nil, h.GRPC != nil, h.TCP != nil)
	if h.HTTP != nil {
		out.Path = h.HTTP.Path.Value
		l.plainPath(here.field("http.path"), out.Path, here.pos(h.HTTP.Path.Pos))
	}
	if h.GRPC != nil {
		out.Service = h.GRPC.Service.Value
	}
	if len(written) != 1 {
		l.add(diag.ExactlyOneOf, here, fmt.Sprintf("health has %d of http, grpc and tcp, and must have exactly one",
			len(written)), here.pos(h.Pos)).
			hint("%s", written.instead(`health: http: path: "/healthz"`))
		return nil
	}
	if !slices.ContainsFunc(ports, func(p ir.Port) bool { return out.Probes(&p) }) {
		l.add(diag.NoEffect, here, fmt.Sprintf("health cannot take effect: no port can be probed by %s", out.Kind),
			here.pos(h.Pos)).
			hint("http needs a port with the protocol http or http2, and grpc one with http2 or grpc; tcp does for all")
	}
	return out
}

// probedBy is how something is probed, of the ways that are written. There must be exactly one of them.
func probedBy(http, grpc, tcp bool) (kind ir.HealthKind, written choice) {
	for _, way := range []struct {
		kind    ir.HealthKind
		written bool
	}{
		{ir.HealthHTTP, http},
		{ir.HealthGRPC, grpc},
		{ir.HealthTCP, tcp},
	} {
		written.add(string(way.kind), way.written)
		if way.written {
			kind = way.kind
		}
	}
	return kind, written
}
