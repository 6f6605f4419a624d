package envoy

import (
	"slices"
	"time"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	tlsinspectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpproxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
)

const (
	hcmFilter            = "envoy.filters.network.http_connection_manager"
	tcpProxyFilter       = "envoy.filters.network.tcp_proxy"
	directResponseFilter = "envoy.filters.network.direct_response"
	routerFilter         = "envoy.filters.http.router"
	tlsInspectorFilter   = "envoy.filters.listener.tls_inspector"

	serverName = "meshc" // in the header "server" of a proxy's own answers

	headersTimeout = 10 * time.Second // from a request's first byte to the end of its headers
	maxStreams     = 1024             // requests at once on a connection
)

// connectionManager reads requests and normalises them before anything looks at
// them, so that one thing has one spelling: paths are decoded, dots and double
// slashes removed, and a path with an escaped slash, one that is not normal then,
// or a header with an underscore is refused (Envoy's edge best practices). Its routes are made by [normalRoutes].
func (b *builder) connectionManager(name string, filters ...*hcmv3.HttpFilter) *hcmv3.HttpConnectionManager {
	m := b.pathsAsWritten(name, filters...)
	makePathsNormal(m)
	return m
}

// pathsAsWritten reads requests as [builder.connectionManager] does, and leaves their paths as they are. It is for
// requests that go to externals alone: no rule and no route reads them, and "/b//k" is another object than "/b/k"
// there.
func (b *builder) pathsAsWritten(name string, filters ...*hcmv3.HttpFilter) *hcmv3.HttpConnectionManager {
	m := &hcmv3.HttpConnectionManager{
		StatPrefix: statName(name),
		CodecType:  hcmv3.HttpConnectionManager_AUTO,
		// What one proxy adds for itself is nobody else's business.
		HttpFilters: slices.Concat(filters,
			[]*hcmv3.HttpFilter{b.httpFilter(routerFilter, &routerv3.Router{SuppressEnvoyHeaders: true})}),
		LocalReplyConfig: &hcmv3.LocalReplyConfig{Mappers: []*hcmv3.ResponseMapper{noWholeServer(), lateRPCs()}},
		// The application says what it is.
		ServerName:                   serverName,
		ServerHeaderTransformation:   hcmv3.HttpConnectionManager_PASS_THROUGH,
		NormalizePath:                wrapperspb.Bool(false),
		PathWithEscapedSlashesAction: hcmv3.HttpConnectionManager_KEEP_UNCHANGED,
		StripTrailingHostDot:         true,
		// No caller is internal: x-envoy-* headers that would change the policy
		// are dropped wherever they come from.
		UseRemoteAddress: wrapperspb.Bool(true),
		SkipXffAppend:    true,
		// The proxy before this one said how the user came (x-forwarded-proto).
		XffNumTrustedHops:         1,
		InternalAddressConfig:     nobodyInternal(),
		PreserveExternalRequestId: true,
		RequestHeadersTimeout:     durationpb.New(headersTimeout),
		StreamIdleTimeout:         durationpb.New(idleTimeout),
		CommonHttpProtocolOptions: &corev3.HttpProtocolOptions{
			IdleTimeout:                  durationpb.New(idleTimeout),
			HeadersWithUnderscoresAction: corev3.HttpProtocolOptions_REJECT_REQUEST,
		},
		Http2ProtocolOptions: streamErrors(&corev3.Http2ProtocolOptions{
			MaxConcurrentStreams: wrapperspb.UInt32(maxStreams),
		}),
	}
	handsOn(m, filters)
	return m
}

// streamErrors has a malformed message of HTTP/2 end its own stream (RFC 9113, 8.1.1), and not the connection with all
// other streams on it, which are other callers' behind a gateway or a load balancer.
func streamErrors(o *corev3.Http2ProtocolOptions) *corev3.Http2ProtocolOptions {
	o.OverrideStreamErrorOnInvalidHttpMessage = wrapperspb.Bool(true)
	return o
}

// nobodyInternal names a range that no caller can have: with none, Envoy takes
// all private addresses and loopback for internal.
func nobodyInternal() *hcmv3.HttpConnectionManager_InternalAddressConfig {
	return &hcmv3.HttpConnectionManager_InternalAddressConfig{
		CidrRanges: []*corev3.CidrRange{{AddressPrefix: "255.255.255.255", PrefixLen: wrapperspb.UInt32(32)}},
	}
}

// routesByName lets a connection manager take its routes from a resource of
// their own, which a change of routes alone replaces without a new listener.
func (b *builder) routesByName(m *hcmv3.HttpConnectionManager, routes *routev3.RouteConfiguration) {
	m.RouteSpecifier = &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{
		ConfigSource:    ads(),
		RouteConfigName: routes.Name,
	}}
	b.out.Routes = append(b.out.Routes, routes)
}

func (b *builder) httpFilter(name string, config proto.Message) *hcmv3.HttpFilter {
	return &hcmv3.HttpFilter{Name: name, ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: b.any(config)}}
}

func (b *builder) networkFilter(name string, config proto.Message) *listenerv3.Filter {
	return &listenerv3.Filter{Name: name, ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: b.any(config)}}
}

// tcpProxy hands connections on to a callee or an external, and ends one on which nothing moves for that long.
func (b *builder) tcpProxy(name, cluster string, callee *ir.Upstream, idle ir.Duration,
	logs ...*accesslogv3.AccessLog,
) *listenerv3.Filter {
	p := connectionTo(name, cluster, idle)
	p.AccessLog = logs
	hashConnections(p, callee)
	return b.networkFilter(tcpProxyFilter, p)
}

// tcpProxyOnceKnown opens no connection before it knows who the caller is, whose proxy bounds how long it is idle.
func (b *builder) tcpProxyOnceKnown(name, cluster string, logs ...*accesslogv3.AccessLog) *listenerv3.Filter {
	p := connectionTo(name, cluster, boundByCaller)
	p.AccessLog = logs
	b.endsWithCertificates(p)
	p.UpstreamConnectMode = tcpproxyv3.UpstreamConnectMode_ON_DOWNSTREAM_TLS_HANDSHAKE
	p.MaxEarlyDataBytes = wrapperspb.UInt32(0) // the mode wants it written
	return b.networkFilter(tcpProxyFilter, p)
}

func connectionTo(name, cluster string, idle ir.Duration) *tcpproxyv3.TcpProxy {
	return &tcpproxyv3.TcpProxy{
		StatPrefix:       statName(name),
		ClusterSpecifier: &tcpproxyv3.TcpProxy_Cluster{Cluster: cluster},
		IdleTimeout:      duration(idle),
	}
}

// tlsInspector reads the SNI of a connection before a filter chain is chosen.
func (b *builder) tlsInspector() *listenerv3.ListenerFilter {
	return &listenerv3.ListenerFilter{
		Name:       tlsInspectorFilter,
		ConfigType: &listenerv3.ListenerFilter_TypedConfig{TypedConfig: b.any(&tlsinspectorv3.TlsInspector{})},
	}
}
