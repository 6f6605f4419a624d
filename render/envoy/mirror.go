package envoy

import (
	"math"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/meshc/meshc/compiler/ir"
)

// mirror has a route send copies of its requests, under the same host.
func (b *builder) mirror(action *routev3.RouteAction, m *ir.Mirror, came *ir.Port) {
	if m == nil {
		return
	}
	action.RequestMirrorPolicies = append(action.RequestMirrorPolicies, &routev3.RouteAction_RequestMirrorPolicy{
		Cluster:                       b.destinations([]ir.Destination{m.Destination}, came)[0].cluster,
		RuntimeFraction:               &corev3.RuntimeFractionalPercent{DefaultValue: fraction(m.Percent)},
		DisableShadowHostSuffixAppend: true,
	})
}

// fraction is a share in percent, to a ten thousandth of a percent.
func fraction(percent float64) *typev3.FractionalPercent {
	return &typev3.FractionalPercent{Numerator: uint32(math.Round(percent * 10000)), Denominator: typev3.FractionalPercent_MILLION}
}
