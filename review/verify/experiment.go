package verify

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/meshc/meshc/compiler/ir"
)

// experiments provoke the failures for which a policy has settings, by their paths in the language.
var experiments = map[string]experiment{
	"timeout":                       giveUp,
	"idleTimeout":                   hang("idleTimeout"),
	"retries.perTryTimeout":         hang("retries.perTryTimeout"),
	"retries.attempts":              failAgain,
	"retries.on":                    failEachWay,
	"retries.backoff.base":          backOff("retries.backoff.base"),
	"retries.backoff.max":           backOff("retries.backoff.max"),
	"retries.hedge":                 hedge,
	"retries.budget.percent":        overspend("retries.budget.percent"),
	"retries.budget.minConcurrency": overspend("retries.budget.minConcurrency"),
	"connections.max": overload("connections.max", "circuit_breakers.default.cx_open",
		func(b *ir.Bounds) uint32 { return b.Max.Value }),
	"connections.maxPending": overload("connections.maxPending", "circuit_breakers.default.rq_pending_open",
		func(b *ir.Bounds) uint32 { return b.MaxPending.Value }),
	"connections.maxRequests": overload("connections.maxRequests", "circuit_breakers.default.rq_open",
		func(b *ir.Bounds) uint32 { return b.MaxRequests.Value }),
	"connections.idleTimeout": goIdle,
}

// provoking is the experiment for a setting on an edge; nil for none. Below HTTP only the bounds of connections hold.
func provoking(e *edge, path string) experiment {
	switch {
	case path == "connections.max" && e.protocol.IsHTTP() && e.ends[0].Kind == ir.KindService:
		return crowd
	case e.protocol.IsHTTP():
		return experiments[path]
	case path == "connections.max" && e.test.FromKind == ir.KindService:
		return connect
	}
	return nil
}

// waiting are the settings whose experiments send one request at a time, which waits.
var waiting = map[string]bool{"timeout": true, "idleTimeout": true, "retries.perTryTimeout": true}

// patience is how often a request is sent whose answer comes at another time than it should, as it may on a machine
// that is busy.
const patience = 3

// hang has the callee never answer.
func hang(path string) experiment {
	return func(ctx context.Context, p *prober, e *edge) (*result, error) {
		policy := e.trial.Policy
		if path == "retries.perTryTimeout" && policy.Hedge.Value {
			return hedge(ctx, p, e) // the last of the tries goes on
		}
		other := without(policy, path)
		return p.compare(ctx, e, hanging, hangs(policy), hangs(&other), sameValue(policy, &other, path))
	}
}

// giveUp has the callee never answer, or never end an answer where its tries would be over before its time.
func giveUp(ctx context.Context, p *prober, e *edge) (*result, error) {
	r, err := hang("timeout")(ctx, p, e)
	timeout := time.Duration(e.trial.Policy.Timeout.Value)
	if err != nil || r.verdict != NoEffect || timeout <= 0 {
		return r, err
	}
	if timeout > p.longest {
		return shows(NotProvoked, "an answer that goes on is broken off after %s: longer than %s", timeout, p.longest)
	}
	seen, err := p.ask(ctx, e, streaming)
	if err != nil {
		return nil, err
	}
	if seen.broken && seen.took >= timeout-hurry && seen.took < timeout+slack {
		return shows(Behaves, "an answer that goes on is broken off after %s", rounded(seen.took))
	}
	return r, nil
}

// compare sends a request, and compares what happens with what is predicted, and with what were predicted if the
// setting were not written. Same says that the setting says what holds without it too.
func (p *prober) compare(ctx context.Context, e *edge, do doing, with, without prediction, same bool) (*result, error) {
	if !same && !with.differs(&without) {
		return shows(NoEffect, "a request %s, also without it", with.text())
	}
	if len(with.statuses) == 0 || with.latest > p.longest {
		return shows(NotProvoked, "a request %s: longer than %s", with.text(), p.longest)
	}
	other := &without
	if same {
		other = nil
	}
	var seen *observed
	for range patience {
		var err error
		if seen, err = p.ask(ctx, e, do); err != nil {
			return nil, err
		}
		if with.holds(seen, other) {
			return shows(Behaves, "a request %s", seen.text())
		}
	}
	if other != nil && other.holds(seen, nil) {
		return shows(NoEffect, "a request %s, as without it", seen.text())
	}
	return shows(Otherwise, "a request %s; the spec says that it %s", seen.text(), with.text())
}

