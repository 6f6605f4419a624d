package serve_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/envoy"
	"github.com/meshc/meshc/render/live"
	"github.com/meshc/meshc/serve"
)

const databases = `package shop

mesh: {name: "shop", trustDomain: "shop.example"}

services: app: {workload: deployment: "app", ports: http: {port: 8080, protocol: "http"}, uses: {one: {}, two: {}}}
services: lone: {workload: deployment: "lone", ports: http: {port: 8080, protocol: "http"}, uses: one: {}}
services: [=~"^(one|two)$"]: {
	ports: db: {port: 5432, protocol: "tcp"}
	allow: [{from: services: ["app", "lone"]}]
}
services: one: workload: statefulSet: "one"
services: two: workload: statefulSet: "two"
`

// TestAddressesOfCallees tells the proxies of pods the cluster IPs of the services that they call below HTTP, and where
// two of these share a port the addresses of their pods, ready or not and of both families. A pod that comes changes
// the configuration of no others: with a push of listeners to all for each pod, a rollout costs all proxies
// (istio/istio#48207).
func TestAddressesOfCallees(t *testing.T) {
	var mu sync.Mutex
	told, made := map[string]string{}, map[string]int{}
	r := start(t, func(c *serve.Config) {
		c.Build = func(scope ir.Scope, o envoy.Options) (*envoy.Resources, error) {
			mu.Lock()
			defer mu.Unlock()
			told[scope.Service.Name] = fmt.Sprint(o.Addresses)
			made[scope.Service.Name]++
			return envoy.Build(scope, o)
		}
	})
	if err := r.SetMesh(compileSpec(t, databases)); err != nil {
		t.Fatal(err)
	}
	is := func(member, want string) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			return told[member] == want
		}
	}
	r.proxy(t, "app", "app-1")
	r.proxy(t, "lone", "lone-1")
	eventually(t, "nobody's address is known", is("app", "map[]"))
	eventually(t, "nor by the other", is("lone", "map[]"))
	r.SetServices("default", map[string][]string{"one": {"10.96.0.1"}, "strange": {"10.96.0.9"}})
	eventually(t, "cluster IPs", is("app", "map[one:{[10.96.0.1] []}]"))
	eventually(t, "those of the other", is("lone", "map[one:{[10.96.0.1] []}]"))

	pod := podAt("two-1", "10.0.0.10", "", true)
	pod.Others = []string{"fd00::10"}
	r.SetPods("default", map[string][]live.Endpoint{"two": {pod, podAt("two-0", "10.0.0.9", "", false)}})
	eventually(t, "pods that are told apart", is("app",
		"map[one:{[10.96.0.1] []} two:{[] [10.0.0.9 10.0.0.10 fd00::10]}]"))
	eventually(t, "every proxy has it", func() bool { return r.Rollout().Proxies == 2 && r.Rollout().Behind == 0 })
	mu.Lock()
	before := made["lone"]
	mu.Unlock()
	r.SetPods("default", map[string][]live.Endpoint{
		"one": {podAt("one-0", "10.0.0.1", "", false)}, "two": {},
	})
	eventually(t, "as they are now", is("app", "map[one:{[10.96.0.1] [10.0.0.1]}]"))
	r.SetServices("default", nil)
	eventually(t, "without Services", is("app", "map[one:{[] [10.0.0.1]}]"))
	eventually(t, "without the Service of the other", is("lone", "map[]"))
	if now := made["lone"]; now != before+1 {
		t.Errorf("lone was configured %d times, for a pod and the Service", now-before)
	}
}

// TestChangedServices sets single Services of a namespace, at random, and has what setting all of them has: the same
// addresses, and the same services of the mesh that are concerned.
func TestChangedServices(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	mesh := compileSpec(t, databases)
	one, all := serve.NewLive(mesh), serve.NewLive(mesh)
	names, now := []string{"app", "one", "two", "strange", "another"}, map[string][]string{}
	for range 500 {
		next := map[string][]string{}
		for range random.IntN(3) {
			name := names[random.IntN(len(names))]
			next[name] = nil
			for i := range random.IntN(3) {
				next[name] = append(next[name], fmt.Sprintf("10.96.%d.%d", i, random.IntN(3)))
			}
		}
		if random.IntN(3) == 0 {
			if concerned := one.ChangeServices("elsewhere", next); len(concerned) > 0 {
				t.Fatalf("%v in a namespace without services concerns %v", next, concerned)
			}
			continue
		}
		now = maps.Clone(now)
		maps.Copy(now, next)
		maps.DeleteFunc(now, func(_ string, list []string) bool { return len(list) == 0 })
		got, want := one.ChangeServices("default", next), all.SetServices("default", now)
		if !maps.Equal(got, want) {
			t.Fatalf("%v concerns %v; with all of them it is %v", next, got, want)
		}
		for _, name := range names {
			got, want := one.ClusterIPs("default", name), all.ClusterIPs("default", name)
			if !slices.Equal(got, want) {
				t.Fatalf("after %v, %s is at %v; with all of them it is at %v", next, name, got, want)
			}
		}
	}
}
