package consul

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

type serviceRouter struct {
	Meta   map[string]any `json:"meta"`
	Routes []struct {
		Match *struct {
			HTTP *httpMatch `json:"http"`
		} `json:"match"`
		Destination *routeDestination `json:"destination"`
	} `json:"routes"`
}

type httpMatch struct {
	PathExact       string   `json:"pathExact"`
	PathPrefix      string   `json:"pathPrefix"`
	PathRegex       string   `json:"pathRegex"`
	CaseInsensitive bool     `json:"caseInsensitive"`
	Methods         []string `json:"methods"`
	Header          []header `json:"header"`
	QueryParam      []header `json:"queryParam"`
}

// header matches a header or a query parameter.
type header struct {
	Name       string `json:"name"`
	Present    bool   `json:"present"`
	Exact      string `json:"exact"`
	Prefix     string `json:"prefix"`
	Suffix     string `json:"suffix"`
	Contains   string `json:"contains"`
	Regex      string `json:"regex"`
	Invert     bool   `json:"invert"`
	IgnoreCase bool   `json:"ignoreCase"`
}

type routeDestination struct {
	Service               string       `json:"service"`
	ServiceSubset         string       `json:"serviceSubset"`
	Namespace             string       `json:"namespace"`
	Partition             string       `json:"partition"`
	PrefixRewrite         string       `json:"prefixRewrite"`
	RequestTimeout        string       `json:"requestTimeout"`
	IdleTimeout           string       `json:"idleTimeout"`
	NumRetries            int          `json:"numRetries"`
	RetryOnConnectFailure bool         `json:"retryOnConnectFailure"`
	RetryOn               []string     `json:"retryOn"`
	RetryOnStatusCodes    []int        `json:"retryOnStatusCodes"`
	RequestHeaders        *headerEdits `json:"requestHeaders"`
	ResponseHeaders       *headerEdits `json:"responseHeaders"`
}

// match is what a header or a query parameter must be.
func (h *header) match() *spec.StringMatch {
	out := &spec.StringMatch{}
	fold := ""
	if h.IgnoreCase {
		fold = "(?i)"
	}
	quote := regexp.QuoteMeta
	switch {
	case h.Contains != "":
		out.Regex = spec.Written(fold + ".*" + quote(h.Contains) + ".*")
	case h.IgnoreCase && h.Exact != "":
		out.Regex = spec.Written(fold + quote(h.Exact))
	case h.IgnoreCase && h.Prefix != "":
		out.Regex = spec.Written(fold + quote(h.Prefix) + ".*")
	case h.IgnoreCase && h.Suffix != "":
		out.Regex = spec.Written(fold + ".*" + quote(h.Suffix))
	case h.Exact != "":
		out.Exact = spec.Written(h.Exact)
	case h.Prefix != "":
		out.Prefix = spec.Written(h.Prefix)
	case h.Suffix != "":
		out.Suffix = spec.Written(h.Suffix)
	case h.Regex != "":
		out.Regex = spec.Written(fold + h.Regex)
	default:
		out.Present = spec.Written(!h.Invert)
		return out
	}
	if h.Invert {
		out.Invert = spec.Written(true)
	}
	return out
}

// headers are those that must match, by name in lower case; false where one name stands twice.
func headers(list []header, name func(string) string) (map[string]*spec.StringMatch, bool) {
	var out map[string]*spec.StringMatch
	for i := range list {
		if out == nil {
			out = map[string]*spec.StringMatch{}
		}
		key := name(list[i].Name)
		if out[key] != nil {
			return nil, false
		}
		out[key] = list[i].match()
	}
	return out, true
}

