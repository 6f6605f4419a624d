package gatewayapi

import (
	"slices"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

// edge is where the requests of a route come in: what a redirect that does not say another port or scheme keeps. The
// zero value is a service's.
type edge struct {
	port   int
	secure bool
	// listeners are their names; nil for all that answer for the host.
	listeners []string
}

// keep writes the port of the listener into a redirect that says none (HTTPRequestRedirectFilter, "port"), and a scheme
// into one that changes nothing but is wanted all the same.
func (e edge) keep(r *spec.Redirect) {
	scheme, usual := "http", 80
	if e.secure {
		scheme, usual = "https", 443
	}
	if *r == (spec.Redirect{Status: r.Status}) {
		r.Scheme = spec.Written(scheme)
	}
	if e.port != 0 && e.port != usual && !r.Port.IsSet() && (!r.Scheme.IsSet() || *r == (spec.Redirect{
		Status: r.Status, Scheme: spec.Written(scheme),
	})) {
		r.Port = spec.Written(e.port)
	}
}

// edgesOf are the ports and schemes of the listeners that a route is attached to for a host. Listeners that all answer
// for the host need not be named. Ports and schemes are told apart for a redirect alone.
func edgesOf(at, all []*listener, host string, redirects bool) []edge {
	var out []edge
	for _, l := range at {
		e := edge{}
		if redirects {
			e = edge{port: l.spec.Port.Value, secure: l.spec.TLS != nil}
		}
		i := slices.IndexFunc(out, func(o edge) bool { return o.port == e.port && o.secure == e.secure })
		if i < 0 {
			i, out = len(out), append(out, e)
		}
		if !slices.Contains(out[i].listeners, l.called) {
			out[i].listeners = append(out[i].listeners, l.called)
		}
	}
	others := slices.ContainsFunc(all, func(l *listener) bool {
		_, meets := importer.Intersect(l.host, host)
		return meets && !slices.ContainsFunc(at, func(own *listener) bool { return own.called == l.called })
	})
	if len(out) == 1 && !others {
		out[0].listeners = nil
	}
	return out
}

// hides reports whether requests for a host that come to the port of both listeners are its own, as it is for fewer
// hosts than the other (Listener, "Distinct Listeners").
func (l *listener) hides(other *listener, host string) bool {
	return l != other && l.spec.Port.Value == other.spec.Port.Value && (l.spec.TLS == nil) == (other.spec.TLS == nil) &&
		!l.spec.Protocol.IsSet() && host != "" && importer.Covers(l.host, host) &&
		importer.MoreSpecific(l.host, other.host) < 0
}

// share makes one listener of those for HTTP without TLS that share a port: it answers for the hosts of all.
func (g *gateway) share() {
	first := map[int]*listener{}
	for _, l := range g.listeners {
		if l.spec.TLS != nil || l.spec.Protocol.IsSet() || l.spec.RedirectTo.IsSet() || len(l.routes) == 0 {
			continue
		}
		one := first[l.spec.Port.Value]
		if one == nil {
			first[l.spec.Port.Value] = l
			continue
		}
		l.called = one.called
		switch {
		case l.host == "" || one.spec.Hosts == nil:
			one.spec.Hosts = nil
		case !slices.Contains(one.spec.Hosts, spec.Written(l.host)):
			one.spec.Hosts = append(one.spec.Hosts, spec.Written(l.host))
		}
	}
}
