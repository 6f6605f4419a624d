package envoy

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Headers of a message are bounded by the first proxy that reads it: to 100 of them and 60 KiB, which are Envoy's own bounds.
// Each proxy adds some (who calls, claims of a token, what a route writes), and HTTP/2 counts four more than HTTP/1.1. So the
// next one takes more, and refuses nothing that the first let through.
const (
	firstHeadersKiB = 60
	nextHeadersKiB  = 192 // the claims of a token beside it, and what routes write
	nextHeaders     = 400
)

// behindAProxy has a connection manager take the headers of every request that the caller's proxy, or a gateway, lets through.
func behindAProxy(m *hcmv3.HttpConnectionManager) {
	m.MaxRequestHeadersKb = wrapperspb.UInt32(nextHeadersKiB)
	m.CommonHttpProtocolOptions.MaxHeadersCount = wrapperspb.UInt32(nextHeaders)
}

// throughAProxy has a cluster take the headers of every answer that the callee's proxy, or an egress gateway, lets through.
func (b *builder) throughAProxy(c *clusterv3.Cluster) {
	b.common(c, func(o *corev3.HttpProtocolOptions) {
		o.MaxResponseHeadersKb, o.MaxHeadersCount = wrapperspb.UInt32(nextHeadersKiB), wrapperspb.UInt32(nextHeaders)
	})
}

// towardsAProxy bounds the headers of the answers of a cluster that go on to another proxy. Of HTTP/1.1 Envoy takes 80 KiB, which
// is more than it can send by HTTP/2.
func (b *builder) towardsAProxy(c *clusterv3.Cluster) {
	b.common(c, func(o *corev3.HttpProtocolOptions) { o.MaxResponseHeadersKb = wrapperspb.UInt32(firstHeadersKiB) })
}

// common changes the options of a cluster that all versions of HTTP have.
func (b *builder) common(c *clusterv3.Cluster, change func(*corev3.HttpProtocolOptions)) {
	o := &httpv3.HttpProtocolOptions{}
	if err := c.TypedExtensionProtocolOptions[httpOptionsName].UnmarshalTo(o); err != nil && b.err == nil {
		b.err = err
		return
	}
	if o.CommonHttpProtocolOptions == nil {
		o.CommonHttpProtocolOptions = &corev3.HttpProtocolOptions{}
	}
	change(o.CommonHttpProtocolOptions)
	c.TypedExtensionProtocolOptions[httpOptionsName] = b.any(o)
}
