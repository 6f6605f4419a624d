package envoy

import (
	"net/netip"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	aggregatev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/aggregate/v3"
	dnscommonv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/common/dns/v3"
	dnsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/dns/v3"
	caresv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/network/dns_resolver/cares/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const (
	caresResolver    = "envoy.network.dns_resolver.cares"
	dnsCluster       = "envoy.clusters.dns"
	aggregateCluster = "envoy.clusters.aggregate"

	// lookUpEvery is how often pods are looked up, and other names where their TTL is shorter or a look-up failed.
	lookUpEvery = 5 * time.Second
	// lookUpJitter keeps the clusters of one name apart, so that the first of them asks and the others find its answer.
	lookUpJitter = time.Second
	// answerKept is for how long the answer for one cluster is the answer for the others, in seconds.
	answerKept = 3
)

// resolver is what a proxy looks names up with. The ports of an external are clusters, each of which asks for itself:
// it keeps answers for long enough that one look-up serves all.
func (b *builder) resolver() *corev3.TypedExtensionConfig {
	return b.resolverOf(&caresv3.CaresDnsResolverConfig{QcacheMaxTtl: wrapperspb.UInt32(answerKept)})
}

func (b *builder) resolverOf(how *caresv3.CaresDnsResolverConfig) *corev3.TypedExtensionConfig {
	return &corev3.TypedExtensionConfig{Name: caresResolver, TypedConfig: b.any(how)}
}

// byTTL looks a name up when the TTL of its answer is over.
func byTTL() *dnsv3.DnsCluster {
	return &dnsv3.DnsCluster{RespectDnsTtl: true, DnsMinRefreshRate: durationpb.New(lookUpEvery)}
}

// byPods has a cluster look up the pods behind a headless Service. They come and go more often than TTLs in a cluster
// say.
func (b *builder) byPods(c *clusterv3.Cluster, host string, port uint16) {
	b.lookedUp(c, host, port, &dnsv3.DnsCluster{})
}

// byName has a cluster look a name up, of which each address is an instance, and keep the last addresses while there
// are none. Envoy keeps them where a name server fails; one that says that there is no such name, or no address,
// empties a cluster (envoyproxy/envoy#2691). So the cluster is one of two: that of the addresses, and behind it one
// that takes them all for one instance, which Envoy never empties.
func (b *builder) byName(c *clusterv3.Cluster, host string, port uint16) {
	if b.proxyless || isAddress(host) {
		b.lookedUp(c, host, port, byTTL())
		return
	}
	now, last := proto.Clone(c).(*clusterv3.Cluster), proto.Clone(c).(*clusterv3.Cluster)
	for part, p := range map[string]*clusterv3.Cluster{"now": now, "last": last} {
		p.Name = join(c.Name, part)
		p.AltStatName = statName(p.Name)
	}
	b.lookedUp(now, host, port, byTTL())
	// However few instances are healthy, all requests are theirs: not a share of them the other cluster's.
	now.LoadAssignment.Policy = &endpointv3.ClusterLoadAssignment_Policy{
		OverprovisioningFactor: wrapperspb.UInt32(1 << 30),
	}
	one := byTTL()
	one.AllAddressesInSingleEndpoint = true
	b.lookedUp(last, host, port, one)
	last.HealthChecks, last.OutlierDetection = nil, nil // there is no other instance
	c.ClusterDiscoveryType = b.clusterType(aggregateCluster,
		&aggregatev3.ClusterConfig{Clusters: []string{now.Name, last.Name}})
	c.LbPolicy, c.LbConfig, c.CommonLbConfig = clusterv3.Cluster_CLUSTER_PROVIDED, nil, nil
	c.TransportSocket, c.HealthChecks, c.OutlierDetection, c.UpstreamConnectionOptions = nil, nil, nil, nil
	b.out.Clusters = append(b.out.Clusters, now, last)
}

// lookedUp has a cluster look a name up; an address is taken as it is.
func (b *builder) lookedUp(c *clusterv3.Cluster, host string, port uint16, how *dnsv3.DnsCluster) {
	c.LoadAssignment = single(c.Name, address(host, port))
	switch {
	case isAddress(host):
		c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
	case b.proxyless: // gRPC knows no other look-up (gRFC A37)
		c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_LOGICAL_DNS}
		c.DnsLookupFamily = clusterv3.Cluster_V4_PREFERRED
	default:
		how.DnsLookupFamily = dnscommonv3.DnsLookupFamily_V4_PREFERRED
		how.DnsRefreshRate, how.DnsJitter = durationpb.New(lookUpEvery), durationpb.New(lookUpJitter)
		c.ClusterDiscoveryType = b.clusterType(dnsCluster, how)
	}
}

func (b *builder) clusterType(name string, config proto.Message) *clusterv3.Cluster_ClusterType {
	return &clusterv3.Cluster_ClusterType{ClusterType: &clusterv3.Cluster_CustomClusterType{
		Name:        name,
		TypedConfig: b.any(config),
	}}
}

func isAddress(host string) bool { _, err := netip.ParseAddr(host); return err == nil }
