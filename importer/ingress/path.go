package ingress

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

// path is a path of a rule, or a default backend, with its place in the Ingress.
type path struct {
	from *ingress
	kind networkingv1.PathType
	text string
	to   []*spec.Destination // nil for a backend that is not there
}

// rules reads the paths of an Ingress.
func (c *class) rules(i *ingress) {
	for n, r := range i.spec.Rules {
		paths := []networkingv1.HTTPIngressPath{}
		if r.HTTP != nil {
			paths = r.HTTP.Paths
		}
		for k, p := range paths {
			at := []string{"spec", "rules", strconv.Itoa(n), "http", "paths", strconv.Itoa(k)}
			kind := networkingv1.PathTypeImplementationSpecific
			if p.PathType != nil {
				kind = *p.PathType
			}
			if kind == networkingv1.PathTypeImplementationSpecific && !i.settings.nginx {
				c.Note(i.object, "its controller says what ImplementationSpecific means: it is taken for Prefix",
					append(at, "pathType")...)
				kind = networkingv1.PathTypePrefix
			}
			c.add(r.Host, &path{i, kind, cmp.Or(p.Path, "/"), c.backend(i, &p.Backend, append(at, "backend"))}, at)
		}
		if i.spec.DefaultBackend == nil && len(paths) == 0 {
			c.NotCarried(i.object, "it has no paths, and its Ingress no default backend", "spec", "rules", strconv.Itoa(n))
		}
	}
	if i.spec.DefaultBackend == nil {
		return
	}
	at := []string{"spec", "defaultBackend"}
	to := c.backend(i, i.spec.DefaultBackend, at)
	hosts := []string{} // the rest of its hosts; ingress-nginx has it answer for no others
	for _, r := range i.spec.Rules {
		if !slices.Contains(hosts, r.Host) {
			hosts = append(hosts, r.Host)
		}
	}
	if len(hosts) == 0 || !i.settings.nginx && !slices.Contains(hosts, "") {
		hosts = append(hosts, "")
	}
	for _, host := range hosts {
		if !slices.ContainsFunc(c.hosts[host], func(p *path) bool {
			return p.from == i && p.text == "/" && p.kind !=
				networkingv1.PathTypeExact
		}) {
			c.add(host, &path{i, networkingv1.PathTypePrefix, "/", to}, at)
		}
	}
}

// add adds a path of a host. The first one holds.
func (c *class) add(host string, p *path, at []string) {
	if slices.ContainsFunc(c.hosts[host], func(o *path) bool { return o.kind == p.kind && o.text == p.text }) {
		c.NotCarried(p.from.object, "an Ingress before it has the host and the path", at...)
		return
	}
	c.hosts[host] = append(c.hosts[host], p)
}

// backend is where requests go; nil, which is told, where that is not there.
func (c *class) backend(i *ingress, b *networkingv1.IngressBackend, at []string) []*spec.Destination {
	if b.Service == nil {
		c.NotCarried(i.object, "a backend is a Service", at...)
		return nil
	}
	at = append(slices.Clone(at), "service")
	namespace, number := i.object.Metadata.Namespace, int(b.Service.Port.Number)
	s := c.Service(namespace, b.Service.Name)
	if s == nil {
		if part := c.Part(namespace, b.Service.Name); part != nil {
			s = part.Of
		}
	}
	if s != nil && b.Service.Port.Name != "" {
		p := s.Spec.Ports[importer.NameOf(b.Service.Port.Name)]
		if p == nil {
			c.NotCarried(i.object, "the Service "+s.Name+" has no port "+b.Service.Port.Name, append(at, "port")...)
			return nil
		}
		number = p.Port.Value
	}
	if s != nil && i.settings.protocol == "tls" && s.Port(number) != "" {
		s.Secures(s.Port(number))
	}
	to := c.Destination(i.object, namespace, b.Service.Name, number, nil, cmp.Or(i.settings.protocol, "http"), at...)
	if to == nil {
		return nil
	}
	if name := s.Port(number); i.settings.nginx && name != "" && s.Spec.Ports[name].Protocol.Value == "http" {
		s.Spec.Ports[name].Upgrades = spec.WrittenAll("websocket") // ingress-nginx needs no configuration for them
	}
	if !slices.Contains(i.services, to.Service.Value) {
		i.services = append(i.services, to.Service.Value)
	}
	return []*spec.Destination{to}
}

