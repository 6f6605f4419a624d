package link

import (
	"fmt"
	"path"
	"time"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/compiler/spec"
)

// traffic is what one place says of timeouts and retries.
func (l *linker) traffic(here place, written spec.Traffic) ir.Traffic {
	t := ir.Traffic{
		Timeout:     l.limitSetting(here.field("timeout"), written.Timeout),
		IdleTimeout: l.limitSetting(here.field("idleTimeout"), written.IdleTimeout),
	}
	if r := written.Retries; r != nil {
		l.retries(here.field("retries"), r, &t)
	}
	if c := written.Connections; c != nil {
		t.Connections = l.connections(here.field("connections"), c)
	}
	return t
}

// limitSetting is a bound on a time, which "none" lifts; nil when nothing is written.
func (l *linker) limitSetting(here place, f spec.Field[string]) *ir.Setting[ir.Duration] {
	switch d, err := time.ParseDuration(f.Value); {
	case !f.IsSet():
		return nil
	case f.Value == ir.NoLimit.String():
		return setting(here, ir.NoLimit, f.Pos)
	case err == nil && d == 0:
		l.add(diag.NoTime, here, fmt.Sprintf("%s is %q, which would end every request before it began", here.name(),
			f.Value), here.pos(f.Pos)).
			hint(`"none" for no limit`)
		return nil
	default:
		return setting(here, l.duration(here, f), f.Pos)
	}
}

// durationSetting is nil when nothing is written.
func (l *linker) durationSetting(here place, f spec.Field[string]) *ir.Setting[ir.Duration] {
	if !f.IsSet() {
		return nil
	}
	return setting(here, l.duration(here, f), f.Pos)
}

func (l *linker) retries(here place, r *spec.Retries, t *ir.Traffic) {
	if r.Attempts.IsSet() {
		t.Attempts = setting(here, uint32(r.Attempts.Value), r.Attempts.Pos)
	}
	t.PerTryTimeout = l.limitSetting(here.field("perTryTimeout"), r.PerTryTimeout)
	if r.On != nil {
		var on []ir.RetryCondition
		for _, condition := range r.On {
			on = append(on, ir.RetryCondition(condition.Value))
		}
		t.RetryOn = setting(here, on, r.Pos)
		if len(on) == 0 {
			l.add(diag.EmptyList, here.field("on"), "on names no condition, so nothing would be retried",
				here.pos(r.Pos)).
				hint("omit it for the default, or write attempts: 0 for no retries")
		} else {
			t.RetryOn.Pos = here.pos(r.On[0].Pos)
		}
	}
	if b := r.Budget; b != nil {
		if b.Percent.IsSet() {
			t.BudgetPercent = setting(here, b.Percent.Value, b.Percent.Pos)
		}
		if b.MinConcurrency.IsSet() {
			t.MinConcurrency = setting(here, uint32(b.MinConcurrency.Value), b.MinConcurrency.Pos)
		}
	}
	if b := r.Backoff; b != nil {
		t.BackoffBase = l.durationSetting(here.field("backoff.base"), b.Base)
		t.BackoffMax = l.durationSetting(here.field("backoff.max"), b.Max)
		if t.BackoffBase != nil && t.BackoffMax != nil && t.BackoffMax.Value < t.BackoffBase.Value {
			l.add(diag.OutOfRange, here.field("backoff.max"), fmt.Sprintf("max is %s and base %s", t.BackoffMax.Value,
				t.BackoffBase.Value), t.BackoffMax.Pos, t.BackoffBase.Pos).
				hint("max is the longest back-off: omit it for ten times base")
		}
	}
	if r.Hedge.IsSet() {
		t.Hedge = setting(here, r.Hedge.Value, r.Hedge.Pos)
	}
}

// ofRequests refuses what a place says of requests where no port speaks HTTP. What a directory above says of all
// services or calls is not meant for each: a rule of the house stays one where some of them have no requests.
func (l *linker) ofRequests(here place, t spec.Traffic, ports []ir.Port, whose string, written source.Position) {
	refuse := func(field, what string, pos spec.Pos) {
		if path.Dir(here.pos(pos).File) == path.Dir(written.File) {
			l.requestsOnly(here.field(field), ports, what+" of "+whose, pos)
		}
	}
	refuse("timeout", "the timeout", t.Timeout.Pos)
	refuse("idleTimeout", "the idleTimeout", t.IdleTimeout.Pos)
	if t.Retries != nil {
		refuse("retries", "retries", t.Retries.Pos)
	}
	if t.Connections != nil {
		refuse("connections.maxRequests", "the maxRequests", t.Connections.MaxRequests.Pos)
	}
}

// requestsOnly refuses settings about requests where no port speaks HTTP.
func (l *linker) requestsOnly(here place, ports []ir.Port, what string, pos spec.Pos) {
	if pos == 0 {
		return
	}
	for _, p := range ports {
		if p.Protocol.IsHTTP() {
			return
		}
	}
	l.add(diag.NoEffect, here, fmt.Sprintf("%s cannot take effect: no port of it speaks HTTP", what), here.pos(pos)).
		hint("remove it, or give the port the protocol that it speaks")
}
