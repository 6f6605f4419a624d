package try

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
)

// policy tells the time and the tries of a call.
func (r *run) policy(at string, protocol ir.Protocol, p *ir.Policy) {
	if !protocol.IsHTTP() {
		return
	}
	first := len(r.Steps)
	defer func() {
		for i := range r.Steps[first:] {
			r.Steps[first+i].Timing = true
		}
	}()
	perTry := p.PerTryTimeout
	switch {
	case p.Timeout.Value.Bounds():
		r.step(at, p.Timeout.Pos, "waits %s at most%s", p.Timeout.Value, ofDefault(p.Timeout.Pos))
	case perTry.Value.Bounds():
		r.step(at, perTry.Pos, "waits %s at most until the answer begins%s; the answer may take any time", perTry.Value,
			ofDefault(perTry.Pos))
	default:
		r.step(at, p.Timeout.Pos, "waits for as long as the answer takes%s", ofDefault(p.Timeout.Pos))
	}
	if p.Attempts.Value > 0 {
		text := "retries on " + join(p.RetriesOn())
		if p.RetriesLate() {
			text += fmt.Sprintf(", and when a try takes %s", perTry.Value)
		}
		text += fmt.Sprintf(": %d retries, %d requests at most", p.Attempts.Value, p.Attempts.Value+1)
		if t := perTry.Value; t.Bounds() && !p.RetriesLate() {
			text += fmt.Sprintf("; a try takes %s at most", t)
		}
		r.step(at, p.Attempts.Pos, "%s", text)
	} else if t := perTry.Value; t.Bounds() && t < p.Timeout.Value {
		r.step(at, perTry.Pos, "waits %s at most until the answer begins", t)
	}
}

// ofDefault marks what nobody wrote.
func ofDefault(pos source.Position) string {
	if pos.IsValid() {
		return ""
	}
	return ", the default"
}

func join(list []ir.RetryCondition) string {
	var out []string
	for _, c := range list {
		out = append(out, string(c))
	}
	return strings.Join(out, ", ")
}

// goes follows a request by its routes: one, or a gateway's and then the service's own. The last says where it goes.
func (r *run) goes(at string, uses []ir.Use, use *ir.Use, callee *ir.Service, came *ir.Port, q *message,
	by ...*ir.Route,
) {
	last := r.last(by, callee)
	r.Routes = by
	if q.upgrade != "" {
		var to []string
		if !leaves(by, q.path) {
			to = last.Upgrades(came, r.upstreamOf)
		}
		if r.notUpgraded(at, q, last.Pos, to) {
			return
		}
	}
	if leaves(by, q.path) {
		r.step(at, last.Pos, "refuses the path: the part after the prefix of the route %q begins with dot segments, which would leave the new path", last.Name)
		r.answer(at, http.StatusBadRequest)
		return
	}
	if r.preflight(at, by, q) {
		return
	}
	fault := &ir.Fault{}
	for _, route := range by {
		if route.Fault != nil {
			fault = route.Fault
		}
		if route.RateLimit != nil && !r.passes(OnRateLimit, "it is below the limit", "it is at the limit",
			"the current rate of requests of the route %q, which has a rate limit", route.Name) {
			r.Answer = &Answer{By: at, Status: 429, Transient: true}
			return
		}
		if route.MaxRequestBytes > 0 && !r.request.Empty &&
			!r.passes(OnBody, "it has", "it has more", "whether its body has at most %d bytes", route.MaxRequestBytes) {
			r.answer(at, 413)
			return
		}
	}
	if r.fault(at, last, fault) {
		return
	}
	if last.Redirect != nil {
		r.redirect(at, last, q)
		return
	}
	if d := last.DirectResponse; d != nil {
		r.step(at, last.Pos, "answers %d itself", d.Status)
		r.Answer = &Answer{By: at, Status: int(d.Status), Body: d.Body}
		return
	}
	sent := *q
	for _, route := range by {
		sent.headers = edited(sent.headers, route.Headers.Request)
		if route.Rewrite != nil && route.Rewrite.Host != "" {
			sent.host, sent.authority = route.Rewrite.Host, route.Rewrite.Host
			r.step(at, route.Pos, "rewrites the host to %s", sent.host)
		}
		if route.Mirror != nil {
			r.step(at, route.Mirror.Pos, "sends a copy of %g%% to %s", route.Mirror.Percent,
				named(&route.Mirror.Destination))
		}
	}
	if pattern, substitution, ok := ir.RewrittenPath(by); ok {
		if path, good := substituted(pattern, substitution, q.path); good && path != q.path {
			sent.path = path
			r.step(at, last.Pos, "rewrites the path to %s", path)
		}
	}
	p := r.mesh.Policy(use, &callee.Traffic, by...)
	if q.upgrade != "" {
		r.step(at, came.Pos, "offers the application the upgrade to %s", q.upgrade)
		p = unbounded(p)
	}
	r.Policy = &p
	r.policy(at, came.Protocol, &p)
	if r.at != "" && !r.isAt(at, callee) {
		return
	}
	r.destinations(last, came, &sent)
}