// routes are those of all hosts, the longest path of each first.
func (c *class) routes() []*spec.Route {
	var hosts []importer.Hosted
	for _, host := range slices.Sorted(maps.Keys(c.hosts)) {
		paths := c.hosts[host]
		slices.SortStableFunc(paths, func(a, b *path) int {
			return cmp.Or(b.rank()-a.rank(), a.exactness()-b.exactness())
		})
		regex := slices.ContainsFunc(paths, func(p *path) bool { return p.from.settings.regex })
		h := importer.Hosted{Host: host}
		for _, p := range paths {
			h.Routes = append(h.Routes, c.pathRoutes(p, regex)...)
		}
		if !slices.ContainsFunc(h.Routes, func(r *spec.Route) bool { return r.Match == nil }) {
			h.Routes = append(h.Routes, &spec.Route{DirectResponse: &spec.DirectResponse{Status: spec.Written(404)}})
		}
		if c.onlyTLS(host, paths) {
			h.Routes = c.toTLS(host, h.Routes)
		}
		hosts = append(hosts, h)
	}
	return importer.Routed(hosts)
}

func (p *path) rank() int { return len(strings.TrimRight(p.text, "/")) }

func (p *path) exactness() int {
	if p.kind == networkingv1.PathTypeExact {
		return 0
	}
	return 1
}

// onlyTLS reports whether requests for a host without TLS are redirected, as ingress-nginx does by itself where the
// host has a certificate.
func (c *class) onlyTLS(host string, paths []*path) bool {
	return slices.ContainsFunc(paths, func(p *path) bool {
		return p.from.settings.force || p.from.settings.redirects && c.isSecure(host)
	})
}

// toTLS leaves the routes of a host to the listeners with its certificate, and redirects from the other one. Where no
// certificate was read nothing is answered, as it would go without TLS.
func (c *class) toTLS(host string, routes []*spec.Route) []*spec.Route {
	var secure []string
	for _, name := range slices.Sorted(maps.Keys(c.gateway.Listeners)) {
		if slices.ContainsFunc(c.gateway.Listeners[name].Hosts, func(f spec.Field[string]) bool {
			return importer.Covers(f.Value, host) || importer.Covers(host, f.Value)
		}) {
			secure = append(secure, name)
		}
	}
	redirect := &spec.Route{Redirect: &spec.Redirect{Scheme: spec.Written("https"), Status: spec.Written(308)}}
	importer.At(redirect, []string{"http"})
	if len(secure) == 0 {
		return []*spec.Route{redirect}
	}
	for _, r := range routes {
		importer.At(r, secure)
	}
	return append(routes, redirect)
}

// pathRoutes are the routes of a path: of ingress-nginx, by regular expressions, where some path of the host is one.
func (c *class) pathRoutes(p *path, regex bool) []*spec.Route {
	var matches []*spec.Match
	byPath := func(m spec.PathMatch) { matches = append(matches, &spec.Match{Path: &m}) }
	whole := strings.TrimRight(p.text, "/")
	switch {
	case regex && p.from.settings.nginx:
		text := "(?i)(?:" + p.text + ").*"
		if _, err := regexp.Compile(text); err != nil {
			c.NotCarried(p.from.object, strconv.Quote(p.text)+" is not a regular expression of RE2: its requests "+
				"go where those of other paths do")
			return nil
		}
		if p.text == "/" {
			matches = append(matches, nil)
		} else {
			byPath(spec.PathMatch{Regex: spec.Written(text)})
		}
	case p.kind == networkingv1.PathTypeExact:
		byPath(spec.PathMatch{Exact: spec.Written(p.text)})
	case whole == "":
		matches = append(matches, nil)
	case p.kind == networkingv1.PathTypeImplementationSpecific:
		byPath(spec.PathMatch{Prefix: spec.Written(p.text)})
	default: // whole segments, with or without a slash at the end
		byPath(spec.PathMatch{Exact: spec.Written(whole)})
		byPath(spec.PathMatch{Prefix: spec.Written(whole + "/")})
	}
	var out []*spec.Route
	for _, match := range matches {
		r := &spec.Route{Match: match, To: p.to}
		if p.to == nil { // no other path may take its requests
			r.DirectResponse = &spec.DirectResponse{Status: spec.Written(503)}
		} else {
			p.from.settings.give(r, p.text)
		}
		out = append(out, r)
	}
	return out
}
