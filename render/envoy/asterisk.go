package envoy

import (
	"net/http"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
)

const (
	wholeServer     = "whole-server"
	wholeServerBody = "meshc: this proxy forwards requests for a path; OPTIONS * asks about the server as a whole\n"
)

// noWholeServer has the answer to "OPTIONS *" be 501. It asks about a server as a whole (RFC 9110, section 9.3.7), and
// rules and routes are about paths, so Envoy forwards it to nobody; an application would take Envoy's 404 for the
// callee's own answer.
func noWholeServer() *hcmv3.ResponseMapper {
	return &hcmv3.ResponseMapper{
		Filter: everyFilter(
			withStatus(accesslogv3.ComparisonFilter_EQ, http.StatusNotFound, "meshc.status"),
			withHeader(headerMatch(ir.StringMatch{Name: ":path", Kind: ir.MatchExact, Value: "*"})),
		),
		StatusCode:   wrapperspb.UInt32(http.StatusNotImplemented),
		Body:         &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: wholeServerBody}},
		HeadersToAdd: []*corev3.HeaderValueOption{overwriting(undeclaredHeader, wholeServer)},
	}
}
