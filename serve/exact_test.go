package serve_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try/trytest"
	"github.com/meshc/meshc/render/live"
)

// exactProxy is a client of the incremental protocol that notes each push that it did not need.
type exactProxy struct {
	id  string
	end context.CancelFunc

	mu          sync.Mutex
	has         map[string]map[string]string // versions, by type and name
	superfluous []string
}

// askedTypes are the types that it asks for.
var askedTypes = []string{clusters, resource.EndpointType, listeners, secrets}

// connectExact connects a proxy that has something already, as an Envoy that comes back.
func (r *running) connectExact(t *testing.T, service string, has map[string]map[string]string) *exactProxy {
	t.Helper()
	conn := r.dial(t, service, time.Hour)
	ctx, cancel := context.WithCancel(context.Background())
	p := &exactProxy{id: "service/" + service + "/" + service + "-0", has: map[string]map[string]string{}}
	for _, url := range askedTypes {
		p.has[url] = maps.Clone(has[url])
		if p.has[url] == nil {
			p.has[url] = map[string]string{}
		}
	}
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, url := range askedTypes {
		request := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: url, InitialResourceVersions: has[url]}
		switch url {
		case clusters:
			request.Node = node(p.id)
		case secrets:
			request.ResourceNamesSubscribe = []string{"trust"}
		case resource.EndpointType:
			// An Envoy asks for those of clusters that it has, and has at first none.
			if request.ResourceNamesSubscribe = sortedNames(has[url]); len(has[url]) == 0 {
				continue
			}
		}
		if err := stream.Send(request); err != nil {
			t.Fatal(err)
		}
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			answer, err := stream.Recv()
			if err != nil {
				return
			}
			if next := p.take(answer); next != nil && stream.Send(next) != nil {
				return
			}
			ack := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: answer.TypeUrl, ResponseNonce: answer.Nonce}
			if stream.Send(ack) != nil {
				return
			}
		}
	}()
	p.end = sync.OnceFunc(func() { cancel(); <-ended; conn.Close() })
	t.Cleanup(p.end)
	return p
}

func sortedNames(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// take keeps an answer, and returns the request for endpoints of clusters that have come or gone.
func (p *exactProxy) take(answer *discoveryv3.DeltaDiscoveryResponse) *discoveryv3.DeltaDiscoveryRequest {
	p.mu.Lock()
	defer p.mu.Unlock()
	had := p.has[answer.TypeUrl]
	next := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: resource.EndpointType}
	for _, r := range answer.Resources {
		if had[r.Name] == r.Version {
			p.superfluous = append(p.superfluous, r.Name)
		}
		had[r.Name] = r.Version
		c := &clusterv3.Cluster{}
		if answer.TypeUrl != clusters || r.Resource.UnmarshalTo(c) != nil {
			continue
		}
		if name := c.GetEdsClusterConfig().GetServiceName(); name != "" {
			if _, known := p.has[resource.EndpointType][name]; !known {
				next.ResourceNamesSubscribe = append(next.ResourceNamesSubscribe, name)
			}
		}
	}
	for _, name := range answer.RemovedResources {
		if _, known := had[name]; !known {
			p.superfluous = append(p.superfluous, "the removal of "+name)
		}
		delete(had, name)
	}
	if len(next.ResourceNamesSubscribe) == 0 {
		return nil
	}
	return next
}

// compare returns how what the proxy has differs from what it should have; "" for not at all.
func (p *exactProxy) compare(want map[string]map[string]string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, url := range askedTypes {
		if url == resource.EndpointType || url == secrets { // which it asks for by name
			for name, version := range want[url] {
				if has := p.has[url][name]; has != version && (url != secrets || name == "trust") {
					return fmt.Sprintf("%s: %s is %q and not %q", p.id, name, has, version)
				}
			}
		} else if !maps.Equal(p.has[url], want[url]) {
			return fmt.Sprintf("%s: %s: %v, and wanted %v", p.id, url, p.has[url], want[url])
		}
	}
	return ""
}

// unneeded returns what it was pushed and had already.
func (p *exactProxy) unneeded() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.superfluous
}

// forgotten is what the proxy says that it has when it comes back: most of it as it was, some of it in an older
// version, some not at all, and some that nobody has any more.
func (p *exactProxy) forgotten(random *rand.Rand) map[string]map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[string]map[string]string{}
	nothing := random.IntN(6) == 0 // of clusters, and so of their endpoints
	for _, url := range askedTypes {
		out[url] = map[string]string{}
		ofClusters := url == clusters || url == resource.EndpointType
		for _, name := range sortedNames(p.has[url]) {
			switch which := random.IntN(8); {
			case which == 0 && !ofClusters || nothing && ofClusters:
			case which == 1:
				out[url][name] = "an older one"
			default:
				out[url][name] = p.has[url][name]
			}
		}
		if random.IntN(4) == 0 && !(nothing && ofClusters) {
			out[url]["gone"] = "1"
		}
	}
	return out
}

