package istio

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
	networkingv1 "istio.io/api/networking/v1alpha3"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

// actions carries over what a route of Istio does.
func (b *binding) actions(i int, r *networkingv1.HTTPRoute, out *spec.Route) {
	if name := importer.Take(&r.Name); name != "" {
		out.Name = spec.Written(name)
	}
	if d := r.Timeout; d != nil && d.AsDuration() == 0 {
		out.Timeout = spec.Written(spec.NoLimit)
		r.Timeout = nil
	}
	duration(&out.Timeout, &r.Timeout)
	out.Retries = b.retries(r)
	out.Fault = fault(r.Fault)
	host := hostOf(r.Headers)
	out.Headers = headers(r.Headers)
	out.CORS = cors(r.CorsPolicy)
	b.mirror(i, r, out)
	rewrite(r.Rewrite, out)
	if host != "" && r.Redirect == nil && (out.Rewrite == nil || !out.Rewrite.Host.IsSet()) {
		if out.Rewrite == nil {
			out.Rewrite = &spec.Rewrite{}
		}
		out.Rewrite.Host = spec.Written(host)
	}
	redirect(r.Redirect, out)
	if d := importer.Take(&r.DirectResponse); d != nil {
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
				out.Delay = &spec.Delay{
					Percent: share,
					For:     spec.Written(importer.Duration(fixed.FixedDelay.AsDuration())),
				}
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
	value, before := importer.Take(p), importer.Take(old)
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
	if h.Request != nil {
		out.Request = edits(h.Request)
	}
	if h.Response != nil {
		out.Response = edits(h.Response)
	}
	if *out == (spec.Headers{}) {
		return nil
	}
	return out
}

// edits takes the edits of headers that the language has. A value of Istio's is a format of Envoy, and one with an
// operator, or of a pseudo-header, stays.
func edits(d *networkingv1.Headers_HeaderOperations) *spec.HeaderEdits {
	literal := func(in map[string]string) map[string]string {
		out := map[string]string{}
		for name, value := range in {
			if strings.HasPrefix(name, ":") || strings.EqualFold(name, "host") || operator.MatchString(value) {
				continue
			}
			out[name] = strings.ReplaceAll(value, "%%", "%")
			delete(in, name)
		}
		return out
	}
	return importer.Edits(literal(d.Set), literal(d.Add), importer.Take(&d.Remove))
}

// operator is a command operator of Envoy's, after what stands for a percent sign.
var operator = regexp.MustCompile(`(^|[^%])(%%)*%[A-Z_]+(\([^)]*\))?(:[0-9]+)?%`)

// hostOf takes the host that requests are given by an edit of a header, as Envoy rewrites it; "" for none.
func hostOf(h *networkingv1.Headers) string {
	set := h.GetRequest().GetSet()
	for _, name := range slices.Sorted(maps.Keys(set)) {
		value := set[name]
		if (name == ":authority" || strings.EqualFold(name, "host")) && !operator.MatchString(value) {
			delete(set, name)
			return value
		}
	}
	return ""
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
	out.Origins = append(out.Origins, spec.WrittenAll(importer.Take(&c.AllowOrigin)...)...)
	if out.Origins == nil {
		return nil
	}
	out.Methods = spec.WrittenAll(importer.Take(&c.AllowMethods)...)
	for _, name := range importer.Take(&c.AllowHeaders) {
		out.Headers = append(out.Headers, spec.Written(strings.ToLower(name)))
	}
	for _, name := range importer.Take(&c.ExposeHeaders) {
		out.ExposeHeaders = append(out.ExposeHeaders, spec.Written(strings.ToLower(name)))
	}
	duration(&out.MaxAge, &c.MaxAge)
	if yes := importer.Take(&c.AllowCredentials); yes != nil {
		out.Credentials = spec.Written(yes.Value)
	}
	if c.UnmatchedPreflights == networkingv1.CorsPolicy_FORWARD {
		c.UnmatchedPreflights = 0
	}
	return out
}

func (b *binding) mirror(i int, r *networkingv1.HTTPRoute, out *spec.Route) {
	//lint:ignore SA1019 it is still written
	to, share, old := importer.Take(&r.Mirror), r.MirrorPercentage, int32(importer.Take(&r.MirrorPercent).GetValue())
	at := []string{"spec", "http", strconv.Itoa(i), "mirror"}
	if to == nil && len(r.Mirrors) == 1 {
		to, share, at = r.Mirrors[0].Destination, r.Mirrors[0].Percentage, []string{
			"spec", "http", strconv.Itoa(i),
			"mirrors", "0", "destination",
		}
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
		b.NotCarried(b.object, importer.MirrorPort, at...)
		return
	}
	if d.Port.IsSet() {
		b.NotCarried(b.object, "a copy goes to the port that the request came for", append(at, "port")...)
	}
	out.Mirror = &spec.Mirror{Service: d.Service, Version: d.Version, Percent: percent(&share, &old)}
}
