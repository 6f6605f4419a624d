package ir

import (
	"slices"

	"github.com/meshc/meshc/compiler/source"
)

// PolicySetting is one setting of a [Policy].
type PolicySetting struct {
	// Path is where the language has it, below a use: "retries.attempts".
	Path  string
	Value any
	// Pos is the place that decided it; the zero Position for the schema's default.
	Pos source.Position
}

// Retrying reports whether failed requests are sent again. Of the other settings below "retries"
// only perTryTimeout means something when they are not.
func (p *Policy) Retrying() bool { return p.Attempts.Value > 0 }

// RetriesOn are the conditions on which a request is sent again: those written, and "refused-stream", as nobody read
// what was refused.
func (p *Policy) RetriesOn() []RetryCondition {
	if on := p.RetryOn.Value; !takesResets(on) && !slices.Contains(on, refusedStream) {
		return append(slices.Clone(on), refusedStream)
	}
	return p.RetryOn.Value
}

// RetriesLate reports whether a try whose time is over is made again: where that time is written. By the default time
// alone nothing is sent again, as the instance may have done what it was asked for.
func (p *Policy) RetriesLate() bool {
	return p.PerTryTimeout.Value.Bounds() && (p.PerTryTimeout.Pos.IsValid() || takesResets(p.RetryOn.Value))
}

// RetriesResets reports whether Envoy must be told "reset" besides: it resets a try whose time is over, and sends it
// again only on one of the conditions that take in every reset.
func (p *Policy) RetriesResets() bool { return p.RetriesLate() && !takesResets(p.RetryOn.Value) }

// takesResets reports whether one of the conditions takes in every reset.
func takesResets(on []RetryCondition) bool {
	return slices.ContainsFunc(on, func(c RetryCondition) bool {
		return c == "5xx" || c == "gateway-error" || c == "reset"
	})
}

// refusedStream is what is always sent again.
const refusedStream RetryCondition = "refused-stream"

// Settings are those of a policy for requests, in the order of the schema; [Bounds.Settings] are the others.
func (p *Policy) Settings() []PolicySetting {
	return []PolicySetting{
		named("timeout", p.Timeout),
		named("idleTimeout", p.IdleTimeout),
		named("retries.attempts", p.Attempts),
		named("retries.perTryTimeout", p.PerTryTimeout),
		named("retries.on", p.RetryOn),
		named("retries.backoff.base", p.BackoffBase),
		named("retries.backoff.max", p.BackoffMax),
		named("retries.hedge", p.Hedge),
		named("retries.budget.percent", p.BudgetPercent),
		named("retries.budget.minConcurrency", p.MinConcurrency),
	}
}

// Settings are those of connections.
func (b *Bounds) Settings() []PolicySetting {
	return []PolicySetting{
		named("connections.max", b.Max),
		named("connections.maxPending", b.MaxPending),
		named("connections.maxRequests", b.MaxRequests),
		named("connections.connectTimeout", b.ConnectTimeout),
		named("connections.idleTimeout", b.IdleTimeout),
		named("connections.keepalive.time", b.KeepaliveTime),
		named("connections.keepalive.interval", b.KeepaliveInterval),
		named("connections.keepalive.probes", b.KeepaliveProbes),
	}
}

func named[T any](path string, s Setting[T]) PolicySetting {
	return PolicySetting{path, s.Value, s.Pos}
}
