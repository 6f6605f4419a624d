package istio

import (
	networkingv1 "istio.io/api/networking/v1alpha3"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

// defaultErrors is after how many answers of 5xx in a row Istio ejects an instance where it ejects at all; in meshc
// answers count only where somebody writes so.
const defaultErrors = 5

// outliers are nil for nothing.
func outliers(p *networkingv1.OutlierDetection) *spec.Outliers {
	if p == nil {
		return nil
	}
	out := &spec.Outliers{}
	if n := importer.Take(&p.Consecutive_5XxErrors); n == nil {
		out.Consecutive5xx = spec.Written(defaultErrors)
	} else if n.Value > 0 {
		out.Consecutive5xx = spec.Written(int(n.Value))
	}
	if n := importer.Take(&p.ConsecutiveGatewayErrors); n != nil && n.Value > 0 {
		out.ConsecutiveGatewayErrors = spec.Written(int(n.Value))
	}
	if !out.Consecutive5xx.IsSet() && !out.ConsecutiveGatewayErrors.IsSet() {
		out.ConsecutiveLocalFailures = localFailures(p)
	}
	duration(&out.Interval, &p.Interval)
	duration(&out.EjectFor, &p.BaseEjectionTime)
	if n := importer.Take(&p.MaxEjectionPercent); n != 0 {
		out.MaxEjected = spec.Written(float64(n))
	}
	return out
}

// localFailures are those after which an instance is ejected that no answer ejects: none, unless they are counted
// apart.
func localFailures(p *networkingv1.OutlierDetection) spec.Field[int] {
	n := importer.Take(&p.ConsecutiveLocalOriginFailures)
	switch apart := importer.Take(&p.SplitExternalLocalOriginErrors); {
	case !apart:
		return spec.Written(0)
	case n == nil:
		return spec.Written(defaultErrors) // Envoy's default
	}
	return spec.Written(int(n.Value))
}
