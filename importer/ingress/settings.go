package ingress

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

// prefix is that of the annotations of ingress-nginx.
const prefix = "nginx.ingress.kubernetes.io/"

// settings are what the annotations of an Ingress ask for.
type settings struct {
	nginx bool
	// left is set for an Ingress that is not carried over.
	left bool
	// redirects has requests without TLS redirected where a host has a certificate, and force everywhere.
	redirects, force bool
	// regex has all paths of its hosts be regular expressions.
	regex bool
	// sized is set where the bound of bodies is said.
	sized bool
	// protocol is what its backends speak: http, grpc or tls.
	protocol string
	// ranges are where its requests must come from, denied where they must not.
	ranges, denied []string
	// target replaces what a path matches; empty for no rewrite.
	target         string
	connectTimeout string
	route          spec.Route
}

// hasNginx reports whether an object has annotations of ingress-nginx.
func hasNginx(o *importer.Object) bool {
	return slices.ContainsFunc(slices.Collect(maps.Keys(o.Metadata.Annotations)), func(name string) bool {
		return strings.HasPrefix(name, prefix)
	})
}

// bounding are parts of the names of annotations, of any controller, that keep requests out.
var bounding = []string{
	"auth", "whitelist", "allowlist", "denylist", "limit-", "modsecurity", "snippet", "middleware", "waf", "acl",
	"inbound-cidrs", "satisfy", "ip-list", "allow-", "deny-", "blacklist", "plugins", "jwt", "policies", "conditions.",
	"security-groups", "methods", "tls.options",
}

// silent are annotations that say nothing about requests.
var silent = []string{"kubectl.kubernetes.io/", "kubernetes.io/ingress.class", "meta.helm.sh/", "argocd.argoproj.io/"}

// readSettings reads the annotations of an Ingress. Those that are not carried over are told, those that kept requests
// out as errors.
func readSettings(m *importer.Mesh, o *importer.Object, nginx bool) settings {
	out := settings{nginx: nginx, redirects: nginx}
	rest := maps.Clone(o.Metadata.Annotations)
	maps.DeleteFunc(rest, func(name, _ string) bool {
		return slices.ContainsFunc(silent, func(s string) bool { return strings.HasPrefix(name, s) })
	})
	r := &annotations{Mesh: m, object: o, rest: rest}
	if nginx {
		out.read(r)
	}
	for _, name := range slices.Sorted(maps.Keys(rest)) {
		switch plain := name[strings.Index(name, "/")+1:]; {
		case strings.HasPrefix(name, "cert-manager.io/"):
			r.note("cert-manager writes the Secret while the Ingress is there: have a Certificate write it", name)
		case slices.ContainsFunc(bounding, func(s string) bool { return strings.Contains(plain, s) }):
			m.LetsMore(o, "a gateway has nothing like it for some hosts alone, or meshc does not read it", "metadata",
				"annotations", name)
		default:
			r.note("meshc does not read it", name)
		}
	}
	return out
}

// annotations are those of an Ingress that are not taken yet.
type annotations struct {
	*importer.Mesh
	object *importer.Object
	rest   map[string]string
}

func (a *annotations) note(why, name string) {
	a.NotCarried(a.object, why, "metadata", "annotations", name)
}

// take takes an annotation of ingress-nginx; empty for none.
func (a *annotations) take(name string) string {
	value := a.rest[prefix+name]
	delete(a.rest, prefix+name)
	return value
}

// list takes one whose values have commas between them.
func (a *annotations) list(name string) []string {
	var out []string
	for _, text := range strings.Split(a.take(name), ",") {
		if text = strings.TrimSpace(text); text != "" {
			out = append(out, text)
		}
	}
	return out
}

// read reads the annotations of ingress-nginx.
func (s *settings) read(a *annotations) {
	s.redirects = a.take("ssl-redirect") != "false"
	s.force = a.take("force-ssl-redirect") == "true"
	s.target = a.take("rewrite-target")
	s.regex = a.take("use-regex") == "true" || s.target != ""
	if a.rest[prefix+"canary"] == "true" {
		s.left = true
		a.NotCarried(a.object, "its share of the requests goes where the others do: give the route a second destination with "+
			"a weight")
		clear(a.rest)
		return
	}
	a.take("canary")
	switch protocol := strings.ToUpper(a.take("backend-protocol")); protocol {
	case "", "HTTP", "AUTO_HTTP":
	case "GRPC":
		s.protocol = "grpc"
	case "HTTPS", "GRPCS":
		s.protocol = "tls"
	default:
		a.note("the language has nothing like "+protocol, prefix+"backend-protocol")
	}
	s.ranges = append(a.list("whitelist-source-range"), a.list("allowlist-source-range")...)
	s.denied = a.list("denylist-source-range")
	if host := a.take("upstream-vhost"); host != "" {
		s.route.Rewrite = &spec.Rewrite{Host: spec.Written(host)}
	}
	if seconds, ok := a.seconds("proxy-read-timeout"); ok {
		s.route.IdleTimeout = spec.Written(seconds)
	}
	if seconds, ok := a.seconds("proxy-send-timeout"); ok && seconds != s.route.IdleTimeout.Value {
		a.note("a route has one idleTimeout, that of proxy-read-timeout", prefix+"proxy-send-timeout")
	}
	if seconds, ok := a.seconds("proxy-connect-timeout"); ok {
		s.connectTimeout = seconds
	}
	if size, ok := a.rest[prefix+"proxy-body-size"]; ok {
		n, err := bytes(a.take("proxy-body-size"))
		switch s.sized = true; {
		case err != nil:
			a.LetsMore(a.object, fmt.Sprintf("%q is not a size", size), "metadata", "annotations", prefix+"proxy-body-size")
		case n > 0:
			s.route.MaxRequestBytes = spec.Written(min(n, 1<<30))
		}
	}
	s.readRedirect(a)
	s.readCORS(a)
}

