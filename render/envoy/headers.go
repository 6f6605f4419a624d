package envoy

import (
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/meshc/meshc/compiler/ir"
)

// editHeaders has a route change headers, as the first says and then as the next.
// Envoy removes before it adds.
func editHeaders(route *routev3.Route, by []*ir.Route) {
	for _, r := range by {
		h := &r.Headers
		route.RequestHeadersToAdd = append(route.RequestHeadersToAdd, headerValues(h.Request)...)
		route.RequestHeadersToRemove = append(route.RequestHeadersToRemove, h.Request.Remove...)
		route.ResponseHeadersToAdd = append(route.ResponseHeadersToAdd, headerValues(h.Response)...)
		route.ResponseHeadersToRemove = append(route.ResponseHeadersToRemove, h.Response.Remove...)
	}
}

func headerValues(e ir.HeaderEdits) []*corev3.HeaderValueOption {
	var out []*corev3.HeaderValueOption
	for _, list := range []struct {
		headers []ir.Header
		action  corev3.HeaderValueOption_HeaderAppendAction
	}{
		{e.Set, corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD},
		{e.Add, corev3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD},
	} {
		for _, h := range list.headers {
			out = append(out, &corev3.HeaderValueOption{
				Header:         &corev3.HeaderValue{Key: h.Name, Value: literal(h.Value)},
				AppendAction:   list.action,
				KeepEmptyValue: true,
			})
		}
	}
	return out
}

// overwriting is a header in the place of all of that name; none where the value comes to nothing.
func overwriting(name, value string) *corev3.HeaderValueOption {
	return &corev3.HeaderValueOption{
		Header:       &corev3.HeaderValue{Key: name, Value: value},
		AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	}
}

// literal is a value in which Envoy finds no command (Envoy, "Custom
// request/response headers").
func literal(value string) string { return strings.ReplaceAll(value, "%", "%%") }
