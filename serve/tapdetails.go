package serve

import (
	"errors"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/secret"
	"github.com/meshc/meshc/render/envoy"
)

// detailed reports whether more is asked for than a line of the access log has.
func (r *TapRequest) detailed() bool { return r.Headers || r.Query }

// view is a line as this operator is shown it: with the details that were asked for, and without those that nobody may
// see, whatever a proxy sends.
func (r *TapRequest) view(e *TapEvent) *TapEvent {
	out := *e
	out.Fields = maps.Clone(e.Fields)
	delete(out.Fields, envoy.TapDetails)
	maps.DeleteFunc(out.Fields, func(name, _ string) bool {
		header, is := strings.CutPrefix(name, envoy.TapHeader)
		return is && !(r.Headers && slices.Contains(envoy.TapHeaders, header))
	})
	if query, some := out.Fields[envoy.TapQuery]; some {
		delete(out.Fields, envoy.TapQuery)
		if r.Query {
			out.Fields[envoy.TapQuery] = withoutSecrets(query)
		}
	}
	return &out
}

// withoutSecrets is a query string with [secret.Redacted] for the values of parameters that are secret by their names,
// or look like a secret.
func withoutSecrets(query string) string {
	return parameter.ReplaceAllStringFunc(query, func(p string) string {
		written, _, _ := strings.Cut(p, "=")
		name, err := url.QueryUnescape(written)
		whole, err2 := url.QueryUnescape(p)
		if errors.Join(err, err2) == nil && !secret.Named(name) && secret.Find(whole) == "" {
			return p
		}
		if secret.Find(name) != "" {
			return secret.Redacted
		}
		return written + "=" + secret.Redacted
	})
}

// parameter is one of a query string.
var parameter = regexp.MustCompile(`[^&;]+`)
