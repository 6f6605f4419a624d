package envoy

import (
	"strings"
	"time"

	commonv1 "go.opentelemetry.io/proto/otlp/common/v1"
)

// reportTimeout is how long a collector has to take a report.
const reportTimeout = 5 * time.Second

// maxLogged bounds what a line has of something that a caller chooses, in bytes.
const maxLogged = ":1024"

// line is what is logged of a request or connection, in order. What a caller chooses stands last: in text only the end
// of a line tells where it ends.
type line []logField

// logField has its name, of OpenTelemetry's semantic conventions where it has one and as in metrics otherwise, and a
// format string of Envoy. A line has no header but what names the request: headers hold credentials.
type logField struct{ name, value string }

// requestLine is that of a request.
func (b *builder) requestLine(m measured, query bool) line {
	path := "%PATH(NQ:PATH)" + maxLogged + "%"
	if query {
		path = "%PATH(WQ:PATH)" + maxLogged + "%"
	}
	out := append(b.lineOf(m),
		logField{"http.response.status_code", "%RESPONSE_CODE%"},
		logField{"rpc.grpc.status_code", "%GRPC_STATUS_NUMBER%"},
	)
	out = append(out, ended(flagsInWords)...)
	out = append(out,
		logField{"details", "%RESPONSE_CODE_DETAILS%"},
		logField{"request.bytes", "%BYTES_RECEIVED%"}, logField{"response.bytes", "%BYTES_SENT%"},
		logField{"time.received", "%REQUEST_DURATION%"}, logField{"time.connect", connectedAfter},
		logField{"time.first_byte", "%RESPONSE_DURATION%"}, logField{"time.last_byte", "%DURATION%"},
		logField{"trace.id", "%TRACE_ID%"}, logField{"request.id", "%REQ(X-REQUEST-ID):36%"},
		logField{"network.protocol", "%PROTOCOL%"},
		logField{"http.request.method", "%REQ(:METHOD):32%"},
		logField{"server.address", "%REQ(:AUTHORITY):255%"},
	)
	return append(out, logField{"url.path", path})
}

// connectionLine is that of a connection below HTTP.
func (b *builder) connectionLine(m measured) line {
	out := append(b.lineOf(m), ended(causeOfEnd)...)
	return append(out,
		logField{"details", "%CONNECTION_TERMINATION_DETAILS%"},
		logField{"received.bytes", "%BYTES_RECEIVED%"}, logField{"sent.bytes", "%BYTES_SENT%"},
		logField{"time.connect", connectedAfter}, logField{"time.last_byte", "%DURATION%"},
	)
}

// connectedAfter is how long the connection to the other side took to open, in milliseconds; nothing where one was
// open.
const connectedAfter = "%COMMON_DURATION(US_CX_BEG:US_CX_END:ms)%"

// ended is how it ended: Envoy's response flags and the cause in words, why no connection to the other side came about,
// the tries, and the instance of the last.
func ended(cause string) line {
	return line{
		{"flags", "%RESPONSE_FLAGS%"},
		{"error.type", cause},
		{"failure", "%UPSTREAM_TRANSPORT_FAILURE_REASON%"},
		{"attempts", "%UPSTREAM_REQUEST_ATTEMPT_COUNT%"},
		{"upstream", "%UPSTREAM_HOST%"},
	}
}

// lineOf is what lines of requests and connections have alike: who called whom, and what decided, with its place in the
// spec. Both identities are those of certificates.
func (b *builder) lineOf(m measured) line {
	out := line{
		{"time", "%START_TIME%"},
		{"kind", m.kind},
		{"caller", m.caller},
		{"callee", m.callee},
		{"server.port", m.port},
		{"client.address", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"},
	}
	route := "%METADATA(ROUTE:" + metadataNamespace + ":" + metadataSource + ")%"
	switch m.kind {
	case clientHTTP:
		if m.rules != "" {
			out = append(out, logField{"rule", "%DYNAMIC_METADATA(" + m.rules + ":" + decidingRule + ")%"})
		}
		return append(out, logField{"callee.identity", upstreamIdentity},
			logField{"service.version", clusterSays(metadataVersion)}, logField{"http.route", "%ROUTE_NAME%"},
			logField{"source", route})
	case clientTCP:
		return append(out, logField{"callee.identity", upstreamIdentity},
			logField{"service.version", clusterSays(metadataVersion)}, logField{"source", clusterSays(metadataSource)})
	}
	out = append(out, logField{"callee.identity", b.member.Identity.String()})
	if m.rules != "" {
		out = append(out, logField{"rule", "%DYNAMIC_METADATA(" + m.rules + ":" + decidingRule + ")%"})
	}
	if m.kind == serverHTTP {
		return append(out, logField{"source", route})
	}
	return append(out, logField{"source", clusterSays(metadataSource)})
}

// upstreamIdentity is the SPIFFE ID in the certificate of the other side.
const upstreamIdentity = "%UPSTREAM_PEER_URI_SAN%"

// text is the line as NAME=VALUE. Names of rules and routes, and reasons, have blanks: they stand in quotes.
func (l line) text() string {
	var out []string
	for _, f := range l {
		if f.name == "time" {
			out = append(out, f.value)
			continue
		}
		switch f.name {
		case "rule", "http.route", "failure", "details", "source":
			out = append(out, f.name+`="`+f.value+`"`)
		default:
			out = append(out, f.name+"="+f.value)
		}
	}
	return strings.Join(out, " ") + "\n"
}

// attributes are the line as those of a record of OpenTelemetry, which has a time of its own.
func (l line) attributes() *commonv1.KeyValueList {
	out := &commonv1.KeyValueList{}
	for _, f := range l {
		if f.name != "time" {
			out.Values = append(out.Values, keyValue(f.name, f.value))
		}
	}
	return out
}

// summary is the line in short, for the body of a record of OpenTelemetry.
func (l line) summary() string {
	var out []string
	for _, f := range l {
		switch f.name {
		case "callee", "http.response.status_code", "error.type", "http.request.method", "url.path":
			out = append(out, f.value)
		}
	}
	return strings.Join(out, " ")
}
