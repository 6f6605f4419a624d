package envoy

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
)

// The bounds of every upstream, as the schema's comments give them.
const (
	connectTimeout  = time.Second
	idleTimeout     = time.Hour
	maxConnections  = 1024
	httpOptionsName = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
)

// upstream adds the cluster of a callee's port, or of one of its versions there,
// and returns its name. The budget bounds its retries.
func (b *builder) upstream(callee *ir.Upstream, use *ir.Use, port *ir.Port, version string) string {
	name := upstreamCluster(callee, port.Name, version)
	if b.clusters[name] {
		return name
	}
	b.clusters[name] = true
	c := b.cluster(name, use.Pos)
	c.CircuitBreakers = breakers(b.retryBudget(callee, use))
	c.OutlierDetection = outlierDetection()
	switch {
	case b.proxyless:
		c.TransportSocket = b.proxylessTLS(callee)
	case port.Protocol.IsHTTP():
		c.TransportSocket = b.upstreamTLS(callee, "h2")
		b.httpOptions(c, true)
	default:
		c.TransportSocket = b.upstreamTLS(callee)
	}
	switch w := &callee.Workload; {
	case w.DNS != "":
		b.byDNS(c, w.DNS, port.Number)
	case w.Deployment != "":
		b.byDNS(c, callee.ClusterHost(version), callee.InstancePort(port))
	default:
		b.byEDS(c, endpoints(callee, version), port.Name)
	}
	b.out.Clusters = append(b.out.Clusters, c)
	return name
}

// external adds the cluster of a port of an external and returns its name.
func (b *builder) external(e *ir.External, use *ir.Use, port *ir.Port) string {
	name := externalCluster(e, port.Name)
	if b.clusters[name] {
		return name
	}
	b.clusters[name] = true
	c := b.cluster(name, use.Pos)
	p := ir.Nearest(use.Traffic, e.Traffic, b.scope.Settings.Defaults)
	c.CircuitBreakers = breakers(budget{p.BudgetPercent.Value, p.MinConcurrency.Value})
	c.OutlierDetection = outlierDetection()
	if port.Protocol.IsHTTP() {
		b.httpOptions(c, port.Protocol.Multiplexed())
	}
	if port.Protocol == ir.HTTPS {
		c.TransportSocket = b.originatedTLS(e, "http/1.1")
	}
	if len(e.Endpoints) > 0 {
		c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
		c.LoadAssignment = assignment(name, e.Endpoints, port.Name)
	} else {
		b.byDNS(c, e.Hosts[0], port.Number)
	}
	b.out.Clusters = append(b.out.Clusters, c)
	return name
}

// application adds the cluster of the service's own application on that port.
func (b *builder) application(port *ir.Port) string {
	name := inboundName(port.Name)
	c := b.cluster(name, port.Pos)
	c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
	c.LoadAssignment = single(name, address(b.loopback, b.target(port)))
	// The callers' breakers bound what comes in; these are out of the way.
	c.CircuitBreakers = &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{{
		MaxConnections: wrapperspb.UInt32(1 << 30), MaxPendingRequests: wrapperspb.UInt32(1 << 30),
		MaxRequests: wrapperspb.UInt32(1 << 30), MaxRetries: wrapperspb.UInt32(0),
	}}}
	if port.Protocol.IsHTTP() {
		b.httpOptions(c, port.Protocol.Multiplexed())
	}
	b.out.Clusters = append(b.out.Clusters, c)
	return name
}

func (b *builder) cluster(name string, pos source.Position) *clusterv3.Cluster {
	return &clusterv3.Cluster{
		Name:           name,
		AltStatName:    statName(name),
		ConnectTimeout: durationpb.New(connectTimeout),
		LbPolicy:       clusterv3.Cluster_LEAST_REQUEST,
		Metadata:       from(pos),
	}
}

// byDNS looks the host up every 5 seconds, which is Envoy's default.
func (b *builder) byDNS(c *clusterv3.Cluster, host string, port uint16) {
	c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STRICT_DNS}
	if b.proxyless { // gRPC knows no other lookup (gRFC A37)
		c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_LOGICAL_DNS}
	}
	c.DnsLookupFamily = clusterv3.Cluster_V4_PREFERRED
	c.LoadAssignment = single(c.Name, address(host, port))
}

// httpOptions says which HTTP is spoken to the cluster.
func (b *builder) httpOptions(c *clusterv3.Cluster, multiplexed bool) {
	explicit := &httpv3.HttpProtocolOptions_ExplicitHttpConfig{
		ProtocolConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_HttpProtocolOptions{HttpProtocolOptions: &corev3.Http1ProtocolOptions{}},
	}
	if multiplexed {
		explicit.ProtocolConfig = &httpv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{Http2ProtocolOptions: &corev3.Http2ProtocolOptions{}}
	}
	c.TypedExtensionProtocolOptions = map[string]*anypb.Any{httpOptionsName: b.any(&httpv3.HttpProtocolOptions{
		CommonHttpProtocolOptions: &corev3.HttpProtocolOptions{IdleTimeout: durationpb.New(idleTimeout)},
		UpstreamProtocolOptions:   &httpv3.HttpProtocolOptions_ExplicitHttpConfig_{ExplicitHttpConfig: explicit},
	})}
}

// breakers bound what a proxy has open to an upstream. Retries are bounded by
// a share of the requests in flight.
func breakers(retries budget) *clusterv3.CircuitBreakers {
	return &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{{
		MaxConnections:     wrapperspb.UInt32(maxConnections),
		MaxPendingRequests: wrapperspb.UInt32(maxConnections),
		MaxRequests:        wrapperspb.UInt32(maxConnections),
		RetryBudget: &clusterv3.CircuitBreakers_Thresholds_RetryBudget{
			BudgetPercent:       &typev3.Percent{Value: retries.percent},
			MinRetryConcurrency: wrapperspb.UInt32(retries.minConcurrency),
		},
	}}}
}

// outlierDetection ejects by errors in a row alone: by statistics Envoy would too,
// unless told not to.
func outlierDetection() *clusterv3.OutlierDetection {
	return &clusterv3.OutlierDetection{
		Consecutive_5Xx:      wrapperspb.UInt32(5),
		Interval:             durationpb.New(10 * time.Second),
		BaseEjectionTime:     durationpb.New(30 * time.Second),
		MaxEjectionPercent:   wrapperspb.UInt32(10),
		EnforcingSuccessRate: wrapperspb.UInt32(0),
	}
}

// contentHash is a short hash of a cluster. It is part of the name under which
// the cluster's endpoints are asked for: an Envoy that is sent a changed cluster
// asks for the endpoints again only if that name changed, and would else wait
// for them in vain.
func (b *builder) contentHash(c *clusterv3.Cluster) string {
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(c)
	if err != nil && b.err == nil {
		b.err = err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:4])
}
