package ir

import (
	"cmp"
	"slices"
)

// Upgrades are the protocols to which a proxy lets requests for a port of a callee be upgraded that go by a route, the
// last of those that they go by; to is a service by its name. All destinations must take the upgrade, as a port that
// takes none speaks HTTP/2 between proxies ([Forms.HTTP1]).
func (r *Route) Upgrades(came *Port, to func(service string) *Upstream) []string {
	if came == nil || r.Answers() {
		return nil
	}
	out := slices.Clone(came.Upgrades)
	for _, d := range r.To {
		taken := to(d.Service).Port(cmp.Or(d.Port, came.Name)).Upgrades
		out = slices.DeleteFunc(out, func(u string) bool { return !slices.Contains(taken, u) })
	}
	return out
}

// UpgradesOn are the protocols to which some requests may be upgraded that the member's proxy takes at the listener of
// that port of a use. It refuses an offer of one of them in other requests there, and ignores all other offers: Envoy
// reads what follows an offer that it does not ignore as no request, before it knows the route.
func (s *Scope) UpgradesOn(use *Use, name string, number uint16) []string {
	var out []string
	for callee, port := range s.together(use, name, number) {
		out = append(out, callee.Port(port).Upgrades...)
	}
	for external, port := range s.externalsTogether(use, name, number) {
		out = append(out, external.Port(port).Upgrades...)
	}
	if s.PassesUndeclared() && use.Binds[name] == "" {
		out = append(out, webSocket)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// webSocket is what requests that pass undeclared may be upgraded to besides what calls on their port number may.
const webSocket = "websocket"

// UpgradesAt are those of a listener of the gateway.
func (g *Gateway) UpgradesAt(l *Listener, to func(service string) *Upstream) []string {
	var out []string
	for i := range g.Routes {
		r := &g.Routes[i]
		if l.RedirectTo != "" || r.Answers() || !r.Match.At(l.Name) || !l.serves(r.Match.Host) {
			continue
		}
		out = append(out, r.Upgrades(to(r.To[0].Service).Port(r.To[0].Port), to)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// serves reports whether a request for the listener may have a host that a route asks for; "" for any.
func (l *Listener) serves(host string) bool {
	return host == "" || slices.ContainsFunc(l.Hosts, func(served string) bool {
		return HostCovers(served, host) || HostCovers(host, served)
	})
}
