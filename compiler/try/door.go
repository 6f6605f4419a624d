package try

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
)

// door is a member whose rules a request comes to.
type door struct {
	*ir.Guards
	ref     ir.Ref
	path    string // where it is written: "services.cart"
	pos     source.Position
	service *ir.Service // nil for a gateway
	// open is set for a gateway without rules of allow.
	open bool
}

func doorOf(s *ir.Service) *door {
	return &door{&s.Guards, ir.ServiceRef(s.Name), "services." + s.Name, s.Pos, s, false}
}

func doorOfGateway(g *ir.Gateway) *door {
	return &door{&g.Guards, ir.GatewayRef(g.Name), "gateways." + g.Name, g.Pos, nil, !g.Closed}
}

// ruled is the status with which the rules of a member refuse a request, 0 for none; decided is set when a rule lets it
// in.
func (r *run) ruled(d *door, port *ir.Port, q *message) (status int, decided bool) {
	at := d.ref.String()
	if issuers := d.TokenIssuers(port); len(issuers) > 0 {
		if status := r.token(at, d, port, issuers); status != 0 {
			return status, true
		}
	}
	if rules, _ := r.deciding(d, d.Deny, port, q, true); len(rules) > 0 {
		r.decide(at, rules[0], "denied by rule %q")
		r.Write = fmt.Sprintf("remove it from the %s of %s.deny", rulesNamed(rules), d.path)
		return 403, true
	}
	rules, sure := r.deciding(d, d.Allow, port, q, false)
	if len(rules) == 0 || d.open {
		return 0, false
	}
	does := "allowed by rule %q"
	if !sure {
		does += ", if the rule's conditions are met"
	}
	r.decide(at, rules[0], does)
	return 0, true
}

// nobodyAllows tells that no rule of a member lets a request in.
func (r *run) nobodyAllows(d *door, port *ir.Port, q *message) {
	r.step(d.ref.String(), d.pos, "denied: no rule allows it")
	if !nameable(q) {
		r.Write = fmt.Sprintf("a rule of %s.allow; none can name the method and the path of this request alone", d.path)
		return
	}
	if d.service == nil {
		r.Write = fmt.Sprintf("add {from: %s, listeners: [%q], methods: [%q], paths: [%q]} to %s.allow", r.clientPeers(),
			port.Name, q.method, q.path, d.path)
		return
	}
	r.Write = fmt.Sprintf("add {from: %s, ports: [%q], methods: [%q], paths: [%q]} to %s.allow", r.peers(), port.Name,
		q.method, q.path, d.path)
}

// nameable reports whether a rule can name the method and the path of a request and no others. A client may write what
// would be a pattern in a rule, and the rule that lets its request in would let in all others too.
func nameable(q *message) bool {
	return method.MatchString(q.method) && strings.HasPrefix(q.path, "/") && !strings.ContainsAny(q.path, "*?#")
}

// method is what a rule takes for the name of one.
var method = regexp.MustCompile(`^[A-Z][A-Z-]{0,31}$`)

// clientPeers are the client of a gateway as a rule names it.
func (r *run) clientPeers() string {
	if r.client.IsValid() {
		return fmt.Sprintf("ipRanges: [%q]", r.client)
	}
	return "anyone: true"
}

// goesWithout reports whether something is let in without a token.
func (d *door) goesWithout(port *ir.Port) bool {
	probes := d.service != nil && d.service.Health.Probes(port) && d.service.Health.Kind != ir.HealthTCP
	return d.open || probes || d.GoesWithout(port)
}

// letsConnect reports whether a connection below HTTP is let in.
func (r *run) letsConnect(d *door, port *ir.Port) bool {
	at, q := d.ref.String(), &message{}
	if rules, _ := r.deciding(d, d.Deny, port, q, true); len(rules) > 0 {
		r.decide(at, rules[0], "denied by rule %q")
		r.Write = fmt.Sprintf("remove it from the %s of %s.deny", rulesNamed(rules), d.path)
		return false
	}
	if d.open {
		return true
	}
	if rules, _ := r.deciding(d, d.Allow, port, q, false); len(rules) > 0 {
		r.decide(at, rules[0], "connection allowed by rule %q")
		return true
	}
	r.step(at, source.Position{}, "closes the connection: no rule allows it")
	if r.Write = fmt.Sprintf("add {from: %s, ports: [%q]} to %s.allow", r.peers(), port.Name, d.path); d.service == nil {
		r.Write = fmt.Sprintf("add {from: %s, listeners: [%q]} to %s.allow", r.clientPeers(), port.Name, d.path)
	}
	return false
}
