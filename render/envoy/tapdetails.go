package envoy

import (
	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
)

// What a tap shows of a request besides its line, where an operator asks for it: another log, that another key of the
// runtime turns on, so that no header and no query string leaves a proxy that is tapped without them.
const (
	// TapDetails is the field of lines with details, whose value is "true".
	TapDetails = "tap.details"
	// TapQuery is the field of the query string, and TapHeader begins those of headers.
	TapQuery, TapHeader = "url.query", "http.request.header."
)

// TapHeaders are the headers that a tap can show. Any other one may hold credentials, or say who a user is: a list of
// those that do would never be complete.
var TapHeaders = []string{
	"accept", "accept-encoding", "accept-language", "access-control-request-method", "cache-control", "content-encoding",
	"content-length", "content-type", "expect", "grpc-timeout", "if-match", "if-modified-since", "if-none-match",
	"origin", "range", "te", "traceparent", "transfer-encoding", "upgrade", "user-agent", "via", "x-forwarded-for",
	"x-forwarded-proto",
}

// TapDetailsKey turns on the lines of a kind with details, as [TapKey] those without.
func TapDetailsKey(kind string) string { return TapKey(kind) + " " + TapDetails }

// tapDetails is the log of requests that pass the filters, with details.
func (b *builder) tapDetails(m measured, which []*accesslogv3.AccessLogFilter) *accesslogv3.AccessLog {
	l := append(b.requestLine(m, false), logField{TapDetails, "true"}, logField{TapQuery, "%QUERY_PARAMS(ORIG)" + maxLogged + "%"})
	for _, name := range TapHeaders {
		l = append(l, logField{TapHeader + name, "%REQ(" + name + "):256%"})
	}
	return b.tap(l, append([]*accesslogv3.AccessLogFilter{whenRuntime(TapDetailsKey(m.kind))}, which...))
}