// sameValue reports whether two policies have the same value of a setting.
func sameValue(p, q *ir.Policy, path string) bool {
	return settingText(p, path) == settingText(q, path)
}

func settingText(p *ir.Policy, path string) string {
	all := append(p.Settings(), p.Bounds.Settings()...)
	return valueText(all[slices.IndexFunc(all, func(s ir.PolicySetting) bool { return s.Path == path })].Value)
}

// provocation is how an application brings about a condition on which a request is sent again, and the status that its
// caller gets in the end.
type provocation struct {
	on     ir.RetryCondition
	do     doing
	status int
}

// provoked are the conditions that a request can bring about.
var provoked = []provocation{
	{"5xx", failing(500), 500},
	{"gateway-error", failing(502), 502},
	{"unavailable", failing(503), 503},
	{"retriable-4xx", failing(409), 409},
	{"reset", resetting, 503},
}

// retried reports whether the requests of an edge are sent again on the condition: of gRPC that of a status of HTTP is
// none.
func (c *provocation) retried(e *edge) bool {
	return slices.Contains(e.trial.Policy.RetryOn.Value, c.on) && (c.on != "unavailable" || e.protocol != ir.GRPC)
}

// predict is what happens to a request of an edge that fails so. The callee's own proxy sends one once more that
// changes nothing, over HTTP/1.1, when its application breaks the connection off.
func (c *provocation) predict(e *edge, p *ir.Policy) prediction {
	out := fails(p, c.status)
	if c.on == "reset" && e.protocol == ir.HTTP && slices.Contains(harmless, e.test.Method) {
		out.fewest, out.most = 2*out.fewest, 2*out.most
	}
	return out
}

// harmless are the methods of requests that change nothing (RFC 9110, 9.2.2).
var harmless = []string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace}

// slowly is the provocation with each failure late, so that those of requests sent at once are there together.
func (c *provocation) slowly() doing {
	do := maps.Clone(c.do)
	do["x-delay"] = slowly
	return do
}

// failAgain has the callee fail each try on some condition.
func failAgain(ctx context.Context, p *prober, e *edge) (*result, error) {
	policy := e.trial.Policy
	other := without(policy, "retries.attempts")
	same := sameValue(policy, &other, "retries.attempts")
	for _, c := range provoked {
		if c.retried(e) {
			return p.compare(ctx, e, c.do, c.predict(e, policy), c.predict(e, &other), same)
		}
	}
	if policy.RetriesLate() {
		return p.compare(ctx, e, hanging, hangs(policy), hangs(&other), same)
	}
	if same {
		return p.compare(ctx, e, failing(500), fails(&other, 500), fails(&other, 500), true)
	}
	return shows(NotProvoked, "an application cannot fail so that a request is sent again")
}

// failEachWay has the callee fail on each of the conditions that can be provoked.
func failEachWay(ctx context.Context, p *prober, e *edge) (*result, error) {
	policy := e.trial.Policy
	other := without(policy, "retries.on")
	other.Attempts.Value = 0 // none of these is sent again without it
	best := &result{NotProvoked, "an application cannot fail so"}
	for _, c := range provoked {
		if !c.retried(e) {
			continue
		}
		r, err := p.compare(ctx, e, c.do, c.predict(e, policy), c.predict(e, &other), false)
		if err != nil {
			return nil, err
		}
		r.text = string(c.on) + ": " + r.text
		if r.verdict == Otherwise {
			return r, nil
		}
		if best.verdict != Behaves {
			best = r
		}
	}
	return best, nil
}

// backOffTries is how many failing requests show how long is waited before tries.
const backOffTries = 20

