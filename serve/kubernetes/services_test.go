package kubernetes

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/serve"
)

// databases is a mesh whose app calls a database in pods below HTTP, and a page by HTTP.
func databases() *ir.Mesh {
	in := func(name, namespace string, protocol ir.Protocol) *ir.Service {
		return &ir.Service{Upstream: ir.Upstream{
			Name: name, Namespace: namespace, Workload: ir.Workload{Pods: &ir.Pods{Kind: ir.StatefulSet, Name: name}},
			Ports: []ir.Port{{Name: "port", Number: 5432, Target: 5432, Protocol: protocol}},
		}}
	}
	app := in("app", "shop", ir.HTTP)
	app.Uses = []ir.Use{{To: "db", Ports: []string{"port"}}, {To: "page", Ports: []string{"port"}}}
	return &ir.Mesh{Services: []*ir.Service{app, in("db", "data", ir.TCP), in("page", "pages", ir.HTTP)}}
}

func service(namespace, name string, addresses ...string) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       corev1.ServiceSpec{ClusterIPs: addresses},
	}
}

// TestServiceWatch tells the cluster IPs of Services, a team's own among them, in the namespaces where pods call below
// HTTP and in no others.
func TestServiceWatch(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	client := fake.NewClientset(service("data", "db", "10.96.0.1", "fd96::1"), service("data", "headless", "None"),
		service("pages", "page", "10.96.0.2"))
	told := make(chan string, 100)
	telling := func(what string) func(string, map[string][]string) {
		return func(namespace string, addresses map[string][]string) {
			told <- fmt.Sprint(what, " ", namespace, " ", addresses)
		}
	}
	w := &serviceWatch{
		cluster: &Cluster{client: client, log: slog.New(slog.DiscardHandler), server: new(serve.Server)},
		set:     telling("all"), change: telling("changed"), namespaces: map[string]context.CancelFunc{},
	}
	w.follow(ctx, databases())
	want := func(what, of string) { // with what else has changed meanwhile
		t.Helper()
		for {
			select {
			case got := <-told:
				if strings.HasPrefix(got, what) && strings.Contains(got, of) {
					return
				}
				t.Logf("told: %s", got)
			case <-ctx.Done():
				t.Fatalf("never told: %s %s", what, of)
			}
		}
	}
	want("all data ", "map[db:[10.96.0.1 fd96::1]]")
	services := client.CoreV1().Services("data")
	if _, err := services.Create(ctx, service("data", "other", "10.96.0.3"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	want("changed data ", "other:[10.96.0.3]")
	if _, err := services.Update(ctx, service("data", "db", "10.96.0.4"), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	want("changed data ", "db:[10.96.0.4]")
	if err := services.Delete(ctx, "other", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	want("changed data ", "other:[]")
	if len(w.namespaces) != 1 {
		t.Errorf("it watches %v", w.namespaces)
	}
}
