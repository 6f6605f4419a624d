package envoy

import (
	"cmp"
	"slices"
	"strings"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/ir"
)

// byEDS lets the endpoints come as a resource of their own.
func (b *builder) byEDS(c *clusterv3.Cluster, callee *ir.Upstream, list []ir.Endpoint, port string) {
	c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS}
	source := ads()
	source.InitialFetchTimeout = durationpb.New(time.Second)
	c.EdsClusterConfig = &clusterv3.Cluster_EdsClusterConfig{EdsConfig: source}
	c.EdsClusterConfig.ServiceName = join(c.Name, b.contentHash(c))
	b.out.Endpoints = append(b.out.Endpoints, assignment(c.EdsClusterConfig.ServiceName, list, port, b.priorities(callee, list)))
}

// endpoints are the instances of a version, or all.
func endpoints(u *ir.Upstream, version string) []ir.Endpoint {
	if version == "" {
		return u.Workload.Endpoints
	}
	v := u.Version(version)
	var out []ir.Endpoint
	for _, e := range u.Workload.Endpoints {
		if v != nil && e.Carries(v) {
			out = append(out, e)
		}
	}
	return out
}

// locality is a zone, at that priority.
type locality struct {
	zone, region string
	priority     uint32
}

// assignment lists the addresses of endpoints on that port, by zone. Priorities
// are those of the endpoints, nil for one and the same. gRPC refuses a locality
// without an identity and passes over one without a weight.
func assignment(name string, list []ir.Endpoint, port string, priorities []uint32) *endpointv3.ClusterLoadAssignment {
	zones := map[locality]*endpointv3.LocalityLbEndpoints{}
	out := &endpointv3.ClusterLoadAssignment{ClusterName: name}
	for i, e := range list {
		at := locality{zone: e.Zone, region: e.Region}
		if priorities != nil {
			at.priority = priorities[i]
		}
		zone := zones[at]
		if zone == nil {
			zone = &endpointv3.LocalityLbEndpoints{
				Locality: &corev3.Locality{Zone: e.Zone, Region: e.Region}, LoadBalancingWeight: wrapperspb.UInt32(0), Priority: at.priority,
			}
			zones[at] = zone
			out.Endpoints = append(out.Endpoints, zone)
		}
		zone.LoadBalancingWeight.Value += max(1, e.Weight)
		health := corev3.HealthStatus_UNKNOWN // which is healthy
		if e.Unhealthy {
			health = corev3.HealthStatus_UNHEALTHY
		}
		zone.LbEndpoints = append(zone.LbEndpoints, &endpointv3.LbEndpoint{
			HealthStatus:        health,
			HostIdentifier:      &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: address(e.Address, e.Ports[port])}},
			LoadBalancingWeight: wrapperspb.UInt32(max(1, e.Weight)),
		})
	}
	slices.SortStableFunc(out.Endpoints, func(a, b *endpointv3.LocalityLbEndpoints) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), strings.Compare(a.GetLocality().GetZone(), b.GetLocality().GetZone()))
	})
	return out
}

// priorities are those of the endpoints of a callee for this proxy: 0 for the
// nearest, and no number is left out. Nil when the callee prefers none, or where
// the proxy is is not known.
func (b *builder) priorities(callee *ir.Upstream, list []ir.Endpoint) []uint32 {
	own := b.endpoint()
	if callee.Locality == nil || own == nil || own.InRegion() == "" {
		return nil
	}
	var distances, known []uint32
	for i := range list {
		d := callee.Locality.Distance(own, &list[i])
		distances, known = append(distances, d), append(known, d)
	}
	slices.Sort(known)
	known = slices.Compact(known)
	for i, d := range distances {
		distances[i] = uint32(slices.Index(known, d))
	}
	return distances
}

// single is one address.
func single(name string, a *corev3.Address) *endpointv3.ClusterLoadAssignment {
	return &endpointv3.ClusterLoadAssignment{ClusterName: name, Endpoints: []*endpointv3.LocalityLbEndpoints{{
		LbEndpoints: []*endpointv3.LbEndpoint{{HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: a}}}},
	}}}
}
