package envoy

import (
	"fmt"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	quicv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/quic/v3"

	"github.com/meshc/meshc/compiler/ir"
)

const quicTransportSocket = "envoy.transport_sockets.quic"

// http3 takes HTTP/3 on the UDP port for those listeners of the port that want it.
func (b *builder) http3(port uint16, list []*ir.Listener) {
	at := b.gatewayAddress(port)
	at.GetSocketAddress().Protocol = corev3.SocketAddress_UDP
	out := &listenerv3.Listener{
		Name: join(gatewayPort(port), "udp"), Address: at, TrafficDirection: corev3.TrafficDirection_INBOUND,
		UdpListenerConfig: &listenerv3.UdpListenerConfig{QuicOptions: &listenerv3.QuicProtocolOptions{}},
	}
	for _, l := range list {
		if !l.HTTP3 {
			continue
		}
		out.Metadata = positionMetadata(l.Pos)
		for _, from := range origins(l) {
			chain := &listenerv3.FilterChain{
				Name: join(gatewayName(l.Name), "udp"),
				TransportSocket: &corev3.TransportSocket{
					Name: quicTransportSocket,
					ConfigType: &corev3.TransportSocket_TypedConfig{
						TypedConfig: b.any(&quicv3.QuicDownstreamTransport{DownstreamTlsContext: b.edgeTLS(l.TLS,
							[]string{"h3"})}),
					},
				},
				Filters: []*listenerv3.Filter{b.networkFilter(hcmFilter, b.edge(l, hcmv3.HttpConnectionManager_HTTP3,
					from))},
			}
			if !slices.Contains(l.Hosts, "*") {
				chain.FilterChainMatch = &listenerv3.FilterChainMatch{ServerNames: l.Hosts}
			}
			comesFrom(chain, l, from)
			out.FilterChains = append(out.FilterChains, chain)
		}
	}
	if out.FilterChains != nil {
		b.out.Listeners = append(b.out.Listeners, out)
	}
}

// altSvc tells clients that the port speaks HTTP/3 (RFC 7838), for a day.
func altSvc(port uint16) []*corev3.HeaderValueOption {
	return []*corev3.HeaderValueOption{overwriting("alt-svc", fmt.Sprintf(`h3=":%d"; ma=86400`, port))}
}
