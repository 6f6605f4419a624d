package verify

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/meshc/meshc/compiler/ir"
)

// prediction is what must become of a request whose callee fails in a certain way.
type prediction struct {
	// statuses are those that the caller may see; empty for none, as it waits for as long as the test does.
	statuses []int
	// soonest and latest are when, and fewest and most how many tries the callee sees.
	soonest, latest time.Duration
	fewest, most    int
}

// statuses of requests that are given up: by its time, or as nothing moves.
var givenUp = []int{504, 408}

// hangs is what happens to a request that is never answered.
func hangs(p *ir.Policy) prediction {
	retries := 0
	if p.RetriesLate() {
		retries = int(p.Attempts.Value)
	}
	return timeline(p, p.PerTryTimeout.Value, retries, givenUp)
}

// fails is what happens to a request that is answered at once with a failure that is sent again.
func fails(p *ir.Policy, status int) prediction {
	out := timeline(p, 0, int(p.Attempts.Value), []int{status})
	if out.fewest <= int(p.Attempts.Value) {
		out.statuses = append(out.statuses, givenUp...)
	}
	return out
}

// timeline follows a request whose tries take that long each.
func timeline(p *ir.Policy, each ir.Duration, retries int, status []int) prediction {
	limit := p.Timeout.Value
	if idle := p.IdleTimeout.Value; idle > 0 && idle.Bounds() && (!limit.Bounds() || idle < limit) {
		limit = idle
	}
	if p.BudgetPercent.Value == 0 && p.MinConcurrency.Value == 0 {
		retries = 0
	}
	if !each.Bounds() && each != 0 {
		if !limit.Bounds() {
			return prediction{}
		}
		return prediction{slices.Clone(status), time.Duration(limit), time.Duration(limit), 1, 1}
	}
	soonest, most := run(p, limit, each, retries, 0)
	latest, fewest := run(p, limit, each, retries, 1)
	return prediction{slices.Clone(status), soonest, latest, fewest, most}
}

// run is when the last of the tries is over, or the request, and how many there were, when each wait between them takes
// that share of its bound.
func run(p *ir.Policy, limit, each ir.Duration, retries int, share ir.Duration) (end time.Duration, tries int) {
	t, wait := ir.Duration(0), p.BackoffBase.Value
	for tries = 1; ; tries++ {
		if t += each; limit.Bounds() && t >= limit {
			return time.Duration(limit), tries
		}
		if tries > retries {
			return time.Duration(t), tries
		}
		if t += share * min(wait, p.BackoffMax.Value); limit.Bounds() && t >= limit {
			return time.Duration(limit), tries
		}
		wait *= 2
	}
}

// differs reports whether a request shows which of two predictions holds.
func (p *prediction) differs(q *prediction) bool {
	if len(p.statuses) == 0 || len(q.statuses) == 0 {
		return len(p.statuses) != len(q.statuses)
	}
	if p.most < q.fewest || q.most < p.fewest {
		return true
	}
	if !slices.ContainsFunc(p.statuses, func(s int) bool { return slices.Contains(q.statuses, s) }) {
		return true
	}
	return p.gap(q) > max(50*time.Millisecond, p.latest/10)
}

// gap is the time between the earlier of two and the later one; not more than 0 when they overlap.
func (p *prediction) gap(q *prediction) time.Duration {
	return max(q.soonest-p.latest, p.soonest-q.latest)
}

// slack is by how much an answer may be late on a busy machine, and hurry by how much early, for clocks that differ.
const (
	slack = 2 * time.Second
	hurry = 30 * time.Millisecond
)

// holds reports whether that is what was seen, and not what another prediction says; nil for none.
func (p *prediction) holds(seen *observed, other *prediction) bool {
	if !slices.Contains(p.statuses, seen.status) || seen.tries < p.fewest || seen.tries > p.most {
		return false
	}
	latest := p.latest + slack
	if other != nil && other.soonest > p.latest {
		latest = min(latest, (p.latest+other.soonest)/2)
	}
	return seen.took >= p.soonest-hurry && seen.took <= latest
}

// text is the prediction in words.
func (p *prediction) text() string {
	if len(p.statuses) == 0 {
		return "waits for as long as the answer takes"
	}
	text := fmt.Sprintf("is answered %d after %s", p.statuses[0], rounded(p.latest))
	if p.latest == 0 {
		text = fmt.Sprintf("is answered %d", p.statuses[0])
	}
	return text + fmt.Sprintf(" and %s", tries(p.most))
}

func tries(n int) string {
	if n == 1 {
		return "1 try"
	}
	return fmt.Sprintf("%d tries", n)
}

func rounded(d time.Duration) time.Duration {
	return d.Round(cmp.Or(max(d/100, time.Millisecond).Truncate(time.Millisecond), time.Millisecond))
}

// without is a policy as it is if one of its settings were not written.
func without(p *ir.Policy, path string) ir.Policy {
	b := &p.Bounds
	t := ir.Traffic{
		Timeout: kept(p.Timeout, path != "timeout"), IdleTimeout: kept(p.IdleTimeout, path != "idleTimeout"),
		Attempts: kept(p.Attempts, path != "retries.attempts"), RetryOn: kept(p.RetryOn, path != "retries.on"),
		PerTryTimeout:  kept(p.PerTryTimeout, path != "retries.perTryTimeout"),
		BackoffBase:    kept(p.BackoffBase, path != "retries.backoff.base"),
		BackoffMax:     kept(p.BackoffMax, path != "retries.backoff.max"),
		Hedge:          kept(p.Hedge, path != "retries.hedge"),
		BudgetPercent:  kept(p.BudgetPercent, path != "retries.budget.percent"),
		MinConcurrency: kept(p.MinConcurrency, path != "retries.budget.minConcurrency"),
		Connections: ir.Connections{
			Max:            kept(b.Max, path != "connections.max"),
			MaxPending:     kept(b.MaxPending, path != "connections.maxPending"),
			MaxRequests:    kept(b.MaxRequests, path != "connections.maxRequests"),
			ConnectTimeout: kept(b.ConnectTimeout, path != "connections.connectTimeout"),
			IdleTimeout:    kept(b.IdleTimeout, path != "connections.idleTimeout"),
		},
	}
	return new(ir.Settings).Policy(&ir.Use{Traffic: t}, &ir.Traffic{})
}

// kept is a setting where it is written and stays.
func kept[T any](s ir.Setting[T], stays bool) *ir.Setting[T] {
	if !stays || !s.Pos.IsValid() {
		return nil
	}
	return &s
}
