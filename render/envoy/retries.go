package envoy

import (
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	previoushostsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/previous_hosts/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
)

// retryPolicy is nil when nothing is tried again. A retry avoids the instances
// that were tried before.
func (b *builder) retryPolicy(p ir.Policy, protocol ir.Protocol) *routev3.RetryPolicy {
	if p.Attempts.Value == 0 {
		return nil
	}
	out := &routev3.RetryPolicy{
		NumRetries: wrapperspb.UInt32(p.Attempts.Value),
		RetryHostPredicate: []*routev3.RetryPolicy_RetryHostPredicate{{
			Name:       "envoy.retry_host_predicates.previous_hosts",
			ConfigType: &routev3.RetryPolicy_RetryHostPredicate_TypedConfig{TypedConfig: b.any(&previoushostsv3.PreviousHostsPredicate{})},
		}},
		HostSelectionRetryMaxAttempts: 5,
	}
	var on []string
	for _, condition := range p.RetryOn.Value {
		on = append(on, string(condition))
		if condition == "unavailable" && protocol != ir.GRPC {
			on = append(on, "retriable-status-codes")
			out.RetriableStatusCodes = []uint32{503}
		}
	}
	out.RetryOn = strings.Join(on, ",")
	if t := p.PerTryTimeout.Value; t > 0 {
		out.PerTryTimeout = duration(t)
	}
	return out
}

// budget bounds the retries in flight to a callee.
type budget struct {
	percent        float64
	minConcurrency uint32
}

// retryBudget is the strictest that holds for any of the callee's routes: Envoy
// keeps one for each cluster.
func retryBudget(callee *ir.Upstream, use *ir.Use, defaults ir.Traffic) budget {
	p := ir.Nearest(use.Traffic, callee.Traffic, defaults)
	strictest := budget{p.BudgetPercent.Value, p.MinConcurrency.Value}
	for i := range callee.Routes {
		p := ir.Nearest(use.Traffic, callee.Routes[i].Traffic, callee.Traffic, defaults)
		strictest.percent = min(strictest.percent, p.BudgetPercent.Value)
		strictest.minConcurrency = min(strictest.minConcurrency, p.MinConcurrency.Value)
	}
	return strictest
}
