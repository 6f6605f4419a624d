package envoy

import (
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	internallistenerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/bootstrap/internal_listener/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/manifest"
)

// Bootstrap is what an Envoy starts with. With delivery xds it asks meshc serve
// for the rest; with delivery static it has every resource.
func Bootstrap(scope ir.Scope, o Options) (*bootstrapv3.Bootstrap, error) {
	b := newBuilder(scope, o)
	boot := &bootstrapv3.Bootstrap{
		Node: &corev3.Node{
			Id:      NodeID(b.member.Kind, b.member.Name, o.Instance),
			Cluster: b.member.QualifiedName(),
		},
		Admin:          &bootstrapv3.Admin{Address: address(b.loopback, b.member.Proxy.AdminPort)},
		LayeredRuntime: runtime(),
		StatsConfig:    statsConfig(scope.Buckets()),
		// For all clusters, which so look a name up once.
		TypedDnsResolverConfig: b.resolver(),
	}
	if scope.Gateway != nil && scope.Gateway.Egress != nil { // where listeners within the proxy may be
		boot.BootstrapExtensions = []*corev3.TypedExtensionConfig{{
			Name:        internalListeners,
			TypedConfig: b.any(&internallistenerv3.InternalListener{}),
		}}
	}
	if scope.Settings.Delivery == ir.DeliveryStatic {
		r, err := Build(scope, o)
		if err != nil {
			return nil, err
		}
		if boot, err = Inline(boot, r, b.endpoint); err != nil {
			return nil, err
		}
		b.pushes(boot)
		return boot, b.err
	}
	server, err := b.server()
	if err != nil {
		return nil, err
	}
	boot.StaticResources = &bootstrapv3.Bootstrap_StaticResources{Clusters: []*clusterv3.Cluster{server}}
	boot.DynamicResources = &bootstrapv3.Bootstrap_DynamicResources{
		AdsConfig: &corev3.ApiConfigSource{
			ApiType:             corev3.ApiConfigSource_DELTA_GRPC,
			TransportApiVersion: corev3.ApiVersion_V3,
			GrpcServices: []*corev3.GrpcService{{TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{
				EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: serverCluster, RetryPolicy: reconnect()},
			}}},
			SetNodeOnFirstMessageOnly: true,
		},
		CdsConfig: ads(),
		LdsConfig: ads(),
	}
	b.reports(boot)
	b.pushes(boot)
	b.revokedRuntime(boot)
	b.tapRuntime(boot)
	b.leverRuntime(boot)
	return boot, b.err
}

const internalListeners = "envoy.bootstrap.internal_listener"

// reconnect is how soon a proxy looks again for a server that was away: within 5
// seconds, where Envoy's default is 30.
func reconnect() *corev3.RetryPolicy {
	return &corev3.RetryPolicy{RetryBackOff: &corev3.BackoffStrategy{
		BaseInterval: durationpb.New(500 * time.Millisecond), MaxInterval: durationpb.New(5 * time.Second),
	}}
}

// regexProgram is how large the program of a regular expression may be. Envoy's
// own bound of 100 refuses what the language allows; RE2 bounds its memory itself.
const regexProgram = 1 << 20

// runtime are the settings of Envoy that stand in no resource.
func runtime() *bootstrapv3.LayeredRuntime {
	return &bootstrapv3.LayeredRuntime{Layers: []*bootstrapv3.RuntimeLayer{{
		Name: "meshc",
		LayerSpecifier: &bootstrapv3.RuntimeLayer_StaticLayer{
			StaticLayer: &structpb.Struct{Fields: map[string]*structpb.Value{
				"re2.max_program_size.error_level": structpb.NewNumberValue(regexProgram),
				// A connection to a listener that changed is ended after its next answer.
				// Left to the strategy of the server (--drain-strategy gradual), Envoy 1.40
				// tells the client nothing, and cuts it off when the time is over.
				"envoy.reloadable_features.filter_chain_drain_uses_configured_strategy": structpb.NewBoolValue(false),
			}},
		},
	}}}
}

// server is the cluster of meshc serve: mutual TLS with the proxy's own
// certificate, accepting the identity of the mesh's server alone.
func (b *builder) server() (*clusterv3.Cluster, error) {
	host, portText, err := net.SplitHostPort(b.member.Proxy.Server)
	if err != nil {
		return nil, fmt.Errorf("server %q: %w", b.member.Proxy.Server, err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("server %q: %w", b.member.Proxy.Server, err)
	}
	c := b.cluster(serverCluster, b.scope.Settings.Pos)
	c.Metadata = nil
	b.lookedUp(c, host, uint16(port), byTTL())
	c.UpstreamConnectionOptions = &clusterv3.UpstreamConnectionOptions{TcpKeepalive: &corev3.TcpKeepalive{
		KeepaliveTime: wrapperspb.UInt32(30), KeepaliveInterval: wrapperspb.UInt32(10),
		KeepaliveProbes: wrapperspb.UInt32(3),
	}}
	c.TypedExtensionProtocolOptions = map[string]*anypb.Any{httpOptionsName: b.any(&httpv3.HttpProtocolOptions{
		UpstreamProtocolOptions: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_{
			ExplicitHttpConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig{
				ProtocolConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{
					Http2ProtocolOptions: &corev3.Http2ProtocolOptions{
						ConnectionKeepalive: &corev3.KeepaliveSettings{
							Interval: durationpb.New(30 * time.Second),
							Timeout:  durationpb.New(10 * time.Second),
						},
					},
				},
			},
		},
	})}
	c.TransportSocket = b.transportSocket(b.byFiles(b.scope.Settings.ServerIdentity(), serverCluster))
	return c, nil
}

// byFiles is mutual TLS of the bootstrap: to that identity alone, with certificate and roots from files.
func (b *builder) byFiles(id spiffeid.ID, sni string) *tlsv3.UpstreamTlsContext {
	return &tlsv3.UpstreamTlsContext{
		Sni: sni,
		CommonTlsContext: &tlsv3.CommonTlsContext{
			TlsParams:     meshParameters(),
			AlpnProtocols: []string{"h2"},
			// By files, so that a renewed certificate is taken for the next connection.
			TlsCertificateSdsSecretConfigs: []*tlsv3.SdsSecretConfig{b.identityConfig()},
			ValidationContextType: &tlsv3.CommonTlsContext_CombinedValidationContext{
				CombinedValidationContext: &tlsv3.CommonTlsContext_CombinedCertificateValidationContext{
					DefaultValidationContext: &tlsv3.CertificateValidationContext{
						MatchTypedSubjectAltNames: []*tlsv3.SubjectAltNameMatcher{{
							SanType: tlsv3.SubjectAltNameMatcher_URI,
							Matcher: exactly(id),
						}},
					},
					ValidationContextSdsSecretConfig: fromFile(secretTrust, b.member.Proxy.CertificateDirectory,
						trustResource),
				},
			},
		},
	}
}

// YAML writes a bootstrap as Envoy reads it, with its fields in Envoy's own
// spelling.
func YAML(boot *bootstrapv3.Bootstrap) ([]byte, error) {
	data, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(boot)
	if err != nil {
		return nil, err
	}
	return manifest.YAML(json.RawMessage(data))
}
