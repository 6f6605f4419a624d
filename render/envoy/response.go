package envoy

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/meshc/meshc/compiler/ir"
)

// directResponse answers from the proxy itself.
func directResponse(r *ir.DirectResponse) *routev3.DirectResponseAction {
	out := &routev3.DirectResponseAction{Status: uint32(r.Status)}
	if r.Body != "" {
		out.Body = &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: r.Body}}
	}
	return out
}
