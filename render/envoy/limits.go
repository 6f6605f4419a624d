package envoy

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Headers of a message are bounded by the first proxy that reads it: to 100 of them and 60 KiB, which are Envoy's own
// bounds. Each proxy adds some (who calls, claims of a token, what a route writes), and HTTP/2 counts four more than
// HTTP/1.1. So the next one takes more, and refuses nothing that the first let through.
const (
	firstHeadersKiB = 60
	nextHeadersKiB  = 192 // the claims of a token beside it, and what routes write
	nextHeaders     = 400
	outsideHeaders  = 200 // of an external's answer at an egress gateway
)

// behindAProxy has a connection manager take the headers of every request that the caller's proxy, or a gateway, lets
// through.
func behindAProxy(m *hcmv3.HttpConnectionManager) {
	m.MaxRequestHeadersKb = wrapperspb.UInt32(nextHeadersKiB)
	m.CommonHttpProtocolOptions.MaxHeadersCount = wrapperspb.UInt32(nextHeaders)
}

// throughAProxy has a cluster take the headers of every answer that the callee's proxy, or an egress gateway, lets
// through.
func throughAProxy(o *httpv3.HttpProtocolOptions) *httpv3.HttpProtocolOptions {
	common := commonOptions(o)
	common.MaxResponseHeadersKb, common.MaxHeadersCount = wrapperspb.UInt32(nextHeadersKiB),
		wrapperspb.UInt32(nextHeaders)
	return o
}

// fromOutside has a cluster take the headers of an external's answers. What is too much counts against the address
// that answered, as nobody in front of it can tell Envoy that the external is well. So it is much: no other proxy reads
// the answer behind a member's.
func (b *builder) fromOutside(o *httpv3.HttpProtocolOptions) *httpv3.HttpProtocolOptions {
	if b.scope.Gateway == nil {
		return throughAProxy(o)
	}
	towardsAProxy(o).CommonHttpProtocolOptions.MaxHeadersCount = wrapperspb.UInt32(outsideHeaders)
	return o
}

// towardsAProxy bounds the headers of the answers of a cluster that go on to another proxy. Of HTTP/1.1 Envoy takes 80
// KiB, which is more than it can send by HTTP/2.
func towardsAProxy(o *httpv3.HttpProtocolOptions) *httpv3.HttpProtocolOptions {
	commonOptions(o).MaxResponseHeadersKb = wrapperspb.UInt32(firstHeadersKiB)
	return o
}

// commonOptions are those that all versions of HTTP have.
func commonOptions(o *httpv3.HttpProtocolOptions) *corev3.HttpProtocolOptions {
	if o.CommonHttpProtocolOptions == nil {
		o.CommonHttpProtocolOptions = &corev3.HttpProtocolOptions{}
	}
	return o.CommonHttpProtocolOptions
}
