package link

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/compiler/spec"
)

// objectives of requests to these ports; nil for none. What a directory above says of all services or calls is not
// meant for those below HTTP.
func (l *linker) objectives(
	here place, s *spec.Objectives, ports []ir.Port, whose string, written source.Position,
) *ir.Objectives {
	if s == nil {
		return nil
	}
	out := &ir.Objectives{Pos: here.pos(s.Pos)}
	if len(httpPorts(ports)) == 0 {
		if path.Dir(out.Pos.File) == path.Dir(written.File) {
			l.requestsOnly(here, ports, "an objective of "+whose, s.Pos)
		}
		return nil
	}
	if l.mesh.ReadFrom() == nil {
		l.add(diag.NoEffect, here, "objectives cannot take effect: nobody reads the metrics that they are measured by",
			out.Pos).
			hint(`remove it, or write mesh: telemetry: metrics: scraper: {namespace: "monitoring", ipRanges: ["10.0.0.0/8"]}`)
		return nil
	}
	if s.Availability.IsSet() {
		out.Availability = setting(here, s.Availability.Value, s.Availability.Pos)
	}
	l.latency(here, out, s)
	if out.Availability == nil && len(s.Latency) == 0 {
		l.add(diag.EmptyList, here, "objectives says nothing", out.Pos).hint("objectives: availability: 99.9")
	}
	return out
}

// latency adds the objectives of how long requests take.
func (l *linker) latency(here place, out *ir.Objectives, s *spec.Objectives) {
	for _, within := range sortedKeys(s.Latency) {
		share, at := s.Latency[within], here.field("latency."+within)
		d := l.duration(at, spec.Field[string]{Value: within, Pos: share.Pos})
		if near := twoDigits(d); near != d {
			l.add(diag.OutOfRange, at,
				fmt.Sprintf("%s has more than two digits that count, which proxies do not tell apart", d),
				here.pos(share.Pos)).
				hint("write latency: %q: %v", near, share.Value)
			continue
		}
		out.Latency = append(out.Latency,
			ir.LatencyObjective{Within: d, Percent: share.Value, Pos: here.pos(share.Pos)})
	}
	slices.SortFunc(out.Latency, func(a, b ir.LatencyObjective) int { return cmp.Compare(a.Within, b.Within) })
	for i := range out.Latency {
		if i > 0 && out.Latency[i].Within == out.Latency[i-1].Within {
			l.add(diag.OutOfRange, here.field("latency"), fmt.Sprintf("latency has %s twice", out.Latency[i].Within),
				out.Latency[i].Pos, out.Latency[i-1].Pos).
				hint("delete one of them")
		}
	}
}

// twoDigits is a time in milliseconds of which two digits count: Envoy's histograms have no finer bins.
func twoDigits(d ir.Duration) ir.Duration {
	unit := ir.Duration(time.Millisecond)
	for d/unit >= 100 {
		unit *= 10
	}
	return d / unit * unit
}

// objectivesOfUse are those of a call that requests are told of.
func (l *linker) objectivesOfUse(here place, use *ir.Use, s *spec.Use) {
	if s.Objectives == nil || len(use.Ports) == 0 {
		return
	}
	var ports []ir.Port
	for _, name := range use.Ports {
		ports = append(ports, l.calleePort(use, name))
	}
	use.Objectives = l.objectives(here.field("objectives"), s.Objectives, ports,
		"the call to "+use.To, use.Pos)
}
