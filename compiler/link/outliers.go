package link

import (
	"fmt"
	"math"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

// outliers are what a service or an external says of them; nil for nothing.
func (l *linker) outliers(here place, o *spec.Outliers, ports []ir.Port) *ir.Outliers {
	if o == nil {
		return nil
	}
	out := ir.DefaultOutliers()
	out.Pos = here.pos(o.Pos)
	out.Consecutive5xx = uint32(o.Consecutive5xx.Value)
	out.GatewayErrors = uint32(o.ConsecutiveGatewayErrors.Value)
	l.requestsOnly(here.field("consecutiveGatewayErrors"), ports, "consecutiveGatewayErrors",
		o.ConsecutiveGatewayErrors.Pos)
	if r := o.SuccessRate; r != nil {
		out.SuccessRate = &ir.SuccessRate{
			StdevFactor: r.StdevFactor.Or(1.9),
			Minimum:     minimum(r.MinInstances, r.MinRequests, 100),
		}
	}
	if p := o.FailurePercentage; p != nil {
		out.FailurePercentage = &ir.FailurePercentage{
			Threshold: l.wholePercent(here.field("failurePercentage.threshold"), "threshold", p.Threshold, 85),
			Minimum:   minimum(p.MinInstances, p.MinRequests, 50),
		}
	}
	if out.ReadAnswers() {
		out.LocalFailures = 0
		if pos := o.ConsecutiveLocalFailures.Pos; o.ConsecutiveLocalFailures.IsSet() {
			l.add(diag.NoEffect, here.field("consecutiveLocalFailures"),
				"consecutiveLocalFailures cannot take effect: where answers count, a failure counts as an answer of 503 or 504", here.pos(pos)).
				hint("remove it, or the fields about answers")
		}
	} else {
		out.LocalFailures = uint32(o.ConsecutiveLocalFailures.Or(int(out.LocalFailures)))
	}
	if o.Interval.IsSet() {
		out.Interval = l.duration(here.field("interval"), o.Interval)
	}
	if o.EjectFor.IsSet() {
		out.EjectFor = l.duration(here.field("ejectFor"), o.EjectFor)
	}
	out.MaxEjected = l.wholePercent(here.field("maxEjected"), "maxEjected", o.MaxEjected, out.MaxEjected)
	return out
}

func minimum(instances, requests spec.Field[int], usual int) ir.Minimum {
	return ir.Minimum{Instances: uint32(instances.Or(5)), Requests: uint32(requests.Or(usual))}
}

// wholePercent refuses parts of a percent, which Envoy has no field for.
func (l *linker) wholePercent(here place, name string, f spec.Field[float64], usual float64) float64 {
	percent := f.Or(usual)
	if percent != math.Trunc(percent) {
		l.add(diag.OutOfRange, here, fmt.Sprintf("%s is %v, and must be a whole number of percent", name, percent),
			here.pos(f.Pos))
	}
	return percent
}
