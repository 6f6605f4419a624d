package try

import (
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
)

// fromGateway follows a request that somebody outside sends to a gateway.
func (r *run) fromGateway(g *ir.Gateway) {
	at := ir.GatewayRef(g.Name).String()
	l := r.listener(g)
	if l == nil {
		r.step(at, g.Pos, "has no listener of %s for %s on port %d", r.request.Scheme, r.request.Host, r.request.port())
		r.answer(at, 0)
		return
	}
	r.step(at, l.Pos, "matches the listener %s", l.Name)
	if l.TLS != nil && l.TLS.ClientRoots != "" && !l.TLS.ClientOptional &&
		!r.passes(OnCertificate, "it does", "it does not", guardCertificate+" of %s", l.TLS.ClientRoots) {
		r.answer(at, 0)
		return
	}
	if l.To != nil {
		callee := r.mesh.Service(l.To.Service)
		r.step(at, l.Pos, "sends its connections to %s", named(l.To))
		r.connect(callee, callee.Port(l.To.Port))
		return
	}
	q, good := r.read(at, g.Proxy.Requests)
	if !good || !r.namesHost(at, l, q) {
		return
	}
	claims := r.mesh.ClaimHeaders()
	q.headers = slices.DeleteFunc(slices.Clone(q.headers), func(h ir.Header) bool {
		return slices.Contains(claims, h.Name) || h.Name == "x-forwarded-client-cert"
	})
	q.headers = r.fromClient(l, q.headers)
	if l.RedirectTo != "" {
		r.redirectTo(at, g, l, q)
		return
	}
	if g.Authorizer != "" {
		r.step(at, g.Pos, "calls %s", g.Authorizer)
		if !r.passes(OnAuthorization, "it allows", "it refuses", guardService+"%s, which %s calls", g.Authorizer,
			g.Name) {
			r.answer(at, 403)
			return
		}
	}
	if r.misdirected(at, g, l, q) {
		return
	}
	domain, served := r.domain(g, l, strings.ToLower(q.host))
	if !served {
		r.step(at, l.Pos, "has no listener for the host %s there", q.host)
		r.answer(at, 404)
		return
	}
	for i := range g.Routes {
		route := &g.Routes[i]
		m := &route.Match
		if !m.At(l.Name) || m.Host != "" && !ir.HostCovers(m.Host, domain) || !r.takes(m, q, q.path) {
			continue
		}
		if r.byRoute(at, g, route, q) {
			return
		}
	}
	r.step(at, l.Pos, "has no route for it")
	r.answer(at, 404)
}

// anAuthority is [ir.Authority], as a whole.
var anAuthority = regexp.MustCompile("^(?:" + ir.Authority + ")$")

// namesHost answers 400 to a request whose header host names none, or several.
func (r *run) namesHost(at string, l *ir.Listener, q *message) bool {
	if anAuthority.MatchString(q.authority) {
		return true
	}
	r.step(at, l.Pos, "refuses the host %q: it is not a name or an address, with a port or without", q.authority)
	r.answer(at, http.StatusBadRequest)
	return false
}

// listener is the one that takes the request's connection; nil for none. Those on one port are told apart by the
// name in the handshake.
func (r *run) listener(g *ir.Gateway) *ir.Listener {
	if r.request.Scheme == "https" {
		return g.ListenerOf(r.request.port(), strings.ToLower(r.request.serverName()))
	}
	for i := range g.Listeners {
		if l := &g.Listeners[i]; l.Port == r.request.port() && !l.BySNI() {
			return l
		}
	}
	return nil
}

// domain is which of the hosts of a listener, and of the routes there, the request's host is one of.
func (r *run) domain(g *ir.Gateway, l *ir.Listener, host string) (string, bool) {
	domains := slices.Clone(l.Hosts)
	for i := range g.Routes {
		m := &g.Routes[i].Match
		if m.At(l.Name) && m.Host != "" &&
			slices.ContainsFunc(l.Hosts, func(served string) bool { return ir.HostCovers(served, m.Host) }) {
			domains = append(domains, m.Host)
		}
	}
	best := ""
	for _, d := range domains {
		if ir.HostCovers(d, host) && (best == "" || ir.Specific(d) > ir.Specific(best)) {
			best = d
		}
	}
	return best, best != ""
}

// misdirected answers a request for a host of another listener than its connection's.
func (r *run) misdirected(at string, g *ir.Gateway, l *ir.Listener, q *message) bool {
	if !l.BySNI() {
		return false
	}
	other := g.ListenerOf(l.Port, strings.ToLower(q.host))
	if other == nil || other == l {
		return false
	}
	r.step(at, other.Pos, "has the listener %s for %s, and the connection is not for that", other.Name, q.host)
	r.answer(at, http.StatusMisdirectedRequest)
	return true
}

// redirectTo is the answer of a listener that sends clients to another one.
func (r *run) redirectTo(at string, g *ir.Gateway, l *ir.Listener, q *message) {
	if r.misdirected(at, g, l, q) {
		return
	}
	to := g.Listener(l.RedirectTo)
	served := slices.ContainsFunc(l.Hosts, func(h string) bool { return ir.HostCovers(h, strings.ToLower(q.host)) })
	if !served {
		r.answer(at, 404)
		return
	}
	scheme, host := "http", q.host
	if to.TLS != nil {
		scheme = "https"
	}
	if !(scheme == "https" && to.Port == 443 || scheme == "http" && to.Port == 80) {
		host = fmt.Sprintf("%s:%d", host, to.Port)
	}
	r.Answer = &Answer{By: at, Status: 308, Location: scheme + "://" + host + q.withQuery(q.path)}
	r.step(at, l.Pos, "redirects to %s", r.Answer.Location)
}

// byRoute follows a request by a gateway's route, and then by the service's own. It is false when neither takes
// it.
func (r *run) byRoute(at string, g *ir.Gateway, route *ir.Route, q *message) bool {
	r.step(at, route.Pos, "matches the route %q", route.Name)
	if route.Answers() {
		r.goes(at, g.Uses, nil, nil, nil, q, route)
		return true
	}
	to := &route.To[0]
	callee := r.mesh.Service(to.Service)
	port := callee.Port(to.Port)
	use := cmp.Or(ir.UseOf(g.Uses, callee.Name), &ir.Use{To: callee.Name})
	if route.GoesOn() {
		path := q.path
		if outer := route.PathRewrite(); outer != nil {
			pattern, substitution := outer.Regex(route.Match.Path)
			path, _ = substituted(pattern, substitution, path)
		}
		for i := range callee.Routes {
			own := &callee.Routes[i]
			if r.takes(&own.Match, q, path) {
				r.step(at, own.Pos, "then matches the route %q of %s", own.Name, callee.Name)
				r.goes(at, g.Uses, use, callee, port, q, route, own)
				return true
			}
		}
	}
	r.goes(at, g.Uses, use, callee, port, q, route)
	return true
}
