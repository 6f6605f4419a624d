package link

import (
	"fmt"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

// traffic is what one place says of timeouts and retries.
func (l *linker) traffic(u *spec.Unit, path string, timeout spec.Field[string], r *spec.Retries) ir.Traffic {
	var t ir.Traffic
	if timeout.IsSet() {
		t.Timeout = setting(u, l.duration(u, path+".timeout", timeout), timeout.Pos)
	}
	if r == nil {
		return t
	}
	if r.Attempts.IsSet() {
		t.Attempts = setting(u, uint32(r.Attempts.Value), r.Attempts.Pos)
	}
	if r.PerTryTimeout.IsSet() {
		t.PerTryTimeout = setting(u, l.duration(u, path+".retries.perTryTimeout", r.PerTryTimeout), r.PerTryTimeout.Pos)
	}
	if r.On != nil {
		var on []ir.RetryCondition
		for _, condition := range r.On {
			on = append(on, ir.RetryCondition(condition.Value))
		}
		t.RetryOn = setting(u, on, r.Pos)
		if len(on) == 0 {
			l.add(diag.EmptyList, path+".retries.on", "on names no condition, so nothing would be tried again", u.At(r.Pos)).
				hint("leave it out for the default, or write attempts: 0 for no retries")
		} else {
			t.RetryOn.Pos = u.At(r.On[0].Pos)
		}
	}
	if b := r.Budget; b != nil {
		if b.Percent.IsSet() {
			t.BudgetPercent = setting(u, b.Percent.Value, b.Percent.Pos)
		}
		if b.MinConcurrency.IsSet() {
			t.MinConcurrency = setting(u, uint32(b.MinConcurrency.Value), b.MinConcurrency.Pos)
		}
	}
	return t
}

// requestsOnly refuses settings about requests where no port speaks HTTP.
func (l *linker) requestsOnly(u *spec.Unit, path string, ports []ir.Port, what string, pos spec.Pos) {
	if pos == 0 {
		return
	}
	for _, p := range ports {
		if p.Protocol.IsHTTP() {
			return
		}
	}
	l.add(diag.NoEffect, path, fmt.Sprintf("%s cannot take effect: no port of it speaks HTTP", what), u.At(pos)).
		hint("take it out, or give the port the protocol that it speaks")
}