// backOff has tries fail, so that the waits between them are seen.
func backOff(path string) experiment {
	return func(ctx context.Context, p *prober, e *edge) (*result, error) {
		policy := e.trial.Policy
		if !policy.Retrying() {
			return shows(NoEffect, "no request is sent again: retries.attempts is 0")
		}
		i := slices.IndexFunc(provoked, func(c provocation) bool { return c.retried(e) })
		if i < 0 {
			return shows(NotProvoked, "an application cannot fail so that a request is sent again")
		}
		other := without(policy, path)
		with, without := provoked[i].predict(e, policy), provoked[i].predict(e, &other)
		switch {
		case with.latest == without.latest:
			return shows(NoEffect, "all tries are over after %s, also without it", rounded(with.latest))
		case with.latest > p.longest:
			return shows(NotProvoked, "the tries take %s: longer than %s", rounded(with.latest), p.longest)
		}
		return p.waits(ctx, e, provoked[i].do, with.latest, without.latest)
	}
}

// waits sends requests whose tries fail. The waits are random: where they are longer by a setting, some must be longer
// than they would be without it, and none is longer than it says.
func (p *prober) waits(ctx context.Context, e *edge, do doing, with, without time.Duration) (*result, error) {
	var longest time.Duration
	for range backOffTries {
		o, err := p.ask(ctx, e, do)
		if err != nil {
			return nil, err
		}
		longest = max(longest, o.took)
		if o.took > with+slack {
			return shows(Otherwise, "a request %s; the spec says after %s at most", o.text(), rounded(with))
		}
		if o.took > without && with > without {
			return shows(Behaves, "a request %s, and after %s at most without it", o.text(), rounded(without))
		}
	}
	verdict := Behaves
	if with > without {
		verdict = Otherwise
	}
	return shows(verdict, "%d requests took %s at most; the spec says up to %s", backOffTries, rounded(longest),
		rounded(with))
}

// hedge has the callee answer after the time of one try, which only a try that goes on lives to see.
func hedge(ctx context.Context, p *prober, e *edge) (*result, error) {
	policy := e.trial.Policy
	each := time.Duration(policy.PerTryTimeout.Value)
	late := each * 3 / 2
	switch {
	case !policy.Hedge.Value:
		return shows(Behaves, "is what holds without it too")
	case !policy.RetriesLate() || !policy.Retrying():
		return shows(NoEffect, "no try is made beside another: that wants retries.attempts and retries.perTryTimeout")
	case policy.Timeout.Value.Bounds() && time.Duration(policy.Timeout.Value) <= late:
		return shows(NoEffect, "a request is given up after %s, before a try beside another is answered",
			policy.Timeout.Value)
	case late > p.longest:
		return shows(NotProvoked, "a try takes longer than %s", p.longest)
	}
	seen, err := p.ask(ctx, e, doing{"x-delay": late.String()})
	if err != nil {
		return nil, err
	}
	if seen.status == 200 && seen.tries > 1 {
		return shows(Behaves, "a request %s: the first went on", seen.text())
	}
	return shows(Otherwise, "a request %s; the spec says that a try goes on beside the next", seen.text())
}

// goIdle leaves a connection alone.
func goIdle(ctx context.Context, p *prober, e *edge) (*result, error) {
	idle := time.Duration(e.trial.Policy.Bounds.IdleTimeout.Value)
	if idle <= 0 || idle > p.longest {
		return shows(NotProvoked, "a connection would have to be idle for longer than %s", p.longest)
	}
	const name = "upstream_cx_idle_timeout"
	before, err := p.stat(ctx, e, name)
	if err != nil {
		return nil, err
	}
	if _, err := p.ask(ctx, e, nil); err != nil {
		return nil, err
	}
	for end := time.Now().Add(idle + 5*slack); time.Now().Before(end); {
		after, err := p.stat(ctx, e, name)
		if err != nil {
			return nil, err
		}
		if after > before {
			return shows(Behaves, "a connection was closed after %s without a request", idle)
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(busyPause):
		}
	}
	return shows(NoEffect, "no connection was closed after %s without a request", idle)
}
