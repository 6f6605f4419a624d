package serve_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/envoy"
	"github.com/meshc/meshc/render/live"
	"github.com/meshc/meshc/serve"
)

const inCluster = `package shop

mesh: {name: "shop", trustDomain: "shop.example"}

services: frontend: {
	workload: deployment: "frontend"
	ports: http: {port: 8080, protocol: "http"}
	uses: cart: {}
}
services: cart: {
	workload: statefulSet: "cart"
	ports: http: {port: 80, target: 8081, protocol: "http"}
	locality: prefer: "zone"
	allow: [{from: services: ["frontend"]}]
}
services: other: {workload: deployment: "other", ports: http: {port: 8080, protocol: "http"}}
`

// proxy is a client that takes clusters and their endpoints, and acknowledges both, as
// Envoy does.
type proxy struct {
	mu        sync.Mutex
	clusters  map[string]*clusterv3.Cluster
	endpoints map[string]*endpointv3.ClusterLoadAssignment // by cluster
	answers   int
}

func (r *running) proxy(t *testing.T, account, instance string) *proxy {
	t.Helper()
	stream, err := r.connect(t, r.authority, account).DeltaAggregatedResources(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{clusters: map[string]*clusterv3.Cluster{}, endpoints: map[string]*endpointv3.ClusterLoadAssignment{}}
	if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{
		Node:    node("service/" + account + "/" + instance),
		TypeUrl: clusters,
	}); err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			answer, err := stream.Recv()
			if err != nil {
				return // the test is over
			}
			next := &discoveryv3.DeltaDiscoveryRequest{
				TypeUrl:                resource.EndpointType,
				ResourceNamesSubscribe: p.take(answer),
			}
			if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{
				TypeUrl:       answer.TypeUrl,
				ResponseNonce: answer.Nonce,
			}); err != nil {
				return
			}
			if len(next.ResourceNamesSubscribe) > 0 && stream.Send(next) != nil {
				return
			}
		}
	}()
	return p
}

// take keeps what an answer holds, and returns the names of endpoints that new clusters
// need.
func (p *proxy) take(answer *discoveryv3.DeltaDiscoveryResponse) (names []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answers++
	for _, r := range answer.Resources {
		message, err := r.Resource.UnmarshalNew()
		if err != nil {
			continue
		}
		switch m := message.(type) {
		case *clusterv3.Cluster:
			p.clusters[m.Name] = m
			if name := m.GetEdsClusterConfig().GetServiceName(); name != "" {
				names = append(names, name)
			}
		case *endpointv3.ClusterLoadAssignment:
			p.endpoints[m.ClusterName[:strings.LastIndex(m.ClusterName, "|")]] = m
		}
	}
	return names
}

// reaches are the addresses of a cluster, each with its priority; "by DNS" where the
// proxy looks them up itself.
func (p *proxy) reaches(cluster string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.clusters[cluster]
	if c == nil {
		return "no cluster"
	}
	if c.GetClusterType().GetName() == "envoy.clusters.dns" {
		return "by DNS"
	}
	var out []string
	for _, zone := range p.endpoints[cluster].GetEndpoints() {
		for _, e := range zone.LbEndpoints {
			at := e.GetEndpoint().GetAddress().GetSocketAddress()
			out = append(out, fmt.Sprintf("%s:%d/%d", at.GetAddress(), at.GetPortValue(), zone.Priority))
		}
	}
	slices.Sort(out)
	return fmt.Sprint(out)
}

func (p *proxy) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.answers
}

func podAt(name, address, zone string, unhealthy bool) live.Endpoint {
	at := ir.Endpoint{Name: name, Address: address, Zone: zone, Ports: map[string]uint16{"http": 8081}, Weight: 1}
	return live.Endpoint{Endpoint: at, Unhealthy: unhealthy}
}