// fault tells of faults; true when the request is aborted.
func (r *run) fault(at string, route *ir.Route, f *ir.Fault) bool {
	if f.Delay > 0 {
		r.step(at, route.Pos, "delays %g%% by %s", f.DelayPercent, f.Delay)
	}
	if f.AbortPercent == 0 {
		return false
	}
	if f.AbortPercent < 100 {
		on := fmt.Sprintf("chance: %g%% are aborted by the route %q", f.AbortPercent, route.Name)
		q := question{
			kind: OnFault, key: on, on: on, alternatives: []string{"it is not", "it is"}, refuses: true,
			share: 1 - f.AbortPercent/100,
		}
		if r.choose(&q) == q.alternatives[0] {
			return false
		}
	}
	r.step(at, route.Pos, "aborts it")
	r.Answer = &Answer{By: at, Status: int(f.Status), Transient: f.AbortPercent < 100}
	if f.GRPCStatus > 0 {
		r.Answer.Status, r.Answer.GRPCStatus = 200, int(f.GRPCStatus)
	}
	return true
}

// redirect is the answer of a route that names another address.
func (r *run) redirect(at string, route *ir.Route, q *message) {
	d := route.Redirect
	scheme, host, path := cmp.Or(d.Scheme, r.scheme(q)), cmp.Or(d.Host, q.authority), q.withQuery(q.path)
	switch {
	case d.Path != "":
		path = q.withQuery(d.Path)
		if strings.Contains(d.Path, "?") {
			path = d.Path
		}
	case d.Prefix != "":
		pattern, substitution := (&ir.PathRewrite{Prefix: d.Prefix}).Regex(route.Match.Path)
		if rewritten, ok := substituted(pattern, substitution, q.path); ok {
			path = q.withQuery(rewritten)
		}
	}
	if port := d.PortAfter(q.authority != q.host); port != 0 {
		host = fmt.Sprintf("%s:%d", cmp.Or(d.Host, q.host), port)
	}
	r.Answer = &Answer{By: at, Status: int(d.Status), Location: scheme + "://" + host + path}
	r.step(at, route.Pos, "redirects to %s", r.Answer.Location)
}

func named(d *ir.Destination) string { return strings.TrimSpace(d.Service + " " + d.Version) }

// destinations are where a route's requests go, and who lets them in there.
func (r *run) destinations(route *ir.Route, came *ir.Port, q *message) {
	var sum uint32
	for _, d := range route.To {
		sum += d.Weight
	}
	verdicts := map[string]refusal{}
	for i := range route.To {
		d := &route.To[i]
		if d.Weight == 0 || sum == 0 {
			continue
		}
		callee := r.mesh.Service(d.Service)
		port := callee.Port(cmp.Or(d.Port, came.Name))
		arrived, why := again(q, callee.Forms.Inside())
		key := callee.Name + "|" + port.Name
		refused, known := verdicts[key]
		if !known {
			if refused = (refusal{status: 400}); why == "" {
				refused = r.letIn(callee, port, arrived)
			} else {
				r.step(ir.ServiceRef(callee.Name).String(), source.Position{}, "refuses %s", why)
			}
			verdicts[key] = refused
		}
		r.Reaches = append(r.Reaches, Reach{
			Service: callee.Name, Version: d.Version, Port: port.Name, Percent: 100 * float64(d.Weight) / float64(sum),
			Host: q.authority, Path: q.withQuery(arrived.path), Refused: refused.status, Transient: refused.transient,
			Address: r.at,
		})
	}
	if same := sameRefusal(r.Reaches); same != 0 {
		r.Answer = &Answer{By: ir.ServiceRef(r.Reaches[0].Service).
			String(), Status: same, Transient: r.Reaches[0].Transient}
		r.Reaches = nil
	}
}

// again is a request as the callee's proxy reads it; why it refuses it, or "".
func again(q *message, forms ir.Forms) (arrived *message, why string) {
	out := *q
	out.path, _, why, _ = normalized(q.path, forms.EncodedSlashes)
	headers, refused := withUnderscores(q.headers, forms.Underscores)
	if refused != "" && why == "" {
		why = fmt.Sprintf("the header %s: some applications read an underscore as a dash", refused)
	}
	out.headers = headers
	return &out, why
}

// sameRefusal is the status with which all refuse; 0 when some do not, or each in its own way.
func sameRefusal(list []Reach) int {
	for _, reach := range list {
		if reach.Refused == 0 || reach.Refused != list[0].Refused {
			return 0
		}
	}
	if len(list) == 0 {
		return 0
	}
	return list[0].Refused
}
