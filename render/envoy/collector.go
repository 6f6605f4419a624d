package envoy

import (
	"path"
	"slices"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	injectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/credential_injector/v3"
	codecv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/upstream_codec/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	genericv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/injected_credentials/generic/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/live"
)

const (
	injectorFilter    = "envoy.filters.http.credential_injector"
	genericCredential = "envoy.http.injected_credentials.generic" // #nosec G101 -- a name of Envoy's
)

// collected reports whether there is a collector that the proxy may ask. In a stage of a change there may be none.
func (b *builder) collected() bool {
	switch c := b.scope.Settings.Collector; {
	case c == nil:
		return false
	case c.External:
		return b.scope.Externals[c.To] != nil && b.scope.Externals[c.To].Port(c.Port) != nil
	default:
		return b.scope.Upstreams[c.To] != nil && b.scope.Upstreams[c.To].Port(c.Port) != nil
	}
}

// collector asks the mesh's collector; a report that it does not take in time is dropped.
func (b *builder) collector() *corev3.GrpcService {
	c := b.scope.Settings.Collector
	var cluster, authority string
	if c.External {
		e := b.scope.Externals[c.To]
		cluster, authority = b.externalCollector(e, e.Port(c.Port)), e.Hosts[0]
	} else {
		callee := b.scope.Upstreams[c.To]
		cluster, authority = b.upstream(callee, b.use(c.To), callee.Port(c.Port), ""), callee.Name
	}
	return &corev3.GrpcService{
		Timeout: durationpb.New(reportTimeout),
		TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{
			ClusterName: cluster, Authority: authority, SkipEnvoyHeaders: true,
		}},
	}
}

// externalCollector is the cluster of a collector outside the mesh. Over TLS it speaks HTTP/2 there, which the requests
// to a port of protocol "https" do not.
func (b *builder) externalCollector(e *ir.External, port *ir.Port) string {
	if port.Protocol != ir.HTTPS {
		return b.external(e, b.use(e.Name), port)
	}
	name := externalCluster(e, join(port.Name, "collector"))
	if b.clusters[name] {
		return name
	}
	over := *port
	over.Name, over.Protocol = join(port.Name, "collector"), ir.GRPC
	b.external(e, b.use(e.Name), &over)
	c := b.out.Clusters[len(b.out.Clusters)-1]
	c.TransportSocket = b.originatedTLS(e, "h2")
	if len(e.Endpoints) > 0 { // which know the port by its own name
		c.LoadAssignment = assignment(name, live.Healthy(e.Endpoints), port.Name, nil)
	}
	b.showHeaders(c)
	return name
}

// showHeaders has the requests to the collector carry its headers, whose values Envoy reads from files. The cluster is
// the collector's own: what applications send to the same external does not have them.
func (b *builder) showHeaders(c *clusterv3.Cluster) {
	headers := b.scope.Settings.Collector.Headers
	if len(headers) == 0 {
		return
	}
	var filters []*hcmv3.HttpFilter
	for i := range headers {
		h := &headers[i]
		secret := headerSecret(h.Name)
		b.out.Secrets = append(b.out.Secrets, b.secretValue(secret, &h.SecretValue))
		filters = append(filters, b.httpFilter(injectorFilter, &injectorv3.CredentialInjector{
			Overwrite: true,
			Credential: &corev3.TypedExtensionConfig{Name: genericCredential, TypedConfig: b.any(&genericv3.Generic{
				Credential: secretConfig(secret), Header: h.Name,
			})},
		}))
	}
	err := replace(c.TypedExtensionProtocolOptions[httpOptionsName], func(o *httpv3.HttpProtocolOptions) error {
		if len(o.HttpFilters) == 0 {
			o.HttpFilters = []*hcmv3.HttpFilter{b.httpFilter(upstreamCodecFilter, &codecv3.UpstreamCodec{})}
		}
		o.HttpFilters = slices.Insert(o.HttpFilters, len(o.HttpFilters)-1, filters...) // the codec is the last
		return nil
	})
	if b.err == nil {
		b.err = err
	}
}

// secretValue is the secret with a value that the mesh does not have: a file, which Envoy watches.
func (b *builder) secretValue(name string, v *ir.SecretValue) *tlsv3.Secret {
	dir := path.Join(b.member.Proxy.SecretDirectory, v.Secret)
	value := file(path.Join(dir, v.Key))
	value.WatchedDirectory = &corev3.WatchedDirectory{Path: dir}
	return &tlsv3.Secret{Name: name, Type: &tlsv3.Secret_GenericSecret{
		GenericSecret: &tlsv3.GenericSecret{Secret: value},
	}}
}

// staticCredentials names secrets of the bootstrap in place of those that are sent.
func staticCredentials(o *httpv3.HttpProtocolOptions) error {
	for _, f := range o.HttpFilters {
		if f.Name != injectorFilter {
			continue
		}
		err := replace(f.GetTypedConfig(), func(i *injectorv3.CredentialInjector) error {
			return replace(i.Credential.TypedConfig, func(g *genericv3.Generic) error {
				g.Credential.SdsConfig = nil
				return nil
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}
