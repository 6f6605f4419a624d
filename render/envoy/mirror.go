package envoy

import (
	"math"
	"strconv"
	"time"

	mutationv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/meshc/meshc/compiler/ir"
)

// mirror has a route send copies of its requests, under the same host. A copy is given up, which counts against its
// instance, when its answer has not ended in the timeout of the policy, or within the time that a request may be idle
// by default: nobody waits for it, and copies for an instance that hangs would stay for ever.
func (b *builder) mirror(action *routev3.RouteAction, m *ir.Mirror, came *ir.Port, p ir.Policy) {
	if m == nil {
		return
	}
	within := ir.DefaultIdle
	if p.Timeout.Value.Bounds() {
		within = p.Timeout.Value
	}
	action.RequestMirrorPolicies = append(action.RequestMirrorPolicies, &routev3.RouteAction_RequestMirrorPolicy{
		Cluster:                       b.destinations([]ir.Destination{m.Destination}, came)[0].cluster,
		RuntimeFraction:               &corev3.RuntimeFractionalPercent{DefaultValue: fraction(m.Percent)},
		DisableShadowHostSuffixAppend: true,
		// The time for the copy alone, which its own router takes out.
		RequestHeadersMutations: []*mutationv3.HeaderMutation{
			{Action: &mutationv3.HeaderMutation_Append{Append: overwriting("x-envoy-upstream-rq-timeout-ms",
				strconv.FormatInt(max(1, time.Duration(within).Milliseconds()), 10))}},
		},
	})
}

// fraction is a share in percent, to a ten thousandth of a percent.
func fraction(percent float64) *typev3.FractionalPercent {
	return &typev3.FractionalPercent{
		Numerator:   uint32(math.Round(percent * 10000)),
		Denominator: typev3.FractionalPercent_MILLION,
	}
}
