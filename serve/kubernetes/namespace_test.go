package kubernetes

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"testing"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/kubernetes"
	"github.com/meshc/meshc/render/live"
	"github.com/meshc/meshc/serve"
)

// inPods is a mesh with services in pods.
func inPods(names ...string) *ir.Mesh {
	m := &ir.Mesh{Settings: ir.Settings{Name: "stand"}}
	for _, name := range names {
		m.Services = append(m.Services, &ir.Service{Upstream: ir.Upstream{
			Name: name, Namespace: "shop", Workload: ir.Workload{Pods: &ir.Pods{Kind: ir.Deployment, Name: name}},
			Ports:    []ir.Port{{Name: "http", Number: 80, Target: 8080}},
			Versions: []ir.Version{{Name: "v2", Labels: map[string]string{"version": "v2"}}},
		}})
	}
	return m
}

// watched is a watch of the pods of a mesh, and what it passes on.
type watched struct {
	*podWatch
	client *fake.Clientset
	passed chan string
}

// watchPods begins to watch the pods of a mesh.
func watchPods(ctx context.Context, m *ir.Mesh, slices ...*discoveryv1.EndpointSlice) *watched {
	client := fake.NewClientset()
	out := &watched{client: client, passed: make(chan string, 100)}
	for _, s := range slices {
		out.put(ctx, s)
	}
	c := &Cluster{client: client, log: slog.New(slog.DiscardHandler), server: new(serve.Server)}
	out.podWatch = newPodWatch(c)
	before := map[string][]live.Endpoint{}
	out.set = func(_ string, pods map[string][]live.Endpoint) {
		before = maps.Clone(pods)
		out.passed <- "all: " + told(pods)
	}
	out.change = func(_ string, pods map[string][]live.Endpoint) {
		news := map[string][]live.Endpoint{}
		for service, list := range pods {
			if !reflect.DeepEqual(list, before[service]) { // what comes twice may: a slice is noted once it can be read
				news[service], before[service] = list, list
			}
		}
		if len(news) > 0 {
			out.passed <- told(news)
		}
	}
	out.follow(ctx, m)
	return out
}

// put makes a slice, or changes it.
func (w *watched) put(ctx context.Context, s *discoveryv1.EndpointSlice) {
	s.Namespace = "shop"
	s.Labels[kubernetes.LabelPartOf], s.Labels[kubernetes.LabelManagedBy] = "stand", kubernetes.ManagedBy
	s.Labels[discoveryv1.LabelManagedBy] = "endpointslice-controller.k8s.io"
	all := w.client.DiscoveryV1().EndpointSlices("shop")
	if _, err := all.Update(ctx, s, metav1.UpdateOptions{}); err != nil {
		if _, err := all.Create(ctx, s, metav1.CreateOptions{}); err != nil {
			panic(err) // a fake client takes what it does not have
		}
	}
}

// told are pods in a line.
func told(pods map[string][]live.Endpoint) (text string) {
	for _, service := range sortedKeys(pods) {
		text += service + "["
		for _, e := range pods[service] {
			text += fmt.Sprint(e.Name, "@", e.Address, e.Labels)
		}
		text += "]"
	}
	return text
}

// wants waits for what is passed on.
func (w *watched) wants(ctx context.Context, t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-w.passed:
		if got != want {
			t.Errorf("%q is passed on, want %q", got, want)
		}
	case <-ctx.Done():
		t.Fatalf("%q is not passed on", want)
	}
}

// TestPodsOfTouchedServices changes slices one after the other, and wants the pods of that service alone to be passed
// on, and all pods again for another mesh.
func TestPodsOfTouchedServices(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const v4 = discoveryv1.AddressTypeIPv4
	w := watchPods(ctx, inPods("cart", "other"), slice("cart-meshc", "cart-1", v4, pod("a", "10.0.0.1", "z", "rs")),
		slice("other-meshc", "other-1", v4, pod("b", "10.0.0.2", "z", "rs")))
	w.wants(ctx, t, "all: cart[a@10.0.0.1map[]]other[b@10.0.0.2map[]]")
	w.put(ctx, slice("cart-meshc", "cart-1", v4, pod("a", "10.0.0.9", "z", "rs")))
	w.wants(ctx, t, "cart[a@10.0.0.9map[]]")
	w.put(ctx, slice("cart-meshc", "cart-2", v4, pod("c", "10.0.0.3", "z", "rs")))
	w.wants(ctx, t, "cart[a@10.0.0.9map[]c@10.0.0.3map[]]")
	w.put(ctx, slice("cart-meshc-v2", "cart-v2-1", v4, pod("c", "10.0.0.3", "z", "rs")))
	w.wants(ctx, t, "cart[a@10.0.0.9map[]c@10.0.0.3map[version:v2]]")
	if err := w.client.DiscoveryV1().EndpointSlices("shop").Delete(ctx, "cart-1", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.wants(ctx, t, "cart[c@10.0.0.3map[version:v2]]")
	w.put(ctx, slice("nobody", "nobody-1", v4, pod("d", "10.0.0.4", "z", "rs")))
	w.put(ctx, slice("other-meshc", "other-1", v4, pod("b", "10.0.0.5", "z", "rs")))
	w.wants(ctx, t, "other[b@10.0.0.5map[]]")
	w.follow(ctx, inPods("cart"))
	w.wants(ctx, t, "all: cart[c@10.0.0.3map[version:v2]]")
}
