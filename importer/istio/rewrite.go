package istio

import (
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"

	networkingv1 "istio.io/api/networking/v1alpha3"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

func rewrite(r *networkingv1.HTTPRewrite, out *spec.Route) {
	if r == nil {
		return
	}
	w := &spec.Rewrite{}
	if host := importer.Take(&r.Authority); host != "" {
		w.Host = spec.Written(host)
	}
	if regex := importer.Take(&r.UriRegexRewrite); regex != nil {
		w.Path = &spec.PathRewrite{Regex: &spec.RegexRewrite{
			Pattern:      spec.Written(regex.Match),
			Substitution: spec.Written(regex.Rewrite),
		}}
	}
	if uri := importer.Take(&r.Uri); uri != "" {
		if out.Match == nil || out.Match.Path == nil { // what all paths begin with
			if out.Match == nil {
				out.Match = &spec.Match{}
			}
			out.Match.Path = &spec.PathMatch{Prefix: spec.Written("/")}
		}
		if prefix, folded := foldedPrefix(out.Match.Path); folded {
			w.Path = &spec.PathRewrite{Regex: &spec.RegexRewrite{
				Pattern:      spec.Written("^" + prefix),
				Substitution: spec.Written(uri),
			}}
		} else if p := out.Match.Path; p.Regex.IsSet() {
			w.Path = &spec.PathRewrite{Regex: &spec.RegexRewrite{
				Pattern:      spec.Written("^.*$"),
				Substitution: spec.Written(uri),
			}}
		} else {
			w.Path = &spec.PathRewrite{Prefix: spec.Written(uri)}
		}
	}
	out.Rewrite = w
}

// foldedPrefix is the pattern of a prefix whose case does not matter, as [path] makes it.
func foldedPrefix(p *spec.PathMatch) (string, bool) {
	prefix, ok := strings.CutSuffix(p.Regex.Value, ".*")
	return prefix, ok && strings.HasPrefix(prefix, "(?i)")
}

func redirect(r *networkingv1.HTTPRedirect, out *spec.Route) {
	if r == nil {
		return
	}
	d := &spec.Redirect{}
	if scheme := importer.Take(&r.Scheme); scheme != "" {
		d.Scheme = spec.Written(scheme)
	}
	if host := importer.Take(&r.Authority); host != "" {
		d.Host = spec.Written(host)
		if name, number, err := net.SplitHostPort(host); err == nil {
			if n, err := strconv.Atoi(number); err == nil {
				d.Host, d.Port = spec.Written(name), spec.Written(n)
			}
		}
	}
	if port, ok := r.RedirectPort.(*networkingv1.HTTPRedirect_Port); ok {
		d.Port, r.RedirectPort = spec.Written(int(port.Port)), nil
	}
	if path := importer.Take(&r.Uri); path != "" {
		d.Path = spec.Written(path)
	}
	if prefix := importer.Take(&r.PrefixRewrite); prefix != "" {
		d.Prefix = spec.Written(prefix)
	}
	if code := r.RedirectCode; slices.Contains([]uint32{0, 301, 302, 303, 307, 308}, code) {
		if r.RedirectCode = 0; code != 0 && code != http.StatusMovedPermanently {
			d.Status = spec.Written(int(code))
		}
	}
	out.Redirect = d
}
