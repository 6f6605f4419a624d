package envoy

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/source"
	"github.com/meshc/meshc/render/live"
)

const (
	connectTimeout  = time.Second
	idleTimeout     = time.Duration(ir.DefaultIdle)
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
	standsFor(c, calleeOf(callee), port, version)
	p := b.scope.Settings.Policy(use, &callee.Traffic)
	bounds := b.scope.Bounds(&p, use, port)
	connections(c, &bounds)
	b.connectInTime(c, callee.Name)
	c.CircuitBreakers = breakers(&bounds, b.retryBudget(callee.Name, &p))
	judged := outlierDetection(c, callee.Outliers, isUnanswered())
	b.balance(c, callee)
	healthChecks(c, callee, port)
	b.toProxies(c, callee, port, &bounds, judged)
	switch w := &callee.Workload; {
	case w.DNS != "":
		b.byName(c, w.DNS, port.Number)
	case w.InCluster() && !slices.Contains(b.options.Watched, callee.Name):
		b.byPods(c, b.scope.Settings.ClusterHost(callee, version), callee.InstancePort(port))
	default:
		if w.File != "" || w.InCluster() {
			mergeNothing(c)
		}
		// Envoy would else keep one that is gone for as long as it passes the checks.
		c.IgnoreHealthOnHostRemoval = w.InCluster() && len(c.HealthChecks) > 0
		b.byEDS(c, callee, port.Name, version)
	}
	b.out.Clusters = append(b.out.Clusters, c)
	return name
}

// toProxies says what is spoken to those of the callee, with whose identity, and by what an instance is judged; nil
// where it is by nothing.
func (b *builder) toProxies(c *clusterv3.Cluster, callee *ir.Upstream, port *ir.Port, bounds *ir.Bounds,
	judged *httpv3.HttpProtocolOptions_OutlierDetection,
) {
	switch {
	case b.proxyless:
		c.TransportSocket = b.proxylessTLS(callee)
	case port.Protocol.IsHTTP():
		alpn, options := "h2", b.renewed(throughAProxy(&httpv3.HttpProtocolOptions{}))
		if callee.Forms.HTTP1(port) {
			alpn = "http/1.1"
			byHTTP1(options, b.http1Towards(callee.Forms.KeepsCase(port)))
		}
		c.TransportSocket = b.upstreamTLS(callee, alpn)
		b.httpOptions(c, streamErrors(&corev3.Http2ProtocolOptions{}), bounds.IdleTimeout.Value,
			b.judge(options, judged, port.Protocol))
	default:
		c.TransportSocket = b.upstreamTLS(callee)
	}
}

// external adds the cluster of a port of an external and returns its name.
func (b *builder) external(e *ir.External, use *ir.Use, port *ir.Port) string {
	name := externalCluster(e, port.Name)
	if b.clusters[name] {
		return name
	}
	b.clusters[name] = true
	c := b.cluster(name, use.Pos)
	standsFor(c, e.Name, port, "")
	p := b.scope.Settings.Policy(use, &e.Traffic)
	bounds := b.scope.Bounds(&p, use, port)
	connections(c, &bounds)
	b.connectInTime(c, e.Name)
	c.CircuitBreakers = breakers(&bounds, budgetOf(&p))
	failed := isNone()
	if b.scope.GoesVia(e) {
		failed = isUnanswered()
	}
	judged := outlierDetection(c, e.Outliers, failed)
	if b.scope.GoesVia(e) {
		b.via(c, e, port, bounds.IdleTimeout.Value, judged)
		b.out.Clusters = append(b.out.Clusters, c)
		return name
	}
	if port.Protocol.IsHTTP() {
		var filters []*hcmv3.HttpFilter
		if b.leadsAnywhere(e) {
			filters = b.forbiddenRequests(e.Local)
		}
		options := b.fromOutside(&httpv3.HttpProtocolOptions{
			UpstreamHttpProtocolOptions: severalHosts(e, port), HttpFilters: filters,
		})
		if b.member.Proxy.Requests.KeepsCase(port) {
			byHTTP1(options, b.http1Towards(true))
		}
		b.httpOptions(c, http2Where(port), bounds.IdleTimeout.Value, b.judge(options, judged, port.Protocol))
	}
	if port.Protocol == ir.HTTPS {
		c.TransportSocket = b.originatedTLS(e, "http/1.1")
	}
	switch {
	case len(e.Endpoints) > 0:
		c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
		c.LoadAssignment = assignment(name, live.Healthy(e.Endpoints), port.Name, nil)
	case b.looksUpWhatIsAsked(e):
		b.dynamic(c, e, port)
	default:
		b.byName(c, e.Hosts[0], port.Target)
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
		Metadata:       positionMetadata(pos),
	}
}

// httpOptions says which HTTP is spoken to the cluster: HTTP/2, or HTTP/1.1 where
// that is nil. Requests pass the options' filters once their upstream is chosen.
func (b *builder) httpOptions(c *clusterv3.Cluster, http2 *corev3.Http2ProtocolOptions, idle ir.Duration,
	options *httpv3.HttpProtocolOptions,
) {
	explicit := &httpv3.HttpProtocolOptions_ExplicitHttpConfig{
		ProtocolConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_HttpProtocolOptions{
			HttpProtocolOptions: http1Upstream(),
		},
	}
	if http2 != nil {
		explicit.ProtocolConfig = &httpv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{
			Http2ProtocolOptions: http2,
		}
	}
	commonOptions(options).IdleTimeout = duration(idle)
	if options.UpstreamProtocolOptions == nil {
		options.UpstreamProtocolOptions = &httpv3.HttpProtocolOptions_ExplicitHttpConfig_{ExplicitHttpConfig: explicit}
	}
	c.TypedExtensionProtocolOptions = map[string]*anypb.Any{httpOptionsName: b.any(options)}
}

// http2Where is for ports whose own protocol is spoken.
func http2Where(port *ir.Port) *corev3.Http2ProtocolOptions {
	if !port.Protocol.Multiplexed() {
		return nil
	}
	return streamErrors(&corev3.Http2ProtocolOptions{})
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
