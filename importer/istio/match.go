package istio

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	networkingv1 "istio.io/api/networking/v1alpha3"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

// match takes what a route can tell requests apart by; nil for all requests. What it leaves cannot be said.
func (b *binding) match(d *networkingv1.HTTPMatchRequest) *spec.Match {
	out := &spec.Match{}
	written := false
	if name := d.Name; name != "" {
		d.Name = "" // of the match; the route has its own
	}
	if uri := d.Uri; uri.GetMatchType() != nil && sayable(uri) {
		out.Path, written, d.Uri = path(uri, d.IgnoreUriCase), true, nil
	}
	if d.Uri.GetMatchType() == nil {
		d.Uri, d.IgnoreUriCase = nil, false
	}
	if method, ok := d.Method.GetMatchType().(*networkingv1.StringMatch_Exact); ok &&
		method.Exact == strings.ToUpper(method.Exact) {
		out.Method, d.Method, written = spec.Written(method.Exact), nil, true
	}
	if port := b.onlyPort(); port != 0 && d.Port == port {
		d.Port = 0
	}
	if host, ok := d.Authority.GetMatchType().(*networkingv1.StringMatch_Exact); ok && b.at != nil &&
		!strings.Contains(host.Exact, "*") {
		out.Host, d.Authority, written = spec.Written(host.Exact), nil, true
	}
	if d.Headers != nil || d.WithoutHeaders != nil {
		out.Headers, written = map[string]*spec.StringMatch{}, true
	}
	for _, name := range slices.Sorted(maps.Keys(d.Headers)) {
		if !headerName.MatchString(name) { // a claim, or a pseudo-header
			return out
		}
		out.Headers[strings.ToLower(name)] = text(d.Headers[name])
	}
	for _, name := range slices.Sorted(maps.Keys(d.WithoutHeaders)) {
		if !headerName.MatchString(name) {
			return out
		}
		if _, both := out.Headers[strings.ToLower(name)]; both {
			return out // a header is matched once
		}
		without := text(d.WithoutHeaders[name])
		if without.Present.IsSet() {
			without.Present = spec.Written(false)
		} else {
			without.Invert = spec.Written(true)
		}
		out.Headers[strings.ToLower(name)] = without
	}
	d.Headers, d.WithoutHeaders = nil, nil
	if query := importer.Take(&d.QueryParams); query != nil {
		out.Query, written = map[string]*spec.StringMatch{}, true
		for _, name := range slices.Sorted(maps.Keys(query)) {
			out.Query[name] = text(query[name])
		}
	}
	if !written {
		return nil
	}
	return out
}

// headerName is the name of a header of HTTP.
var headerName = regexp.MustCompile(`^[A-Za-z0-9!#$&'*+.^_|~-]+$`)

// onlyPort is the port that every request comes for; 0 when there is more than one.
func (b *binding) onlyPort() uint32 {
	ports := map[int]bool{}
	if b.service != nil {
		for _, p := range b.service.Spec.Ports {
			ports[p.Port.Value] = true
		}
	} else {
		for _, s := range b.at.servers {
			ports[s.listener.Port.Value] = true
		}
	}
	if len(ports) != 1 {
		return 0
	}
	for port := range ports {
		return uint32(port)
	}
	return 0
}

// sayable reports whether a path is one that requests may have.
func sayable(m *networkingv1.StringMatch) bool {
	switch by := m.MatchType.(type) {
	case *networkingv1.StringMatch_Exact:
		return strings.HasPrefix(by.Exact, "/")
	case *networkingv1.StringMatch_Prefix:
		return strings.HasPrefix(by.Prefix, "/")
	}
	return true
}

func path(m *networkingv1.StringMatch, ignoreCase bool) *spec.PathMatch {
	out := &spec.PathMatch{}
	switch by := m.MatchType.(type) {
	case *networkingv1.StringMatch_Exact:
		out.Exact = spec.Written(by.Exact)
		if ignoreCase {
			return &spec.PathMatch{Regex: spec.Written("(?i)" + regexp.QuoteMeta(by.Exact))}
		}
	case *networkingv1.StringMatch_Prefix:
		out.Prefix = spec.Written(by.Prefix)
		if ignoreCase {
			return &spec.PathMatch{Regex: spec.Written("(?i)" + regexp.QuoteMeta(by.Prefix) + ".*")}
		}
	case *networkingv1.StringMatch_Regex:
		out.Regex = spec.Written(by.Regex) // ignoreUriCase is for the other two
	}
	return out
}

// text matches a header or a query parameter; a match that says nothing wants it to be there.
func text(m *networkingv1.StringMatch) *spec.StringMatch {
	out := &spec.StringMatch{}
	switch by := m.GetMatchType().(type) {
	case *networkingv1.StringMatch_Exact:
		out.Exact = spec.Written(by.Exact)
	case *networkingv1.StringMatch_Prefix:
		out.Prefix = spec.Written(by.Prefix)
	case *networkingv1.StringMatch_Regex:
		out.Regex = spec.Written(by.Regex)
	}
	if (*out == spec.StringMatch{} || (out.Exact.IsSet() || out.Prefix.IsSet() || out.Regex.IsSet()) &&
		out.Exact.Value+out.Prefix.Value+out.Regex.Value == "") {
		return &spec.StringMatch{Present: spec.Written(true)}
	}
	return out
}