// matches are those of a route, one for each method; false where they cannot be said.
func (h *httpMatch) matches() ([]*spec.Match, bool) {
	base := spec.Match{}
	var ok, also bool
	base.Headers, ok = headers(h.Header, lower)
	base.Query, also = headers(h.QueryParam, func(name string) string { return name })
	switch quote := regexp.QuoteMeta; {
	case h.CaseInsensitive && h.PathExact != "":
		base.Path = &spec.PathMatch{Regex: spec.Written("(?i)" + quote(h.PathExact))}
	case h.CaseInsensitive && h.PathPrefix != "":
		base.Path = &spec.PathMatch{Regex: spec.Written("(?i)" + quote(h.PathPrefix) + ".*")}
	case h.PathExact != "":
		base.Path = &spec.PathMatch{Exact: spec.Written(h.PathExact)}
	case h.PathPrefix != "" && h.PathPrefix != "/":
		base.Path = &spec.PathMatch{Prefix: spec.Written(h.PathPrefix)}
	case h.PathRegex != "":
		base.Path = &spec.PathMatch{Regex: spec.Written(h.PathRegex)}
	}
	if len(h.Methods) == 0 {
		return []*spec.Match{&base}, ok && also
	}
	var out []*spec.Match
	for _, method := range h.Methods {
		one := base
		one.Method = spec.Written(method)
		out = append(out, &one)
	}
	return out, ok && also
}

// routes writes the routes of a service: those of its router, and at their end, as in Consul, one for the rest.
func (m *reader) routes(name string, s *importer.Service) {
	var routes []*spec.Route
	router, plainly := m.routers[name], m.splitters[name] == nil && m.resolvers[name] == nil
	if s.PortsOfHTTP() == 0 {
		if router != nil || m.splitters[name] != nil {
			m.NotCarried(s.Object, name+" has routes or splits, and speaks no HTTP by its service-defaults or proxy-defaults")
		}
		if r := m.resolvers[name]; r != nil {
			if r.spec.Redirect != nil || r.spec.DefaultSubset != "" {
				m.NotCarried(r.object, "connections below HTTP go to any instance of the service that is called", "spec")
			}
			m.balance(name, s)
		}
		return
	}
	if router != nil {
		for i := range router.spec.Routes {
			r := &router.spec.Routes[i]
			at := []string{"spec", "routes", strconv.Itoa(i)}
			matches, ok := []*spec.Match{nil}, true
			if r.Match != nil && r.Match.HTTP != nil {
				matches, ok = r.Match.HTTP.matches()
			}
			if !ok {
				m.NotCarried(router.object, "it asks for one name twice", append(at, "match")...)
				continue
			}
			d := r.Destination
			if d == nil {
				d = &routeDestination{}
			}
			base := m.action(router.object, name, s, d, at)
			for _, match := range matches {
				route := *base
				if route.Match = match; importer.Hides(match, nil) && (match == nil || match.Path == nil) {
					route.Match = nil
				}
				if importer.IsHidden(routes, route.Match) {
					m.NotCarried(router.object, "routes before it take all its requests", at...)
					continue
				}
				if d.PrefixRewrite != "" && route.DirectResponse == nil {
					m.rewrite(router.object, &route, d.PrefixRewrite, at)
				}
				routes = append(routes, &route)
			}
		}
	}
	if !plainly {
		rest := &spec.Route{}
		m.leads(s.Object, rest, name, "", s)
		m.timeout(name, rest)
		if !importer.IsHidden(routes, nil) {
			routes = append(routes, rest)
		}
		m.balance(name, s)
	}
	s.Spec.Routes = importer.Tidied(routes)
}

// action is what a route of a router does.
func (m *reader) action(o *importer.Object, name string, s *importer.Service, d *routeDestination,
	at []string,
) *spec.Route {
	out := &spec.Route{}
	to := name
	if d.Service != "" {
		to = d.Service
	}
	if m.leads(o, out, to, d.ServiceSubset, s); out.DirectResponse != nil {
		return out
	}
	m.timeout(to, out)
	if length, ok := length(d.RequestTimeout); ok {
		out.Timeout = spec.Written(length)
	}
	if length, ok := length(d.IdleTimeout); ok {
		out.IdleTimeout = spec.Written(length)
	}
	out.Retries = m.retries(o, d, at)
	out.Headers = m.edits(o, d, at)
	return out
}

