package envoy

import (
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpproxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/meshc/meshc/compiler/ir"
)

// renewed has connections to a member end in their time: the caller's proxy sends no more requests by them and waits
// for the answers, so none is lost.
func (b *builder) renewed(o *httpv3.HttpProtocolOptions) *httpv3.HttpProtocolOptions {
	common := commonOptions(o)
	common.MaxConnectionDuration = duration(b.scope.Life.Requests)
	common.MaxConnectionDurationJitter = &typev3.Percent{Value: ir.LifeJitter}
	return o
}

// endsOld has the proxy that is called end connections whose callers do not: it announces the end, and takes no more
// requests after a while.
func (b *builder) endsOld(m *hcmv3.HttpConnectionManager) {
	m.CommonHttpProtocolOptions.MaxConnectionDuration = duration(2 * b.scope.Life.Requests)
}

// endsWithCertificates closes a connection below HTTP once no certificate that it began with can be valid.
func (b *builder) endsWithCertificates(p *tcpproxyv3.TcpProxy) {
	if life := b.scope.Life.Bytes; life > 0 {
		p.MaxDownstreamConnectionDuration = duration(life)
	}
}
