//go:build e2e

package plants

import "math"

// deviation takes the metric that has changed most for the cause, as those do who look at dashboards: of errors, denied
// requests, durations and rates of all edges, in units of what is usual for each.
func deviation(n, before *numbers) verdict {
	worst, out := tolerated, verdict{Cause: "nothing", Subject: "mesh"}
	for i := range n.Edges {
		now, was := n.Edges[i].told(), before.same(&n.Edges[i]).told()
		if now == nil || was == nil || was.Requests == 0 || now.Requests == was.Requests {
			continue
		}
		since, had := float64(now.Requests-was.Requests), float64(was.Requests)
		rate, usual := since/n.Now.Sub(before.Now).Seconds(), had/before.Now.Sub(before.Since).Seconds()
		for cause, d := range map[string]float64{
			"application-errors": deviates(float64(now.Errors-was.Errors)/since, float64(was.Errors)/had, 0.01),
			"rule-removed":       deviates(float64(now.Denied-was.Denied)/since, float64(was.Denied)/had, 0.01),
			"slow-application":   deviates(now.Latency.P99, was.Latency.P99, max(was.Latency.P99/2, 5)),
			"rate-limited":       deviates(rate, usual, max(usual, 1)),
		} {
			if d > worst {
				worst, out = d, verdict{Cause: cause, Subject: n.Edges[i].Callee}
			}
		}
	}
	return out
}

// tolerated is a deviation that is none, in units of what is usual.
const tolerated = 3.0

func deviates(now, was, usual float64) float64 { return math.Abs(now-was) / usual }

// told is what the caller's proxy tells of an edge, or else the callee's, which alone knows what it denied.
func (e *edge) told() *end {
	switch {
	case e == nil:
		return nil
	case e.Client == nil:
		return e.Server
	case e.Server == nil:
		return e.Client
	}
	out := *e.Client
	out.Denied = e.Server.Denied
	return &out
}

// same is the edge between the same two.
func (n *numbers) same(e *edge) *edge {
	for i := range n.Edges {
		if n.Edges[i].Caller == e.Caller && n.Edges[i].Callee == e.Callee {
			return &n.Edges[i]
		}
	}
	return nil
}