// exactServices are the members of the meshes of the test. Each has pods, and all but the first call the first one.
const exactServices = 8

// exactSpec is a random mesh: who calls whom, and with which timeouts.
func exactSpec(random *rand.Rand) string {
	var b strings.Builder
	b.WriteString("package shop\n\nmesh: {name: \"shop\", trustDomain: \"shop.example\"}\n")
	for i := range exactServices {
		uses := ""
		for j := range exactServices {
			if j != i && (j == 0 || random.IntN(3) == 0) {
				uses += fmt.Sprintf("s%d: timeout: \"%ds\"\n", j, 1+random.IntN(2))
			}
		}
		fmt.Fprintf(&b, `services: s%[1]d: {
	workload: deployment: "s%[1]d"
	ports: http: {port: 8080, protocol: "http"}
	versions: {v1: labels: version: "v1", v2: labels: version: "v2"}
	%[2]s
	allow: [{from: anyone: true}]
	uses: {%[3]s}
}
`, i, []string{"", `locality: prefer: "zone"`}[random.IntN(2)], uses)
	}
	return b.String()
}

// exactPods are random pods of a service.
func exactPods(random *rand.Rand, i int) (pods []live.Endpoint) {
	for n := range random.IntN(4) {
		pods = append(pods, live.Endpoint{
			Endpoint: ir.Endpoint{
				Name: fmt.Sprintf("s%d-%d", i, n), Address: fmt.Sprintf("10.0.%d.%d", i, 1+random.IntN(3)),
				Zone: []string{"eu-1a", "eu-1b"}[random.IntN(2)], Ports: map[string]uint16{"http": 8080}, Weight: 1,
				Labels: map[string]string{"version": []string{"v1", "v2"}[random.IntN(2)]},
			}, Unhealthy: random.IntN(4) == 0,
		})
	}
	return pods
}

// TestPushesAreExact changes the pods of random meshes at random, the meshes, and which proxies are connected; these
// come back with what they had, or think that they had. Each proxy gets what is rendered for it alone, and is pushed
// nothing that it has. What is gone when it comes back is removed, or it would be kept for ever (kmesh-net/kmesh#415).
func TestPushesAreExact(t *testing.T) {
	seed := trytest.Seed(t)
	random := rand.New(rand.NewPCG(seed, 1))
	r := start(t)
	set := func() {
		if err := r.SetMesh(unplaced(t, compileSpec(t, exactSpec(random)))); err != nil {
			t.Fatal(err)
		}
		for r.Advance() { // to the last stage
		}
	}
	set()
	pods := map[string][]live.Endpoint{}
	for i := range exactServices {
		pods[fmt.Sprint("s", i)] = exactPods(random, i)
	}
	r.SetPods("default", pods)
	var all [exactServices]*exactProxy
	for i := range all {
		all[i] = r.connectExact(t, fmt.Sprint("s", i), nil)
	}
	converged := func(what string) {
		t.Helper()
		why := ""
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
			why = ""
			for _, p := range all {
				if why = p.compare(r.Wanted(p.id)); why != "" {
					break
				}
			}
			if why == "" || time.Now().After(deadline) {
				break
			}
			r.SettleAll()
		}
		if why != "" {
			t.Fatalf("%s: %s", what, why)
		}
		for _, p := range all {
			if list := p.unneeded(); len(list) > 0 {
				t.Fatalf("%s: %s was pushed what it had: %s", what, p.id, list)
			}
		}
	}
	converged("at first")
	for n := range trytest.Amount(os.Getenv("MESHC_EVENTS"), 300) {
		i := random.IntN(exactServices)
		name, what := fmt.Sprint("s", i), ""
		switch random.IntN(20) {
		case 0:
			what = "an edit"
			set()
		case 1, 2:
			what = name + " comes back"
			all[i].end()
			all[i] = r.connectExact(t, name, all[i].forgotten(random))
		case 3:
			what = "all pods"
			pods[name] = exactPods(random, i)
			r.SetPods("default", pods)
		default:
			what = "pods of " + name
			pods[name] = exactPods(random, i)
			r.ChangePods("default", map[string][]live.Endpoint{name: pods[name]})
		}
		converged(fmt.Sprintf("step %d, %s", n, what))
	}
}
