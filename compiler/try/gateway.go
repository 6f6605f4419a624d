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
	r.mayShow = l.TLS != nil && l.TLS.ClientRoots != ""
	if l.TLS != nil && l.TLS.ClientRoots != "" && !l.TLS.ClientOptional &&
		!r.passes(OnCertificate, "it does", "it does not", guardCertificate+" of %s", l.TLS.ClientRoots) {
		r.answer(at, 0)
		return
	}
	if l.To != nil {
		if r.client = r.request.IP; !r.letsConnect(doorOfGateway(g), l.Door()) {
			r.answer(at, 0)
			return
		}
		callee := r.mesh.Service(l.To.Service)
		r.step(at, l.Pos, "sends its connections to %s", named(l.To))
		r.connect(callee, callee.Port(l.To.Port))
		return
	}
	q, good := r.read(at, g.Proxy.Requests)
	if !good || !r.namesHost(at, l, q) {
		return
	}
	q.offers(g.UpgradesAt(l, r.upstreamOf))
	claims := r.mesh.ClaimHeaders()
	q.headers = slices.DeleteFunc(slices.Clone(q.headers), func(h ir.Header) bool {
		return slices.Contains(claims, h.Name) || h.Name == "x-forwarded-client-cert"
	})
	q.headers = r.fromClient(at, l, q.headers)
	if l.RedirectTo != "" {
		r.redirectTo(at, g, l, q)
		return
	}
	if q.upgrade != "" {
		by := r.chosen(g, l, q)
		if (by != nil || elsewhere(g, l, q) != nil || g.AsksAll()) && r.notUpgraded(at, q, l.Pos, r.upgrades(by)) {
			return
		}
	}
	if !r.clientIsKnown(g, l, q) || !r.rulesOfGateway(g, l, q) {
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
	if !r.belowLimits(at, g) || r.misdirected(at, g, l, q) {
		return
	}
	if _, served := r.domain(g, l, strings.ToLower(q.host)); !served {
		r.step(at, l.Pos, "has no listener for the host %s there", q.host)
		r.answer(at, 404)
		return
	}
	by := r.chosen(g, l, q)
	if by == nil {
		r.step(at, l.Pos, "has no route for it")
		r.answer(at, 404)
		return
	}
	q.headers = withoutCredentials(g, q.headers)
	r.byRoutes(at, g, q, by)
}

// chosen are the routes by which a request goes: one of the gateway, and after it perhaps the service's own; nil where
// none takes it.
func (r *run) chosen(g *ir.Gateway, l *ir.Listener, q *message) []*ir.Route {
	if elsewhere(g, l, q) != nil {
		return nil
	}
	domain, served := r.domain(g, l, strings.ToLower(q.host))
	if !served {
		return nil
	}
	for i := range g.Routes {
		route := &g.Routes[i]
		m := &route.Match
		if !m.At(l.Name) || m.Host != "" && !ir.HostCovers(m.Host, domain) || !r.takes(m, q, q.path) {
			continue
		}
		if route.Answers() || !route.GoesOn() {
			return []*ir.Route{route}
		}
		path := q.path
		if outer := route.PathRewrite(); outer != nil {
			pattern, substitution := outer.Regex(route.Match.Path)
			path, _ = substituted(pattern, substitution, path)
		}
		callee := r.mesh.Service(route.To[0].Service)
		for i := range callee.Routes {
			if own := &callee.Routes[i]; r.takes(&own.Match, q, path) {
				return []*ir.Route{route, own}
			}
		}
		return []*ir.Route{route}
	}
	return nil
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

// elsewhere is the listener that a request's host is for, where that is another one than its connection's.
func elsewhere(g *ir.Gateway, l *ir.Listener, q *message) *ir.Listener {
	if other := g.ListenerOf(l.Port, strings.ToLower(q.host)); l.BySNI() && other != l {
		return other
	}
	return nil
}

// misdirected answers a request for a host of another listener than its connection's.
func (r *run) misdirected(at string, g *ir.Gateway, l *ir.Listener, q *message) bool {
	other := elsewhere(g, l, q)
	if other == nil {
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

// byRoutes follows a request by a gateway's route, and the service's own after it.
func (r *run) byRoutes(at string, g *ir.Gateway, q *message, by []*ir.Route) {
	r.step(at, by[0].Pos, "matches the route %q", by[0].Name)
	if by[0].Answers() {
		r.goes(at, g.Uses, nil, nil, nil, q, by...)
		return
	}
	callee := r.mesh.Service(by[0].To[0].Service)
	if len(by) > 1 {
		r.step(at, by[1].Pos, "then matches the route %q of %s", by[1].Name, callee.Name)
	}
	use := cmp.Or(ir.UseOf(g.Uses, callee.Name), &ir.Use{To: callee.Name})
	r.goes(at, g.Uses, use, callee, callee.Port(by[0].To[0].Port), q, by...)
}