// seconds takes a number of seconds as a duration of the language.
func (a *annotations) seconds(name string) (string, bool) {
	text := a.take(name)
	n, err := strconv.Atoi(strings.TrimSuffix(text, "s"))
	if text != "" && (err != nil || n < 1) {
		a.note(fmt.Sprintf("%q is not a number of seconds", text), prefix+name)
	}
	return importer.Duration(time.Duration(n) * time.Second), err == nil && n > 0
}

// bytes is a size in the notation of nginx.
func bytes(text string) (int, error) {
	unit := 1
	if n := len(text) - 1; n > 0 {
		switch text[n] {
		case 'k', 'K':
			text, unit = text[:n], 1<<10
		case 'm', 'M':
			text, unit = text[:n], 1<<20
		case 'g', 'G':
			text, unit = text[:n], 1<<30
		}
	}
	n, err := strconv.ParseInt(text, 10, 32)
	return int(n) * unit, err
}

// readRedirect reads a redirect of all requests of the Ingress.
func (s *settings) readRedirect(a *annotations) {
	for _, kind := range []struct {
		name string
		code int
	}{{"permanent-redirect", 301}, {"temporal-redirect", 302}} {
		code, text := kind.code, a.take(kind.name)
		if said := a.take(kind.name + "-code"); said != "" {
			code, _ = strconv.Atoi(said)
		}
		to, err := url.Parse(text)
		switch {
		case text == "":
			continue
		case err != nil || to.Host == "" || strings.Contains(text, "$") || to.RawQuery != "" || !slices.Contains(
			[]int{301, 302, 303, 307, 308}, code):
			a.note("it is not a redirect to one address", prefix+kind.name)
			s.left = true
			continue
		}
		r := &spec.Redirect{
			Scheme: spec.Written(to.Scheme), Host: spec.Written(to.Hostname()), Status: spec.Written(code),
			Path: spec.Written("/" + strings.TrimPrefix(to.Path, "/")),
		}
		if port, err := strconv.Atoi(to.Port()); err == nil {
			r.Port = spec.Written(port)
		}
		s.route.Redirect = r
	}
}

// readCORS reads which web pages may read the answers. What is not said is as in ingress-nginx.
func (s *settings) readCORS(a *annotations) {
	enabled := a.take("enable-cors") == "true"
	or := func(list, standard []string) []spec.Field[string] {
		if len(list) == 0 {
			list = standard
		}
		return spec.WrittenAll(list...)
	}
	var headers []string
	for _, name := range a.list("cors-allow-headers") {
		headers = append(headers, strings.ToLower(name))
	}
	out := &spec.CORS{
		Origins: or(a.list("cors-allow-origin"), []string{"*"}),
		Methods: or(a.list("cors-allow-methods"), []string{"GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"}),
		Headers: or(headers, []string{
			"dnt", "keep-alive", "user-agent", "x-requested-with", "if-modified-since", "cache-control", "content-type",
			"range", "authorization",
		}),
		ExposeHeaders: or(a.list("cors-expose-headers"), nil),
	}
	for i, f := range out.ExposeHeaders {
		out.ExposeHeaders[i] = spec.Written(strings.ToLower(f.Value))
	}
	all := slices.ContainsFunc(out.Origins, func(f spec.Field[string]) bool { return f.Value == "*" })
	if a.take("cors-allow-credentials") != "false" && !all { // browsers refuse credentials for all origins
		out.Credentials = spec.Written(true)
	}
	age, ok := a.seconds("cors-max-age")
	if !ok {
		age = "480h"
	}
	out.MaxAge = spec.Written(age)
	if enabled {
		s.route.CORS = out
	}
}

// give gives a route of a path what the annotations ask for.
func (s *settings) give(r *spec.Route, path string) {
	match, to := r.Match, r.To
	*r = s.route
	r.Match, r.To = match, to
	switch {
	case r.Redirect != nil:
		r.To, r.Rewrite, r.MaxRequestBytes, r.IdleTimeout = nil, nil, spec.Field[int]{}, spec.Field[string]{}
	case s.target != "":
		rewrite := &spec.Rewrite{Path: &spec.PathRewrite{Regex: &spec.RegexRewrite{
			Pattern:      spec.Written("^(?i)(?:" + path + ").*$"),
			Substitution: spec.Written(group0.ReplaceAllString(strings.ReplaceAll(s.target, `\`, `\\`), `\$1`)),
		}}}
		if r.Rewrite != nil {
			rewrite.Host = r.Rewrite.Host
		}
		r.Rewrite = rewrite
	}
}

// group0 are the groups of a match in what nginx puts in its place.
var group0 = regexp.MustCompile(`\$([0-9])`)

// connect bounds the opening of connections to services.
func (s *settings) connect(g *spec.Gateway, services []string) {
	for _, name := range services {
		if use := g.Uses[name]; use != nil && s.connectTimeout != "" {
			use.Connections = &spec.Connections{ConnectTimeout: spec.Written(s.connectTimeout)}
		}
	}
}
