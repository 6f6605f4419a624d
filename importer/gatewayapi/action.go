package gatewayapi

import (
	"slices"
	"strconv"
	"strings"
	"time"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

// action takes what a rule does, and is the route that does it for a match. It is nil for a rule that cannot be
// carried over.
func (m *reader) action(o *importer.Object, r *gatewayv1.HTTPRouteRule, at *importer.Service, in edge,
	where []string,
) func(*spec.Match) *spec.Route {
	base := spec.Route{}
	if name := importer.Take(&r.Name); name != nil {
		base.Name = spec.Written(string(*name))
	}
	unresolved := false
	var rewrite *gatewayv1.HTTPURLRewriteFilter
	var redirect *gatewayv1.HTTPRequestRedirectFilter
	for i := range r.Filters {
		f := &r.Filters[i]
		f.Type = ""
		unresolved = unresolved || f.ExtensionRef != nil || f.ExternalAuth != nil
		edit(importer.Take(&f.RequestHeaderModifier), &base, func(h *spec.Headers) **spec.HeaderEdits {
			return &h.Request
		})
		edit(importer.Take(&f.ResponseHeaderModifier), &base, func(h *spec.Headers) **spec.HeaderEdits {
			return &h.Response
		})
		if d := importer.Take(&f.URLRewrite); d != nil {
			rewrite = d
		}
		if d := importer.Take(&f.RequestRedirect); d != nil {
			redirect = d
		}
		cors(f.CORS, &base)
		if f.RequestMirror != nil && base.Mirror == nil {
			m.mirror(o, importer.Take(&f.RequestMirror), at, &base, append(slices.Clone(where), "filters",
				strconv.Itoa(i), "requestMirror", "backendRef"))
		}
	}
	if len(r.BackendRefs) == 1 { // what is done for its only backend is done for the route
		m.ofBackend(&r.BackendRefs[0], &base)
	}
	m.tries(o, r, &base, where)
	protocol := "http"
	if o.Kind == "GRPCRoute" {
		protocol = "grpc"
	}
	var invalid float64
	own := m.habits.ToParent && at != nil && len(r.BackendRefs) == 0
	if redirect == nil && !own || unresolved {
		base.To, invalid = m.destinations(o, r.BackendRefs, at, protocol, where)
		if base.To == nil || unresolved { // a filter that is not there must not be skipped (HTTPRouteFilter)
			base = spec.Route{Name: base.Name, DirectResponse: &spec.DirectResponse{Status: spec.Written(500)}}
			rewrite, redirect = nil, nil
		} else if invalid > 0 {
			base.Fault = &spec.Fault{Abort: &spec.Abort{Percent: spec.Written(invalid), Status: spec.Written(500)}}
		}
	}
	return func(match *spec.Match) *spec.Route {
		route := base
		route.Match = match
		if redirect != nil {
			route.Redirect = redirected(*redirect, match)
			in.keep(route.Redirect)
		}
		if rewrite != nil {
			route.Rewrite = rewritten(*rewrite, &route)
		}
		return &route
	}
}

// ofBackend takes the edits of headers that a route's only backend asks for, where the route has none of its own.
func (m *reader) ofBackend(b *gatewayv1.HTTPBackendRef, route *spec.Route) {
	for i := range b.Filters {
		f := &b.Filters[i]
		if f.RequestHeaderModifier != nil && (route.Headers == nil || route.Headers.Request == nil) {
			f.Type = ""
			edit(importer.Take(&f.RequestHeaderModifier), route, func(h *spec.Headers) **spec.HeaderEdits {
				return &h.Request
			})
		}
		if f.ResponseHeaderModifier != nil && (route.Headers == nil || route.Headers.Response == nil) {
			f.Type = ""
			edit(importer.Take(&f.ResponseHeaderModifier), route, func(h *spec.Headers) **spec.HeaderEdits {
				return &h.Response
			})
		}
	}
}

func edit(f *gatewayv1.HTTPHeaderFilter, route *spec.Route, side func(*spec.Headers) **spec.HeaderEdits) {
	if f == nil {
		return
	}
	values := func(list []gatewayv1.HTTPHeader) map[string]string {
		out := map[string]string{}
		for _, h := range list {
			out[string(h.Name)] = h.Value
		}
		return out
	}
	if route.Headers == nil {
		route.Headers = &spec.Headers{}
	}
	*side(route.Headers) = importer.Edits(values(f.Set), values(f.Add), f.Remove)
}

// rewritten is a rewrite of what the route matches.
func rewritten(f gatewayv1.HTTPURLRewriteFilter, route *spec.Route) *spec.Rewrite {
	out := &spec.Rewrite{}
	if f.Hostname != nil {
		out.Host = spec.Written(string(*f.Hostname))
	}
	switch p := f.Path; {
	case p == nil:
	case p.ReplaceFullPath != nil:
		out.Path = &spec.PathRewrite{Regex: &spec.RegexRewrite{
			Pattern:      spec.Written("^.*$"),
			Substitution: spec.Written(strings.ReplaceAll(*p.ReplaceFullPath, `\`, `\\`)),
		}}
	case p.ReplacePrefixMatch != nil:
		if route.Match == nil || route.Match.Path == nil { // all paths begin with "/"
			match := spec.Match{}
			if route.Match != nil {
				match = *route.Match
			}
			match.Path = &spec.PathMatch{Prefix: spec.Written("/")}
			route.Match = &match
		}
		out.Path = &spec.PathRewrite{Prefix: spec.Written(replaced(*p.ReplacePrefixMatch, route.Match))}
	}
	return out
}

// replaced is what takes the place of the prefix that a route matches, which ends with a slash or is the whole
// path.
func replaced(value string, match *spec.Match) string {
	value = strings.TrimRight(value, "/")
	if match == nil || match.Path == nil || match.Path.Prefix.IsSet() || value == "" {
		value += "/"
	}
	return value
}

func redirected(f gatewayv1.HTTPRequestRedirectFilter, match *spec.Match) *spec.Redirect {
	out := &spec.Redirect{Status: spec.Written(valueOr(f.StatusCode, 302))}
	if f.Scheme != nil {
		out.Scheme = spec.Written(*f.Scheme)
	}
	if f.Hostname != nil {
		out.Host = spec.Written(string(*f.Hostname))
	}
	if f.Port != nil {
		out.Port = spec.Written(int(*f.Port))
	}
	if p := f.Path; p != nil {
		if p.ReplaceFullPath != nil {
			out.Path = spec.Written(*p.ReplaceFullPath)
		} else if p.ReplacePrefixMatch != nil {
			out.Prefix = spec.Written(replaced(*p.ReplacePrefixMatch, match))
		}
	}
	return out
}

// redirects reports whether a route redirects some requests.
func (m *reader) redirects(o *importer.Object) bool {
	var d gatewayv1.HTTPRouteSpec
	return o.Kind == "HTTPRoute" && (&importer.Mesh{}).DecodePart(o, "spec", &d) &&
		slices.ContainsFunc(d.Rules, func(r gatewayv1.HTTPRouteRule) bool {
			return slices.ContainsFunc(r.Filters, func(f gatewayv1.HTTPRouteFilter) bool {
				return f.RequestRedirect != nil
			})
		})
}

func cors(f *gatewayv1.HTTPCORSFilter, route *spec.Route) {
	if f == nil {
		return
	}
	out := &spec.CORS{}
	for _, origin := range importer.Take(&f.AllowOrigins) {
		out.Origins = append(out.Origins, spec.Written(string(origin)))
	}
	any := slices.ContainsFunc(out.Origins, func(o spec.Field[string]) bool { return o.Value == "*" })
	for _, method := range importer.Take(&f.AllowMethods) {
		if method == "*" && valueOr(f.AllowCredentials, false) && !any { // browsers want them by name then
			out.Methods = spec.WrittenAll("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
			continue
		}
		out.Methods = append(out.Methods, spec.Written(string(method)))
	}
	for _, name := range importer.Take(&f.AllowHeaders) {
		if name == "*" && valueOr(f.AllowCredentials, false) && !any {
			f.AllowHeaders = append(f.AllowHeaders, name) // is told
			continue
		}
		out.Headers = append(out.Headers, spec.Written(strings.ToLower(string(name))))
	}
	for _, name := range importer.Take(&f.ExposeHeaders) {
		out.ExposeHeaders = append(out.ExposeHeaders, spec.Written(strings.ToLower(string(name))))
	}
	if age := importer.Take(&f.MaxAge); age > 0 {
		out.MaxAge = spec.Written(importer.Duration(time.Duration(age) * time.Second))
	}
	if f.AllowCredentials != nil && !(any && *f.AllowCredentials) { // which is told
		out.Credentials = spec.Written(*importer.Take(&f.AllowCredentials))
	}
	route.CORS = out
}

func (m *reader) mirror(o *importer.Object, f *gatewayv1.HTTPRequestMirrorFilter, at *importer.Service,
	route *spec.Route, where []string,
) {
	to := m.destination(o, f.BackendRef, at, "http", where...)
	if to == nil {
		return
	}
	if at == nil && m.Services[to.Service.Value].PortsOfHTTP() > 1 {
		m.NotCarried(o, importer.MirrorPort, where...)
		return
	}
	route.Mirror = &spec.Mirror{Service: to.Service}
	switch {
	case f.Percent != nil && *f.Percent != 100:
		route.Mirror.Percent = spec.Written(float64(*f.Percent))
	case f.Fraction != nil && valueOr(f.Fraction.Denominator, 100) > 0:
		share := float64(f.Fraction.Numerator) / float64(valueOr(f.Fraction.Denominator, 100))
		route.Mirror.Percent = spec.Written(100 * share)
	}
}

// tries carries over a rule's time and retries.
func (m *reader) tries(o *importer.Object, r *gatewayv1.HTTPRouteRule, route *spec.Route, where []string) {
	if t := importer.Take(&r.Timeouts); t != nil {
		if d, ok := limit(t.Request); ok {
			route.Timeout = spec.Written(d)
		}
		if d, ok := limit(t.BackendRequest); ok {
			route.Retries = &spec.Retries{PerTryTimeout: spec.Written(d)}
		}
	}
	if t := r.Retry; t != nil {
		if route.Retries == nil {
			route.Retries = &spec.Retries{}
		}
		route.Retries.Attempts = spec.Written(valueOr(importer.Take(&t.Attempts), 1))
		if d, ok := length(importer.Take(&t.Backoff)); ok {
			route.Retries.Backoff = &spec.Backoff{Base: spec.Written(d)}
		}
		codes := map[int]bool{}
		for _, c := range t.Codes {
			codes[int(c)] = true
		}
		route.Retries.On = spec.WrittenAll("connect-failure", "refused-stream", "reset-before-request")
		switch {
		case codes[502] && codes[503] && codes[504] && codes[500] && len(codes) == 4:
			route.Retries.On, t.Codes = append(route.Retries.On, spec.Written("5xx")), nil
		case codes[502] && codes[503] && codes[504] && len(codes) == 3:
			route.Retries.On, t.Codes = append(route.Retries.On, spec.Written("gateway-error")), nil
		case codes[503] && len(codes) == 1:
			route.Retries.On, t.Codes = append(route.Retries.On, spec.Written("unavailable")), nil
		}
	}
}

// limit is a length of time, or none at all for 0 (GEP-1742).
func limit(d *gatewayv1.Duration) (string, bool) {
	if parsed, err := time.ParseDuration(string(valueOr(d, ""))); err == nil && parsed == 0 {
		return spec.NoLimit, true
	}
	return length(d)
}

// length is a duration of the Gateway API (GEP-2257) that is not zero, which would be for no bound.
func length(d *gatewayv1.Duration) (string, bool) {
	if d == nil {
		return "", false
	}
	parsed, err := time.ParseDuration(string(*d))
	return importer.Duration(parsed), err == nil && parsed > 0
}
