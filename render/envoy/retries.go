package envoy

import (
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	previoushostsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/previous_hosts/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
)

// retryPolicy sends what failed again, to other instances than those that were tried before. A stream that the other
// side refused was not read, and goes to another instance once, whatever is written.
func (b *builder) retryPolicy(p ir.Policy, protocol ir.Protocol) *routev3.RetryPolicy {
	out := &routev3.RetryPolicy{
		NumRetries: wrapperspb.UInt32(max(1, p.Attempts.Value)),
		RetryHostPredicate: []*routev3.RetryPolicy_RetryHostPredicate{{
			Name: "envoy.retry_host_predicates.previous_hosts",
			ConfigType: &routev3.RetryPolicy_RetryHostPredicate_TypedConfig{
				TypedConfig: b.any(&previoushostsv3.PreviousHostsPredicate{}),
			},
		}},
		HostSelectionRetryMaxAttempts: 20, // each finds the other of two instances in half of the cases
	}
	if t := answersWithin(&p, protocol); t > 0 {
		out.PerTryTimeout = duration(t)
	}
	if !p.Retrying() {
		if b.proxyless { // gRPC's clients do so by themselves
			return nil
		}
		out.RetryOn, out.RetriableHeaders = refusedStream+",retriable-headers", onUnanswered(nil)
		return out
	}
	var on []string
	for _, condition := range p.RetriesOn() {
		on = append(on, string(condition))
		if condition == "unavailable" && protocol != ir.GRPC {
			on = append(on, "retriable-status-codes")
			out.RetriableStatusCodes = []uint32{503}
		}
	}
	if p.RetriesResets() { // between the proxies: what the application breaks off is told apart
		on = append(on, brokenOff)
	}
	if !b.proxyless {
		on = append(on, "retriable-headers")
		out.RetriableHeaders = append(onUnanswered(p.RetryOn.Value), onStatus(p.RetryOn.Value, protocol)...)
	}
	out.RetryOn = strings.Join(on, ",")
	base, most := p.BackoffBase.Value, p.BackoffMax.Value
	if base != ir.Default().BackoffBase.Value || most != 10*base { // others than Envoy has by itself
		out.RetryBackOff = &routev3.RetryPolicy_RetryBackOff{
			BaseInterval: duration(base),
			MaxInterval:  duration(max(base, most)),
		}
	}
	return out
}

// hedgePolicy sends the next try beside one whose time is over; nil when the one
// gives way to the next.
func hedgePolicy(p ir.Policy) *routev3.HedgePolicy {
	if !p.Hedge.Value || p.Attempts.Value == 0 || !p.PerTryTimeout.Value.Bounds() {
		return nil
	}
	return &routev3.HedgePolicy{HedgeOnPerTryTimeout: true}
}

// budget bounds the retries in flight to a callee.
type budget struct {
	percent        float64
	minConcurrency uint32
}

func budgetOf(p *ir.Policy) budget {
	of := p.Budget()
	return budget{of.Percent.Value, of.MinConcurrency.Value}
}

// retryBudget is that of a callee's clusters, or of a call by that policy where no other one leads there.
func (b *builder) retryBudget(callee string, p *ir.Policy) budget {
	if of, called := b.budgets[callee]; called {
		return of
	}
	return budgetOf(p)
}

// retryBudgets are, by callee, those of the member's calls that lead there. A callee that no call leads to, whom the
// proxy itself asks, has none.
func retryBudgets(s *ir.Scope) map[string]budget {
	out := map[string]budget{}
	for end, of := range ir.RetryBudgets(s.Calls()) {
		out[end] = budget{of.Percent.Value, of.MinConcurrency.Value}
	}
	return out
}
