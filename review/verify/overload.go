package verify

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/meshc/meshc/compiler/ir"
)

// atOnce is how many requests are sent at once at most, and beyond how many more than a bound allows.
const (
	atOnce = 400
	beyond = 12
)

// slowly has applications answer so late that requests sent at once are all there together.
const slowly = "700ms"

// overload sends more requests at once than a bound of connections allows. Open is the gauge by which the caller's
// proxy says that the bound is reached.
func overload(path, open string, bound func(*ir.Bounds) uint32) experiment {
	return func(ctx context.Context, p *prober, e *edge) (*result, error) {
		bounds := &e.trial.Policy.Bounds
		n := int(bound(bounds)) + beyond
		if path == "connections.maxPending" && bounds.Max.Pos.IsValid() {
			n += int(bounds.Max.Value)
		}
		if n > atOnce {
			return shows(NotProvoked, "it would take more than %d requests at once", atOnce)
		}
		var got map[int]int
		opened, err := p.during(ctx, e, open, func() (err error) {
			got, err = p.burst(ctx, e, n, doing{"x-delay": slowly})
			return err
		})
		if err != nil {
			return nil, err
		}
		switch {
		case opened > 0, path == "connections.maxRequests" && got[http.StatusServiceUnavailable] > 0:
		case path == "connections.maxPending":
			return shows(NotProvoked, "of %d requests at once not so many waited for a connection", n)
		default:
			return shows(NoEffect, "of %d requests at once none met the bound%s", n, p.instead(e, path))
		}
		return shows(Behaves, "of %d requests at once %d were answered and %d refused with 503", n, got[http.StatusOK],
			got[http.StatusServiceUnavailable])
	}
}

// crowd sends more requests at once than the callee's proxies may have connections to their applications.
func crowd(ctx context.Context, p *prober, e *edge) (*result, error) {
	bounds, n := &e.trial.Policy.Bounds, beyond
	for _, end := range e.ends {
		s := p.mesh.Placed().Service(end.Name)
		n += int(s.LastHop.Max) * len(s.Workload.Endpoints)
	}
	switch {
	case n > atOnce:
		return shows(NotProvoked, "it would take more than %d requests at once", atOnce)
	case bounds.MaxRequests.Value < bounds.Max.Value:
		return shows(NoEffect, "a caller has no more requests at once than that: connections.maxRequests (%s) is less",
			bounds.MaxRequests.Pos)
	}
	before, err := p.atApplications(ctx, e, refusedConnections)
	if err != nil {
		return nil, err
	}
	got, err := p.burst(ctx, e, n, doing{"x-delay": slowly})
	if err != nil {
		return nil, err
	}
	after, err := p.grows(ctx, before, func() (uint64, error) { return p.atApplications(ctx, e, refusedConnections) })
	if err != nil {
		return nil, err
	}
	if after == before {
		return shows(NoEffect, "of %d requests at once none waited for a connection to the application", n)
	}
	return shows(Behaves, "of %d requests at once some waited for a connection to the application; %d were answered "+
		"and %d refused with 503", n, got[http.StatusOK], got[http.StatusServiceUnavailable])
}

// refusedConnections counts connections that a bound did not let open. The gauge cx_open is not asked: where threads
// open connections together, it may stay 0 at the bound.
const refusedConnections = "upstream_cx_overflow"

// connect opens more connections below HTTP than there may be.
func connect(ctx context.Context, p *prober, e *edge) (*result, error) {
	n := int(e.trial.Policy.Bounds.Max.Value) + beyond
	if n > atOnce {
		return shows(NotProvoked, "it would take more than %d connections at once", atOnce)
	}
	before, err := p.stat(ctx, e, refusedConnections)
	if err != nil {
		return nil, err
	}
	at := net.JoinHostPort(e.test.Host, strconv.Itoa(int(e.test.Port)))
	for range n {
		c, err := p.mesh.As(e.test.From).Dial(ctx, at)
		if err != nil {
			return nil, err
		}
		defer c.Close()
	}
	after, err := p.grows(ctx, before, func() (uint64, error) { return p.stat(ctx, e, refusedConnections) })
	if err != nil {
		return nil, err
	}
	if after == before {
		return shows(NoEffect, "%d connections were open at once", n)
	}
	return shows(Behaves, "of %d connections at once some were refused", n)
}