// Callers look pods up by DNS until they are known; then what changes of them reaches
// those whom it concerns, near ones first, and nobody else.
func TestPods(t *testing.T) {
	r := start(t)
	if err := r.SetMesh(compileSpec(t, inCluster)); err != nil {
		t.Fatal(err)
	}
	const cart = "cart.default|http"
	frontend, other := r.proxy(t, "frontend", "frontend-1"), r.proxy(t, "other", "other-1")
	eventually(t, "the callers look them up by DNS", func() bool { return frontend.reaches(cart) == "by DNS" })
	set := func(pods ...live.Endpoint) {
		r.SetPods("default", map[string][]live.Endpoint{
			"cart":     pods,
			"frontend": {podAt("frontend-1", "10.0.0.9", "eu-1a", false)},
		})
	}
	set(podAt("cart-0", "10.0.0.1", "eu-1a", false), podAt("cart-1", "10.0.0.2", "eu-1b", false),
		podAt("cart-2", "10.0.0.3", "eu-1a", true))
	eventually(t, "the pods that are ready are reached, near ones first",
		func() bool { return frontend.reaches(cart) == "[10.0.0.1:8081/0 10.0.0.2:8081/1]" })
	eventually(t, "every proxy has acknowledged it",
		func() bool { r := r.Rollout(); return r.Proxies == 2 && r.Behind == 0 && r.Refused == "" })
	eventually(t, "the other one has its clusters", func() bool { return other.count() > 0 })
	before := other.count()
	set(podAt("cart-1", "10.0.0.2", "eu-1b", false))
	eventually(t, "one that is gone is not reached",
		func() bool { return frontend.reaches(cart) == "[10.0.0.2:8081/0]" })
	set()
	eventually(t, "none is reached when there is none", func() bool { return frontend.reaches(cart) == "[]" })
	if other.count() != before {
		t.Error("who does not call the service was sent something")
	}

	// Who looks at the cluster may be a mesh ahead, and not know a service any more.
	set(podAt("cart-0", "10.0.0.1", "eu-1a", false))
	eventually(t, "it is reached again", func() bool { return frontend.reaches(cart) == "[10.0.0.1:8081/0]" })
	r.SetPods("default", map[string][]live.Endpoint{})
	if err := r.SetMesh(compileSpec(t, strings.Replace(inCluster, "port: 80,", "port: 8000,", 1))); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a new mesh has the pods too",
		func() bool { return r.Rollout().Behind == 0 && frontend.reaches(cart) == "[10.0.0.1:8081/0]" })
}

// TestPodsLeaveTheConfiguration wants pods that come, go and fall ill to change the endpoints of their callers, and
// nobody's configuration to be rendered for it: nor that of the pods' own proxies.
func TestPodsLeaveTheConfiguration(t *testing.T) {
	var made atomic.Int64
	r := start(t, func(c *serve.Config) {
		c.Build = func(scope ir.Scope, o envoy.Options) (*envoy.Resources, error) {
			made.Add(1)
			return envoy.Build(scope, o)
		}
	})
	if err := r.SetMesh(compileSpec(t, inCluster)); err != nil {
		t.Fatal(err)
	}
	const cart = "cart.default|http"
	r.SetPods("default", map[string][]live.Endpoint{"cart": {podAt("cart-0", "10.0.0.1", "eu-1a", false)}})
	frontend := r.proxy(t, "frontend", "frontend-1")
	r.proxy(t, "cart", "cart-0")
	eventually(t, "the pod is reached", func() bool { return frontend.reaches(cart) == "[10.0.0.1:8081/0]" })
	eventually(t, "both proxies are connected", func() bool { return r.Rollout().Proxies == 2 })
	before := made.Load()
	for _, c := range []struct {
		pods []live.Endpoint
		want string
	}{
		{
			[]live.Endpoint{podAt("cart-0", "10.0.0.1", "eu-1a", false), podAt("cart-1", "10.0.0.2", "eu-1b", false)},
			"[10.0.0.1:8081/0 10.0.0.2:8081/0]",
		},
		{
			[]live.Endpoint{podAt("cart-0", "10.0.0.1", "eu-1a", true), podAt("cart-1", "10.0.0.2", "eu-1b", false)},
			"[10.0.0.2:8081/0]",
		},
		{[]live.Endpoint{podAt("cart-0", "10.0.0.3", "eu-1a", false)}, "[10.0.0.3:8081/0]"},
	} {
		r.SetPods("default", map[string][]live.Endpoint{"cart": c.pods})
		eventually(t, c.want, func() bool { return frontend.reaches(cart) == c.want })
	}
	if n := made.Load() - before; n != 0 {
		t.Errorf("configurations were rendered %d times for pods", n)
	}
	r.ForgetPods("default")
	eventually(t, "pods that are not known are looked up by DNS",
		func() bool { return frontend.reaches(cart) == "by DNS" })
}
