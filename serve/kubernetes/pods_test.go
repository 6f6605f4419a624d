package kubernetes

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/live"
)

// pod is an endpoint of a slice: ready, serving and terminating as the letters say.
func pod(name, address, zone, conditions string) discoveryv1.Endpoint {
	has := func(letter string) *bool {
		for _, c := range conditions {
			if string(c) == letter {
				return new(true)
			}
		}
		return new(false)
	}
	return discoveryv1.Endpoint{
		Addresses: []string{address}, Zone: &zone, TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: name},
		Conditions: discoveryv1.EndpointConditions{Ready: has("r"), Serving: has("s"), Terminating: has("t")},
	}
}

func slice(
	service, name string, family discoveryv1.AddressType, pods ...discoveryv1.Endpoint,
) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: service}},
		AddressType: family, Endpoints: pods,
	}
}

func TestPodsOf(t *testing.T) {
	service := &ir.Service{Upstream: ir.Upstream{
		Name: "cart", Namespace: "shop", Workload: ir.Workload{Pods: &ir.Pods{Kind: ir.Deployment, Name: "cart"}},
		Ports:    []ir.Port{{Name: "http", Number: 80, Target: 8080}},
		Versions: []ir.Version{{Name: "v2", Labels: map[string]string{"version": "v2"}}},
	}}
	m := &ir.Mesh{Services: []*ir.Service{service}}
	const v4, v6 = discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6
	for _, c := range []struct {
		name   string
		slices []*discoveryv1.EndpointSlice
		before []string // pods that took requests
		want   []string // NAME ADDRESS ZONE LABELS UNHEALTHY
	}{
		{"none", nil, nil, nil},
		{
			"ready, starting and ending",
			[]*discoveryv1.EndpointSlice{
				slice("cart-meshc", "cart-1", v4, pod("a", "10.0.0.1", "eu-1a", "rs"), pod("b", "10.0.0.2", "eu-1b", ""), pod("c", "10.0.0.3", "eu-1b", "st")),
				slice("cart-meshc-v2", "cart-v2-1", v4, pod("b", "10.0.0.2", "eu-1b", "")),
				slice("other", "other-1", v4, pod("d", "10.0.0.4", "eu-1b", "rs")),
			},
			[]string{"b"},
			[]string{"a 10.0.0.1 eu-1a map[] false", "b 10.0.0.2 eu-1b map[version:v2] true", "c 10.0.0.3 eu-1b map[] true"},
		},
		{
			"none but ending ones, of which one serves",
			[]*discoveryv1.EndpointSlice{slice("cart-meshc", "cart-1", v4, pod("a", "10.0.0.1", "z", "t"), pod("b", "10.0.0.2", "z", "st"), pod("c", "10.0.0.3", "z", ""))},
			nil,
			[]string{"a 10.0.0.1 z map[] true", "b 10.0.0.2 z map[] false", "c 10.0.0.3 z map[] true"},
		},
		{
			"two families",
			[]*discoveryv1.EndpointSlice{slice("cart-meshc", "cart-6", v6, pod("a", "fd00::1", "z", "rs")), slice("cart-meshc", "cart-4", v4, pod("a", "10.0.0.1", "z", "rs"))},
			nil,
			[]string{"a 10.0.0.1 z map[] false"},
		},
		{
			"all of them not ready at once, one that never was, and one that ends",
			[]*discoveryv1.EndpointSlice{slice("cart-meshc", "cart-1", v4, pod("a", "10.0.0.1", "z", ""), pod("b", "10.0.0.2", "z", ""), pod("c", "10.0.0.3", "z", "t"))},
			[]string{"a", "c"},
			[]string{"a 10.0.0.1 z map[] false", "b 10.0.0.2 z map[] true", "c 10.0.0.3 z map[] true"},
		},
		{
			"what is no pod",
			[]*discoveryv1.EndpointSlice{slice("cart-meshc", "cart-1", v4, discoveryv1.Endpoint{Addresses: []string{"10.0.0.9"}})},
			nil,
			nil,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			told := map[string][]live.Endpoint{}
			for _, name := range c.before {
				told["cart"] = append(told["cart"], live.Endpoint{Endpoint: ir.Endpoint{Name: name}})
			}
			for _, e := range podsOf(m, "shop", c.slices, told)["cart"] {
				got = append(got, fmt.Sprint(e.Name, " ", e.Address, " ", e.Zone, " ", e.Labels, " ", e.Unhealthy))
				if c.name == "two families" && !reflect.DeepEqual(e.Others, []string{"fd00::1"}) {
					t.Errorf("%s: further addresses %v", e.Name, e.Others)
				}
				if e.Ports["http"] != 8080 {
					t.Errorf("%s: ports %v", e.Name, e.Ports)
				}
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	if got := podsOf(m, "other", nil, nil); len(got) != 0 {
		t.Errorf("another namespace has %v", got)
	}
}

// Pods are found while the Services by which they are found are made by other names, as when the spec says that meshc
// is to make them, or no longer. Slices that go are no news of pods (linkerd/linkerd2#10370), and nor is a Service that
// has none yet: Kubernetes keeps one for a Service without pods.
func TestPodsAreFoundWhileServicesAreRenamed(t *testing.T) {
	const v4 = discoveryv1.AddressTypeIPv4
	service := &ir.Service{Upstream: ir.Upstream{
		Name: "cart", Namespace: "shop", Workload: ir.Workload{Pods: &ir.Pods{Kind: ir.Deployment, Name: "cart"}},
		Ports:    []ir.Port{{Name: "http", Number: 80, Target: 8080}},
		Versions: []ir.Version{{Name: "v2", Labels: map[string]string{"version": "v2"}}},
	}}
	m := &ir.Mesh{Services: []*ir.Service{service}}
	own := slice("cart-meshc", "own", v4, pod("a", "10.0.0.1", "z", "rs"))
	ownVersion := slice("cart-meshc-v2", "own2", v4, pod("a", "10.0.0.1", "z", "rs"))
	former := slice("cart", "former", v4, pod("b", "10.0.0.2", "z", "rs"))
	formerVersion := slice("cart-v2", "former2", v4, pod("b", "10.0.0.2", "z", "rs"))
	told := []live.Endpoint{
		{Endpoint: ir.Endpoint{
			Name: "b", Address: "10.0.0.2", Ports: map[string]uint16{"http": 7070}, Labels: map[string]string{"version": "v2"},
		}},
		{Endpoint: ir.Endpoint{Name: "c", Address: "10.0.0.3"}, Unhealthy: true},
	}
	for _, c := range []struct {
		name    string
		created bool
		slices  []*discoveryv1.EndpointSlice
		told    []live.Endpoint
		want    string // NAME LABELS UNHEALTHY
	}{
		{"by the Service of now", false, []*discoveryv1.EndpointSlice{own, ownVersion, former, formerVersion}, nil, "a map[version:v2] false"},
		{"by the former one", false, []*discoveryv1.EndpointSlice{former, formerVersion}, nil, "b map[version:v2] false"},
		{"by the one that meshc makes", true, []*discoveryv1.EndpointSlice{own, ownVersion, former, formerVersion}, nil, "b map[version:v2] false"},
		{"by the own one, until that is there", true, []*discoveryv1.EndpointSlice{own, ownVersion}, nil, "a map[version:v2] false"},
		{"the version is not there yet", false, []*discoveryv1.EndpointSlice{slice("cart-meshc", "own", v4, pod("b", "10.0.0.2", "z", "rs"))}, told, "b map[version:v2] false"},
		{"none is there", false, nil, told, "b map[version:v2] false,c map[] true"},
		{"the Service has no pods", false, []*discoveryv1.EndpointSlice{slice("cart-meshc", "own", v4)}, told, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			service.Created = c.created
			var got []string
			for _, e := range podsOf(m, "shop", c.slices, map[string][]live.Endpoint{"cart": c.told})["cart"] {
				got = append(got, fmt.Sprint(e.Name, " ", e.Labels, " ", e.Unhealthy))
				if e.Ports["http"] != 8080 {
					t.Errorf("%s: ports %v", e.Name, e.Ports)
				}
			}
			if strings.Join(got, ",") != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	if told[0].Ports["http"] != 7070 {
		t.Error("what was told has changed")
	}
}