// grows waits for a counter to be more than it was, for as long as it may be late, and returns what it is then.
func (p *prober) grows(ctx context.Context, was uint64, read func() (uint64, error)) (is uint64, err error) {
	for end := time.Now().Add(slack); ; {
		if is, err = read(); err != nil || is > was || time.Now().After(end) {
			return is, err
		}
		select {
		case <-ctx.Done():
			return is, context.Cause(ctx)
		case <-time.After(busyPause):
		}
	}
}

// instead says why a bound was not met. Between proxies requests share connections, whatever the application speaks.
func (p *prober) instead(e *edge, path string) string {
	b := &e.trial.Policy.Bounds
	switch {
	case path == "connections.maxPending" && e.ends[0].Kind == ir.KindService:
		return ": requests share connections"
	case path == "connections.maxRequests" && b.Max.Pos.IsValid() && b.Max.Value < b.MaxRequests.Value:
		return fmt.Sprintf(": connections.max (%s) is less", b.Max.Pos)
	case path != "connections.maxRequests" && b.MaxRequests.Pos.IsValid() && b.MaxRequests.Value < b.Max.Value:
		return fmt.Sprintf(": connections.maxRequests (%s) is less", b.MaxRequests.Pos)
	}
	return ""
}

// overspend has many requests fail at once, so that more are to be sent again than a budget allows.
func overspend(path string) experiment {
	return func(ctx context.Context, p *prober, e *edge) (*result, error) {
		policy := e.trial.Policy
		if !policy.Retrying() {
			return shows(NoEffect, "no request is sent again: retries.attempts is 0")
		}
		if stricter := p.stricter(e, path); stricter != "" {
			return shows(NoEffect, "another budget of the same caller is stricter (%s)", stricter)
		}
		if policy.BudgetPercent.Value >= 100 {
			return shows(NoEffect, "every request may be sent again: retries.budget.percent is 100")
		}
		n := max(40, 2*int(policy.MinConcurrency.Value)+beyond)
		if n > atOnce {
			return shows(NotProvoked, "it would take more than %d requests at once", atOnce)
		}
		i := slices.IndexFunc(provoked, func(c provocation) bool { return c.retried(e) })
		if i < 0 {
			return shows(NotProvoked, "an application cannot fail so that a request is sent again")
		}
		const refused = "upstream_rq_retry_overflow"
		before, err := p.stat(ctx, e, refused)
		if err != nil {
			return nil, err
		}
		if _, err := p.burst(ctx, e, n, provoked[i].slowly()); err != nil {
			return nil, err
		}
		after, err := p.stat(ctx, e, refused)
		if err != nil {
			return nil, err
		}
		allowed := max(int(policy.MinConcurrency.Value), int(math.Ceil(float64(n)*policy.BudgetPercent.Value/100)))
		if after == before {
			return shows(NoEffect, "%d requests failed at once and all were sent again; the spec says about %d", n,
				allowed)
		}
		return shows(Behaves, "%d requests failed at once, of which %d were not sent again", n, after-before)
	}
}

// stricter is where another budget is written that holds in place of the one of an edge; "" for none.
func (p *prober) stricter(e *edge, path string) string {
	for _, scope := range p.running.Mesh.Scopes() {
		if member := scope.Member().Peer; member.Ref() != e.caller() {
			continue
		}
		held, policy := ir.RetryBudgets(scope.Calls())[e.ends[0].Name], e.trial.Policy
		if path == "retries.budget.percent" && held.Percent.Value < policy.BudgetPercent.Value {
			return held.Percent.Pos.String()
		} else if path != "retries.budget.percent" && held.MinConcurrency.Value < policy.MinConcurrency.Value {
			return held.MinConcurrency.Pos.String()
		}
	}
	return ""
}
