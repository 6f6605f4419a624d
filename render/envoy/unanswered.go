package envoy

import (
	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	matchv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/matcher/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	celv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/filters/cel/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/meshc/meshc/compiler/ir"
)

// unansweredHeader is in the answer of a proxy in front of an application, where it answers in the application's place
// because none came from there. Its value says what became of the request, in the words of the conditions on which
// requests are sent again. It is between proxies alone: each takes it out of what it hands on, so an application
// cannot write it, and none gets it.
const (
	unansweredHeader = "x-meshc-unanswered"
	unansweredStatus = "x-meshc-unanswered-status" // beside it for gRPC

	unconnected   = "connect-failure" // the application did not get the request
	overloaded    = "overloaded"      // nor this one: it has as many connections as its service lets it have
	refusedStream = "refused-stream"  // the application gave the request back unread
	brokenOff     = "reset"           // the application may have done what was asked

	// A stream of HTTP/2 that was reset is told with the bytes that came on it: a reset of the application has 13.
	// Where none count the application has answered, and its own proxy has reset the stream because the answer has too
	// many headers: no flag and no detail tells the two apart.
	resetStream    = brokenOff + "-" + received
	received       = "%UPSTREAM_WIRE_BYTES_RECEIVED%"
	tooManyHeaders = brokenOff + "-0"
	resetByOther   = brokenOff + "(-[1-9][0-9]*)?" // or anything that is no stream
)

// tellsUnanswered has a proxy say that its own answers stand for one that did not come.
func (b *builder) tellsUnanswered(m *hcmv3.HttpConnectionManager, spoken ir.Protocol) {
	status := ""
	if spoken.Multiplexed() {
		status = "%GRPC_STATUS_NUMBER%" // nothing, of requests that are not of gRPC
	}
	m.LocalReplyConfig.Mappers = append(m.LocalReplyConfig.Mappers,
		unanswered(unconnected, status, withFlags("UF", "UH", "NC", "OM")),
		unanswered(overloaded, status, withFlags("UO")),
		unanswered(refusedStream, status, b.withDetails("remote_refused_stream_reset")),
		unanswered(brokenOff, status, withFlags("UC", "UT", "LR")),
	)
	if spoken.Multiplexed() {
		// Of gRPC Envoy counts by the status: no bytes are 0, which is no failure, and 13 of them 1313, which is no
		// status that anything is sent again for.
		m.LocalReplyConfig.Mappers = append(m.LocalReplyConfig.Mappers,
			unanswered(resetStream, received+received, everyFilter(withFlags("UR"), ofGRPC())),
			unanswered(resetStream, "", withFlags("UR")),
		)
	}
}

// unanswered tells what became of the requests of a filter, and with which status for gRPC, unless that is empty.
func unanswered(what, status string, filter *accesslogv3.AccessLogFilter) *hcmv3.ResponseMapper {
	out := &hcmv3.ResponseMapper{Filter: filter, HeadersToAdd: []*corev3.HeaderValueOption{
		overwriting(unansweredHeader, what),
	}}
	if status != "" {
		out.HeadersToAdd = append(out.HeadersToAdd, overwriting(unansweredStatus, status))
	}
	return out
}

// withDetails takes in what has these words in the details of its response code: no flag tells a stream that was
// refused from others that were reset.
func (b *builder) withDetails(words string) *accesslogv3.AccessLogFilter {
	return &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_ExtensionFilter{
		ExtensionFilter: &accesslogv3.ExtensionFilter{
			Name: "envoy.access_loggers.extension_filters.cel",
			ConfigType: &accesslogv3.ExtensionFilter_TypedConfig{TypedConfig: b.any(&celv3.ExpressionFilter{
				Expression: `response.code_details.contains("` + words + `")`,
			})},
		},
	}}
}

// onUnanswered matches the answers that stand for none, where the conditions send a request again. A stream that was
// refused is sent again whatever is written.
func onUnanswered(on []ir.RetryCondition) []*routev3.HeaderMatcher {
	has := map[string]bool{refusedStream: true}
	for _, condition := range on {
		switch condition {
		case "connect-failure", "reset-before-request":
			has[unconnected], has[overloaded] = true, true
		case "reset", "5xx", "gateway-error": // each takes in every reset
			has[unconnected], has[overloaded], has[brokenOff] = true, true, true
		}
	}
	var out []*routev3.HeaderMatcher
	for _, v := range sortedKeys(has) {
		match := ir.StringMatch{Name: unansweredHeader, Kind: ir.MatchExact, Value: v}
		if v == brokenOff {
			match.Kind, match.Value = ir.MatchRegex, resetByOther
		}
		out = append(out, headerMatch(match))
	}
	return out
}

// isUnanswered takes in the answers that stand for one that did not come. An instance that is well but busy is not
// ejected: the others would have its requests besides their own.
func isUnanswered() *matchv3.MatchPredicate {
	matchers := []*routev3.HeaderMatcher{{
		Name: unansweredHeader, HeaderMatchSpecifier: &routev3.HeaderMatcher_PresentMatch{PresentMatch: true},
	}}
	for _, no := range []string{tooManyHeaders, overloaded} {
		other := headerMatch(ir.StringMatch{Name: unansweredHeader, Kind: ir.MatchExact, Value: no})
		other.InvertMatch = true
		matchers = append(matchers, other)
	}
	return &matchv3.MatchPredicate{Rule: &matchv3.MatchPredicate_HttpResponseHeadersMatch{
		HttpResponseHeadersMatch: &matchv3.HttpHeadersMatch{Headers: matchers},
	}}
}

// isNone is for those who tell nobody why there is no answer.
func isNone() *matchv3.MatchPredicate {
	return &matchv3.MatchPredicate{Rule: &matchv3.MatchPredicate_NotMatch{
		NotMatch: &matchv3.MatchPredicate{Rule: &matchv3.MatchPredicate_AnyMatch{AnyMatch: true}},
	}}
}
