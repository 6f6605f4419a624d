package verify

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
)

// guarded is a setting of an edge about failures that is not of its policy.
type guarded struct {
	setting string
	value   any
	pos     source.Position
	provoke experiment
}

// guardsOf are those of an edge: of its routes, and of the services where it arrives.
func guardsOf(m *ir.Mesh, e *edge) (list []guarded) {
	var limits []*ir.RateLimit
	for _, r := range e.trial.Routes {
		if r.RateLimit != nil {
			limits = append(limits, r.RateLimit)
		}
		if f := r.Fault; f != nil {
			list = append(list, guarded{"fault", f, r.Pos, faulty(f)})
		}
	}
	for _, end := range e.ends {
		if external := m.External(end.Name); end.Kind == ir.KindExternal {
			list = append(list, ejecting(external.Outliers)...)
			continue
		}
		s := m.Service(end.Name)
		if s.RateLimit != nil {
			limits = append(limits, s.RateLimit)
		}
		list = append(list, ejecting(s.Outliers)...)
	}
	for i, l := range limits {
		if l.Global {
			continue
		}
		provoke := exceed(l)
		for _, first := range limits[:i] {
			if callers := callersOf(m, e.ends); covers(first, l, callers) {
				provoke = always(NoEffect, fmt.Sprintf("a stricter one refuses first (%s)", first.Pos))
			}
		}
		list = append(list, guarded{"rateLimit", fmt.Sprintf("%d per %s", l.Requests, l.Per), l.Pos, provoke})
	}
	return list
}

// covers reports whether a bound that each of so many callers has leaves another nothing to refuse.
func covers(first, l *ir.RateLimit, callers int) bool {
	each, all := float64(callers)*float64(first.Requests)/float64(first.Per), float64(l.Requests)/float64(l.Per)
	return each <= all && callers*int(first.Requests+first.Burst) <= int(l.Requests+l.Burst)
}

// callersOf is how many members call the services.
func callersOf(m *ir.Mesh, services []ir.Ref) (n int) {
	for _, s := range m.Scopes() {
		uses := s.Member().Uses
		if slices.ContainsFunc(uses, func(u ir.Use) bool { return slices.Contains(services, u.Callee()) }) {
			n++
		}
	}
	return n
}

// always is what is known without a request.
func always(v Verdict, text string) experiment {
	return func(context.Context, *prober, *edge) (*result, error) { return &result{v, text}, nil }
}

// exceed sends more requests than a rate limit allows.
func exceed(l *ir.RateLimit) experiment {
	return func(ctx context.Context, p *prober, e *edge) (*result, error) {
		n := int(l.Requests+l.Burst) + beyond
		if n > 3*atOnce {
			return shows(NotProvoked, "it would take more than %d requests", 3*atOnce)
		}
		got := map[int]int{}
		for sent := 0; sent < n; sent += atOnce / 4 {
			some, err := p.burst(ctx, e, min(atOnce/4, n-sent), nil)
			if err != nil {
				return nil, err
			}
			for status, count := range some {
				got[status] += count
			}
		}
		if got[http.StatusTooManyRequests] == 0 {
			return shows(NoEffect, "of %d requests none was refused", n)
		}
		return shows(Behaves, "of %d requests %d were refused with 429", n, got[http.StatusTooManyRequests])
	}
}

// faultTries is how many requests show a fault: one of 1 % but once in 100,000 times not.
const faultTries = 1200

// faulty sends requests until a fault was seen.
func faulty(f *ir.Fault) experiment {
	return func(ctx context.Context, p *prober, e *edge) (*result, error) {
		if f.DelayPercent == 0 && f.AbortPercent == 0 {
			return shows(NoEffect, "it is for 0 percent of the requests")
		}
		if time.Duration(f.Delay) > p.longest {
			return shows(NotProvoked, "a delay is longer than %s", p.longest)
		}
		status := int(f.Status)
		if f.GRPCStatus != 0 {
			status = http.StatusOK
		}
		delayed, aborted := f.DelayPercent == 0, f.AbortPercent == 0
		for sent := 1; sent <= faultTries; sent++ {
			o, err := p.ask(ctx, e, nil)
			if err != nil {
				return nil, err
			}
			delayed = delayed || o.took >= time.Duration(f.Delay)
			aborted = aborted || o.status == status && o.tries == 0
			if delayed && aborted {
				return shows(Behaves, "it was seen in %d requests", sent)
			}
		}
		return shows(Otherwise, "it was not seen in %d requests", faultTries)
	}
}

// ejecting are the settings by which instances are left alone that fail in a row.
func ejecting(o *ir.Outliers) (list []guarded) {
	if o == nil {
		return nil
	}
	if n := o.Consecutive5xx; n > 0 {
		list = append(list, guarded{"outliers.consecutive5xx", n, o.Pos, eject(n, failing(500))})
	}
	if n := o.GatewayErrors; n > 0 {
		provoke := eject(n, failing(502))
		if first := o.Consecutive5xx; first > 0 && first <= n {
			provoke = always(NoEffect, fmt.Sprintf("an instance is left alone after %d answers of 5xx", first))
		}
		list = append(list, guarded{"outliers.consecutiveGatewayErrors", n, o.Pos, provoke})
	}
	return list
}

// eject has instances fail so often in a row that one is left alone.
func eject(n uint32, do doing) experiment {
	return func(ctx context.Context, p *prober, e *edge) (*result, error) {
		tries := int(n)*len(p.callees(e)) + beyond
		for sent := 1; sent <= tries; sent++ {
			if _, err := p.ask(ctx, e, do); err != nil {
				return nil, err
			}
			out, err := p.stat(ctx, e, "outlier_detection.ejections_active")
			if err != nil {
				return nil, err
			}
			if out > 0 {
				return shows(Behaves, "an instance was left alone after %d requests that failed", sent)
			}
		}
		return shows(NoEffect, "%d requests failed in a row and no instance was left alone", tries)
	}
}
