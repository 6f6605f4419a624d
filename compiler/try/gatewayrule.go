package try

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
)

// rulesOfGateway reports whether the rules of a gateway let a request in, and answers it otherwise.
func (r *run) rulesOfGateway(g *ir.Gateway, l *ir.Listener, q *message) bool {
	d, door := doorOfGateway(g), l.Door()
	at := d.ref.String()
	switch status, decided := r.ruled(d, door, q); {
	case status != 0:
		r.answer(at, status)
		return false
	case decided || d.open:
		return true
	}
	r.nobodyAllows(d, door, q)
	r.answer(at, 403)
	return false
}

// belowLimits reports whether a request is below all bounds of a gateway, and answers it otherwise.
func (r *run) belowLimits(at string, g *ir.Gateway) bool {
	for i := range g.RateLimits {
		if !r.passes(OnRateLimit, "it is below the limit", "it is at the limit",
			"the current rate of requests to the gateway %s, which has the rate limit %s", g.Name, g.RateLimits[i].Name) {
			r.Answer = &Answer{By: at, Status: http.StatusTooManyRequests, Transient: true}
			return false
		}
	}
	return true
}

// addressAt is the address that rules of a member see of the request, and what to call it; the zero value when it is
// not known.
func (r *run) addressAt(d *door, port *ir.Port, q *message) (netip.Addr, string) {
	if d.service == nil {
		return r.client, "the address of the client (--ip)"
	}
	return r.address(port, q)
}

// shows reports whether the client shows a certificate as a rule asks, which nobody knows here of one who may.
func (r *run) shows(rule *ir.Rule) (truth, []question) {
	var names []string
	for i := range rule.From {
		names = append(names, rule.From[i].Pattern)
	}
	if !r.mayShow {
		return no, nil
	}
	return maybe, []question{unknown(OnCertificate, "certificate "+strings.Join(names, " "),
		"whether the client shows a certificate of "+strings.Join(names, " or "))}
}

// RuleHost reports whether a host is one that a pattern of a rule matches, without regard to its case and the dot at
// the end of a whole name.
func RuleHost(pattern, host string) bool {
	return ir.HostCovers(pattern, strings.TrimSuffix(strings.ToLower(host), "."))
}
