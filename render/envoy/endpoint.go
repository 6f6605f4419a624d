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
	"github.com/meshc/meshc/render/live"
)

// Discovered is a cluster whose endpoints are assigned by EDS, and change without it.
type Discovered struct {
	// Name is the one by which the assignment is asked for.
	Name string
	// Callee is the service that is called; the instances are those of Version, or all when it is empty.
	Callee  *ir.Upstream
	Version string
	// Port is the name of the port.
	Port string
}

// byEDS lets the endpoints come as a resource of their own.
func (b *builder) byEDS(c *clusterv3.Cluster, callee *ir.Upstream, port, version string) {
	c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS}
	source := ads()
	source.InitialFetchTimeout = durationpb.New(time.Second)
	c.EdsClusterConfig = &clusterv3.Cluster_EdsClusterConfig{EdsConfig: source}
	c.EdsClusterConfig.ServiceName = join(c.Name, b.contentHash(c))
	b.out.Discovered = append(b.out.Discovered, Discovered{c.EdsClusterConfig.ServiceName, callee, version, port})
}

// Assignments renders the endpoints of clusters for a proxy, in the order of the clusters. It needs nothing of the
// configuration but which clusters there are, and the configuration nothing of it.
//
// Own is the proxy's own endpoint, from which distances are counted; nil when it is not known. Instances are those of a
// callee at the moment, as [live.Written] for one that no server follows.
func Assignments(
	clusters []Discovered, own *ir.Endpoint, instances func(*ir.Upstream) []live.Endpoint,
) []*endpointv3.ClusterLoadAssignment {
	var out []*endpointv3.ClusterLoadAssignment
	for _, c := range clusters {
		out = append(out, Assignment(c, own, instances(c.Callee)))
	}
	return out
}

// Assignment renders the endpoints of one cluster, as [Assignments]; the instances are those of its callee.
func Assignment(c Discovered, own *ir.Endpoint, instances []live.Endpoint) *endpointv3.ClusterLoadAssignment {
	list := ofVersion(instances, c.Callee, c.Version)
	return assignment(c.Name, list, c.Port, priorities(own, c.Callee, list))
}

// ofVersion are the instances of a version, or all.
func ofVersion(list []live.Endpoint, u *ir.Upstream, version string) []live.Endpoint {
	if version == "" {
		return list
	}
	v := u.Version(version)
	var out []live.Endpoint
	for _, e := range list {
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
func assignment(name string, list []live.Endpoint, port string, priorities []uint32) *endpointv3.ClusterLoadAssignment {
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
				Locality: &corev3.Locality{Zone: e.Zone, Region: e.Region}, LoadBalancingWeight: wrapperspb.UInt32(0),
				Priority: at.priority,
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
			HealthStatus: health,
			HostIdentifier: &endpointv3.LbEndpoint_Endpoint{
				Endpoint: &endpointv3.Endpoint{Address: address(e.Address, e.Ports[port])},
			},
			LoadBalancingWeight: wrapperspb.UInt32(max(1, e.Weight)),
		})
	}
	slices.SortStableFunc(out.Endpoints, func(a, b *endpointv3.LocalityLbEndpoints) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), strings.Compare(a.GetLocality().GetZone(), b.GetLocality().
			GetZone()))
	})
	return out
}

// priorities are those of the endpoints of a callee for a proxy at own: 0 for the
// nearest, and no number is left out. Nil when the callee prefers none, or where
// the proxy is is not known.
func priorities(own *ir.Endpoint, callee *ir.Upstream, list []live.Endpoint) []uint32 {
	if callee.Locality == nil || own == nil || own.InRegion() == "" {
		return nil
	}
	var distances, known []uint32
	for i := range list {
		d := callee.Locality.Distance(own, &list[i].Endpoint)
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
		LbEndpoints: []*endpointv3.LbEndpoint{
			{HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: a}}},
		},
	}}}
}
