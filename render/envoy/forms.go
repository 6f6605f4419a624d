package envoy

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	preservecasev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/header_formatters/preserve_case/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"

	"github.com/meshc/meshc/compiler/ir"
)

// takes has a connection manager take those forms of requests.
func (b *builder) takes(m *hcmv3.HttpConnectionManager, forms ir.Forms) {
	if forms.EncodedSlashes {
		m.PathWithEscapedSlashesAction = hcmv3.HttpConnectionManager_KEEP_UNCHANGED
	}
	switch forms.Underscores {
	case ir.UnderscoresDrop:
		m.CommonHttpProtocolOptions.HeadersWithUnderscoresAction = corev3.HttpProtocolOptions_DROP_HEADER
	case ir.UnderscoresAllow:
		m.CommonHttpProtocolOptions.HeadersWithUnderscoresAction = corev3.HttpProtocolOptions_ALLOW
	}
	m.HttpProtocolOptions.AcceptHttp_10 = forms.HTTP10
	if forms.HeaderCase {
		m.HttpProtocolOptions.HeaderKeyFormat = b.asReceived()
	}
}

// http1Towards are the options of HTTP/1.1 towards an upstream. With keepsCase requests to it, and its answers, keep
// the case of their headers, which is possible by HTTP/1.1 alone.
func (b *builder) http1Towards(keepsCase bool) *corev3.Http1ProtocolOptions {
	out := http1Upstream()
	if keepsCase {
		out.HeaderKeyFormat = b.asReceived()
	}
	return out
}

// byHTTP1 has requests to a cluster be sent by HTTP/1.1.
func byHTTP1(o *httpv3.HttpProtocolOptions, http1 *corev3.Http1ProtocolOptions) {
	o.UpstreamProtocolOptions = &httpv3.HttpProtocolOptions_ExplicitHttpConfig_{
		ExplicitHttpConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig{
			ProtocolConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_HttpProtocolOptions{
				HttpProtocolOptions: http1,
			},
		},
	}
}

// asReceived writes names of headers as they were read.
func (b *builder) asReceived() *corev3.Http1ProtocolOptions_HeaderKeyFormat {
	return &corev3.Http1ProtocolOptions_HeaderKeyFormat{
		HeaderFormat: &corev3.Http1ProtocolOptions_HeaderKeyFormat_StatefulFormatter{
			StatefulFormatter: &corev3.TypedExtensionConfig{
				Name: "preserve_case", TypedConfig: b.any(&preservecasev3.PreserveCaseFormatterConfig{}),
			},
		},
	}
}
