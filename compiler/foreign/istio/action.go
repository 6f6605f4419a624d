package istio

import (
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
	networkingv1 "istio.io/api/networking/v1alpha3"

	"github.com/meshc/meshc/compiler/foreign"
	"github.com/meshc/meshc/compiler/spec"
)

// actions carries over what a route of Istio does.
func (b *binding) actions(i int, r *networkingv1.HTTPRoute, out *spec.Route) {
	if name := foreign.Take(&r.Name); name != "" {
		out.Name = spec.Written(name)
	}
	if d := r.Timeout; d != nil && d.AsDuration() == 0 {
		b.NotCarried(b.object, "every request is bounded, by 15s where nothing is written", "spec", "http", strconv.Itoa(i), "timeout")
		r.Timeout = nil
	}
	duration(&out.Timeout, &r.Timeout)
	out.Retries = b.retries(r)
	out.Fault = fault(r.Fault)
	out.Headers = headers(r.Headers)
	out.CORS = cors(r.CorsPolicy)
	b.mirror(i, r, out)
	rewrite(r.Rewrite, out)
	redirect(r.Redirect, out)
	if d := foreign.Take(&r.DirectResponse); d != nil {
		out.DirectResponse = &spec.DirectResponse{Status: spec.Written(int(d.Status))}
		body := d.Body.GetString_() + string(d.Body.GetBytes())
		if body != "" {
			out.DirectResponse.Body = spec.Written(body)
		}
	}
	out.To = b.destinations(i, r.Route)
}

func fault(f *networkingv1.HTTPFaultInjection) *spec.Fault {
	if f == nil {
		return nil
	}
	out := &spec.Fault{}
	if d := f.Delay; d != nil {
		if fixed, ok := d.HttpDelayType.(*networkingv1.HTTPFaultInjection_Delay_FixedDelay); ok {
			//lint:ignore SA1019 it is still written
			none := d.Percentage == nil && d.Percent == 0 // "If not specified, no request will be delayed"
			//lint:ignore SA1019 it is still written
			share := percent(&d.Percentage, &d.Percent)
			if d.HttpDelayType = nil; !none {
				out.Delay = &spec.Delay{Percent: share, For: spec.Written(foreign.Duration(fixed.FixedDelay.AsDuration()))}
			}
		}
	}
	if a := f.Abort; a != nil {
		var old int32
		none := a.Percentage == nil // "If not specified, no request will be aborted"
		switch by := a.ErrorType.(type) {
		case *networkingv1.HTTPFaultInjection_Abort_HttpStatus:
			out.Abort = &spec.Abort{Status: spec.Written(int(by.HttpStatus)), Percent: percent(&a.Percentage, &old)}
			a.ErrorType = nil
		case *networkingv1.HTTPFaultInjection_Abort_GrpcStatus:
			var code codes.Code
			if code.UnmarshalJSON([]byte(strconv.Quote(by.GrpcStatus))) == nil && code != codes.OK {
				out.Abort = &spec.Abort{GRPCStatus: spec.Written(int(code)), Percent: percent(&a.Percentage, &old)}
				a.ErrorType = nil
			}
		}
		if none {
			out.Abort = nil
		}
	}
	if *out == (spec.Fault{}) {
		return nil
	}
	return out
}

// percent is a share of requests; not written for all of them.
func percent(p **networkingv1.Percent, old *int32) spec.Field[float64] {
	value, before := foreign.Take(p), foreign.Take(old)
	switch {
	case value != nil && value.Value != 100:
		return spec.Written(value.Value)
	case value == nil && before != 0 && before != 100:
		return spec.Written(float64(before))
	}
	return spec.Field[float64]{}
}

func headers(h *networkingv1.Headers) *spec.Headers {
	if h == nil {
		return nil
	}
	out := &spec.Headers{}
	if d := foreign.Take(&h.Request); d != nil {
		out.Request = foreign.Edits(d.Set, d.Add, d.Remove)
	}
	if d := foreign.Take(&h.Response); d != nil {
		out.Response = foreign.Edits(d.Set, d.Add, d.Remove)
	}
	if *out == (spec.Headers{}) {
		return nil
	}
	return out
}

func cors(c *networkingv1.CorsPolicy) *spec.CORS {
	if c == nil {
		return nil
	}
	out := &spec.CORS{}
	for _, origin := range c.AllowOrigins {
		if exact, ok := origin.MatchType.(*networkingv1.StringMatch_Exact); ok {
			out.Origins = append(out.Origins, spec.Written(exact.Exact))
			origin.MatchType = nil
		}
	}
	//lint:ignore SA1019 it is still written
	out.Origins = append(out.Origins, spec.WrittenAll(foreign.Take(&c.AllowOrigin)...)...)
	if out.Origins == nil {
		return nil
	}
	out.Methods = spec.WrittenAll(foreign.Take(&c.AllowMethods)...)
	for _, name := range foreign.Take(&c.AllowHeaders) {
		out.Headers = append(out.Headers, spec.Written(strings.ToLower(name)))
	}
	for _, name := range foreign.Take(&c.ExposeHeaders) {
		out.ExposeHeaders = append(out.ExposeHeaders, spec.Written(strings.ToLower(name)))
	}
	duration(&out.MaxAge, &c.MaxAge)
	if yes := foreign.Take(&c.AllowCredentials); yes != nil {
		out.Credentials = spec.Written(yes.Value)
	}
	if c.UnmatchedPreflights == networkingv1.CorsPolicy_FORWARD {
		c.UnmatchedPreflights = 0
	}
	return out
}

