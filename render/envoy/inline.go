package envoy

import (
	"fmt"
	"slices"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpproxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	quicv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/quic/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/live"
)

// Inline puts resources into a bootstrap as static ones, so that an Envoy needs
// nobody to send them: routes go into their listeners, the endpoints that the spec says into their
// clusters, and secrets are named instead of asked for; the proxy's own certificate and
// trust come from files in any case. Own is the
// endpoint of the proxy; nil when it is not known. The arguments stay as they are.
func Inline(boot *bootstrapv3.Bootstrap, r *Resources, own *ir.Endpoint) (*bootstrapv3.Bootstrap, error) {
	out := proto.Clone(boot).(*bootstrapv3.Bootstrap)
	out.DynamicResources = nil
	if out.StaticResources == nil {
		out.StaticResources = &bootstrapv3.Bootstrap_StaticResources{}
	}
	in := inliner{
		routes:    map[string]*routev3.RouteConfiguration{},
		endpoints: map[string]*endpointv3.ClusterLoadAssignment{},
	}
	for _, route := range r.Routes {
		in.routes[route.Name] = route
	}
	for _, e := range Assignments(r.Discovered, own, live.Written) {
		in.endpoints[e.ClusterName] = e
	}
	for _, c := range r.Clusters {
		static, err := in.cluster(c)
		if err != nil {
			return nil, fmt.Errorf("cluster %s: %w", c.Name, err)
		}
		out.StaticResources.Clusters = append(out.StaticResources.Clusters, static)
	}
	for _, l := range r.Listeners {
		static, err := in.listener(l)
		if err != nil {
			return nil, fmt.Errorf("listener %s: %w", l.Name, err)
		}
		out.StaticResources.Listeners = append(out.StaticResources.Listeners, static)
	}
	for _, s := range r.Secrets {
		static := proto.Clone(s).(*tlsv3.Secret)
		// Static secrets are read once; watching is for those that are sent.
		if c := static.GetTlsCertificate(); c != nil {
			c.WatchedDirectory = nil
		}
		if c := static.GetValidationContext(); c != nil {
			c.WatchedDirectory = nil
		}
		if c := static.GetGenericSecret(); c != nil {
			c.Secret.WatchedDirectory = nil
		}
		out.StaticResources.Secrets = append(out.StaticResources.Secrets, static)
	}
	return out, nil
}

type inliner struct {
	routes    map[string]*routev3.RouteConfiguration
	endpoints map[string]*endpointv3.ClusterLoadAssignment
}

func (in inliner) cluster(c *clusterv3.Cluster) (*clusterv3.Cluster, error) {
	out := proto.Clone(c).(*clusterv3.Cluster)
	if eds := out.EdsClusterConfig; eds != nil {
		assignment := in.endpoints[eds.ServiceName]
		if assignment == nil {
			return nil, fmt.Errorf("no endpoints %s", eds.ServiceName)
		}
		out.EdsClusterConfig = nil
		out.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
		out.LoadAssignment = proto.Clone(assignment).(*endpointv3.ClusterLoadAssignment)
		out.LoadAssignment.ClusterName = out.Name
	}
	if err := replace(out.TypedExtensionProtocolOptions[httpOptionsName], staticCredentials); err != nil {
		return nil, err
	}
	return out, replace(out.GetTransportSocket().GetTypedConfig(), func(t *tlsv3.UpstreamTlsContext) error {
		return staticSecrets(t.CommonTlsContext)
	})
}

func (in inliner) listener(l *listenerv3.Listener) (*listenerv3.Listener, error) {
	out := proto.Clone(l).(*listenerv3.Listener)
	for _, chain := range out.FilterChains {
		if err := in.downstream(chain.GetTransportSocket()); err != nil {
			return nil, err
		}
		for _, filter := range chain.Filters {
			var err error
			switch filter.Name {
			case RevokedFilter:
				b := &builder{}
				filter.ConfigType = b.networkFilter(RevokedFilter, b.revokedRules(nil)).ConfigType
				err = b.err
			case hcmFilter:
				err = replace(filter.GetTypedConfig(), in.connectionManager)
			case tcpProxyFilter:
				err = replace(filter.GetTypedConfig(), func(p *tcpproxyv3.TcpProxy) error {
					p.AccessLog = withoutTaps(p.AccessLog)
					return nil
				})
			}
			if err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func (in inliner) downstream(s *corev3.TransportSocket) error {
	if s.GetName() == quicTransportSocket {
		return replace(s.GetTypedConfig(), func(t *quicv3.QuicDownstreamTransport) error {
			return staticSecrets(t.DownstreamTlsContext.CommonTlsContext)
		})
	}
	return replace(s.GetTypedConfig(), func(t *tlsv3.DownstreamTlsContext) error {
		return staticSecrets(t.CommonTlsContext)
	})
}

func (in inliner) connectionManager(m *hcmv3.HttpConnectionManager) error {
	m.AccessLog = withoutTaps(m.AccessLog)
	if err := staticClientSecrets(m); err != nil {
		return err
	}
	rds := m.GetRds()
	if rds == nil {
		return nil
	}
	routes := in.routes[rds.RouteConfigName]
	if routes == nil {
		return fmt.Errorf("no routes %s", rds.RouteConfigName)
	}
	routes = proto.Clone(routes).(*routev3.RouteConfiguration)
	routes.ValidateClusters = wrapperspb.Bool(true)
	m.RouteSpecifier = &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: routes}
	return nil
}

// staticSecrets names secrets of the bootstrap in place of those that are sent.
func staticSecrets(t *tlsv3.CommonTlsContext) error {
	for _, s := range append(slices.Clone(t.GetTlsCertificateSdsSecretConfigs()),
		t.GetValidationContextSdsSecretConfig(), t.GetCombinedValidationContext().
			GetValidationContextSdsSecretConfig()) {
		if s.GetSdsConfig().GetAds() != nil {
			s.SdsConfig = nil
		}
	}
	return nil
}

// replace changes the message that is packed in a; a may be nil.
func replace[M any, P interface {
	*M
	proto.Message
}](a *anypb.Any, change func(P) error,
) error {
	if a == nil {
		return nil
	}
	m := P(new(M))
	if err := a.UnmarshalTo(m); err != nil {
		return err
	}
	if err := change(m); err != nil {
		return err
	}
	return a.MarshalFrom(m)
}