// edits are the changes of headers of a destination; nil for none.
func (m *reader) edits(o *importer.Object, d *routeDestination, at []string) *spec.Headers {
	edit := func(e *headerEdits) *spec.HeaderEdits {
		if e == nil {
			return nil
		}
		return importer.Edits(m.literal(o, e.Set, at), m.literal(o, e.Add, at), e.Remove)
	}
	out := &spec.Headers{Request: edit(d.RequestHeaders), Response: edit(d.ResponseHeaders)}
	if out.Request == nil && out.Response == nil {
		return nil
	}
	return out
}

// literal are the values of headers without those that have operators of Envoy, which are told.
func (m *reader) literal(o *importer.Object, values map[string]string, at []string) map[string]string {
	out := map[string]string{}
	for name, value := range values {
		if operator.MatchString(value) {
			m.NotCarried(o, fmt.Sprintf("the value of %s has operators of Envoy", name), append(slices.Clone(at),
				"destination")...)
			continue
		}
		out[name] = value
	}
	return out
}

var operator = regexp.MustCompile(`%[A-Z_]+(\([^)]*\))?(:\d+)?%`)

// rewrite puts another prefix in the place of the one that a route matches.
func (m *reader) rewrite(o *importer.Object, r *spec.Route, prefix string, at []string) {
	switch {
	case r.Match == nil || r.Match.Path == nil:
		match := spec.Match{}
		if r.Match != nil {
			match = *r.Match
		}
		match.Path = &spec.PathMatch{Prefix: spec.Written("/")}
		r.Match = &match
	case !r.Match.Path.Prefix.IsSet() && !r.Match.Path.Exact.IsSet():
		m.NotCarried(o, "a regular expression has no prefix", append(slices.Clone(at), "destination", "prefixRewrite")...)
		return
	}
	r.Rewrite = &spec.Rewrite{Path: &spec.PathRewrite{Prefix: spec.Written(prefix)}}
}

// conditions are those of retries that the language has.
var conditions = []string{
	"5xx", "gateway-error", "reset", "connect-failure", "refused-stream", "retriable-4xx", "cancelled",
	"deadline-exceeded", "internal", "resource-exhausted", "unavailable",
}

// retries are those of a destination; nil for none.
func (m *reader) retries(o *importer.Object, d *routeDestination, at []string) *spec.Retries {
	at = append(slices.Clone(at), "destination")
	var on []string
	for _, c := range d.RetryOn {
		if slices.Contains(conditions, c) {
			on = append(on, c)
		} else {
			m.NotCarried(o, "the language has no retries on "+c, append(at, "retryOn")...)
		}
	}
	if d.RetryOnConnectFailure && !slices.Contains(on, "connect-failure") {
		on = append(on, "connect-failure")
	}
	codes := slices.Clone(d.RetryOnStatusCodes)
	slices.Sort(codes)
	switch {
	case len(codes) == 0:
	case slices.Equal(codes, []int{502, 503, 504}):
		on = append(on, "gateway-error")
	case slices.Equal(codes, []int{503}):
		on = append(on, "unavailable")
	case slices.Equal(codes, []int{500, 501, 502, 503, 504}) || slices.Equal(codes, []int{500, 502, 503, 504}):
		on = append(on, "5xx")
	default:
		m.NotCarried(o, "the language retries 5xx, or 502, 503 and 504: retries: on", append(at, "retryOnStatusCodes")...)
	}
	if len(on) == 0 {
		if d.NumRetries > 0 {
			m.NotCarried(o, "nothing says after what is tried again", append(at, "numRetries")...)
		}
		return nil
	}
	attempts := max(d.NumRetries, 1) // as Envoy has it
	if attempts > 10 {
		m.NotCarried(o, "a request is sent again 10 times at most", append(at, "numRetries")...)
	}
	return &spec.Retries{Attempts: spec.Written(min(attempts, 10)), On: spec.WrittenAll(on...)}
}