func (b *binding) mirror(i int, r *networkingv1.HTTPRoute, out *spec.Route) {
	//lint:ignore SA1019 it is still written
	to, share, old := foreign.Take(&r.Mirror), r.MirrorPercentage, int32(foreign.Take(&r.MirrorPercent).GetValue())
	at := []string{"spec", "http", strconv.Itoa(i), "mirror"}
	if to == nil && len(r.Mirrors) == 1 {
		to, share, at = r.Mirrors[0].Destination, r.Mirrors[0].Percentage, []string{"spec", "http", strconv.Itoa(i), "mirrors", "0", "destination"}
		r.Mirrors = nil
	}
	if r.MirrorPercentage = nil; to == nil {
		return
	}
	d := b.destination(to, at, "http")
	if d == nil {
		return
	}
	if b.at != nil && b.Services[d.Service.Value].PortsOfHTTP() > 1 {
		b.NotCarried(b.object, foreign.MirrorPort, at...)
		return
	}
	if d.Port.IsSet() {
		b.NotCarried(b.object, "a copy goes to the port that the request came for", append(at, "port")...)
	}
	out.Mirror = &spec.Mirror{Service: d.Service, Version: d.Version, Percent: percent(&share, &old)}
}

func rewrite(r *networkingv1.HTTPRewrite, out *spec.Route) {
	if r == nil {
		return
	}
	w := &spec.Rewrite{}
	if host := foreign.Take(&r.Authority); host != "" {
		w.Host = spec.Written(host)
	}
	if regex := foreign.Take(&r.UriRegexRewrite); regex != nil {
		w.Path = &spec.PathRewrite{Regex: &spec.RegexRewrite{Pattern: spec.Written(regex.Match), Substitution: spec.Written(regex.Rewrite)}}
	}
	if uri := foreign.Take(&r.Uri); uri != "" {
		if out.Match == nil || out.Match.Path == nil { // what all paths begin with
			if out.Match == nil {
				out.Match = &spec.Match{}
			}
			out.Match.Path = &spec.PathMatch{Prefix: spec.Written("/")}
		}
		if prefix, folded := foldedPrefix(out.Match.Path); folded {
			w.Path = &spec.PathRewrite{Regex: &spec.RegexRewrite{Pattern: spec.Written("^" + prefix), Substitution: spec.Written(uri)}}
		} else if p := out.Match.Path; p.Regex.IsSet() {
			w.Path = &spec.PathRewrite{Regex: &spec.RegexRewrite{Pattern: spec.Written("^.*$"), Substitution: spec.Written(uri)}}
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
	if scheme := foreign.Take(&r.Scheme); scheme != "" {
		d.Scheme = spec.Written(scheme)
	}
	if host := foreign.Take(&r.Authority); host != "" {
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
	if path := foreign.Take(&r.Uri); path != "" {
		d.Path = spec.Written(path)
	}
	if prefix := foreign.Take(&r.PrefixRewrite); prefix != "" {
		d.Prefix = spec.Written(prefix)
	}
	if code := r.RedirectCode; slices.Contains([]uint32{0, 301, 302, 303, 307, 308}, code) {
		if r.RedirectCode = 0; code != 0 && code != http.StatusMovedPermanently {
			d.Status = spec.Written(int(code))
		}
	}
	out.Redirect = d
}

// conditions are those of Envoy that the language has.
var conditions = []string{
	"5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "refused-stream",
	"retriable-4xx", "unavailable", "cancelled", "deadline-exceeded", "internal", "resource-exhausted",
}

// maxAttempts is how many retries the language has.
const maxAttempts = 10

func (b *binding) retries(r *networkingv1.HTTPRoute) *spec.Retries {
	d := r.Retries
	if d == nil {
		return nil
	}
	out := &spec.Retries{Attempts: spec.Written(int(min(d.Attempts, maxAttempts)))}
	if d.Attempts <= maxAttempts {
		d.Attempts = 0
	}
	duration(&out.PerTryTimeout, &d.PerTryTimeout)
	if base := d.Backoff; base != nil {
		out.Backoff = &spec.Backoff{}
		duration(&out.Backoff.Base, &d.Backoff)
	}
	var left []string
	for _, name := range strings.FieldsFunc(foreign.Take(&d.RetryOn), func(c rune) bool { return c == ',' || c == ' ' }) {
		if slices.Contains(conditions, name) {
			out.On = append(out.On, spec.Written(name))
		} else {
			left = append(left, name)
		}
	}
	d.RetryOn = strings.Join(left, ",")
	if out.On == nil && out.Attempts.Value > 0 {
		out.On = spec.WrittenAll("connect-failure", "refused-stream", "unavailable", "cancelled")
	}
	return out
}
