package kubernetes

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	ktesting "k8s.io/client-go/testing"
)

func configMap(namespace, name, mesh string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: name,
		Labels: map[string]string{"mesh": mesh},
	}}
}

// TestWatch sees the objects that are selected, in its namespace, and then those that come.
func TestWatch(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	client := fake.NewClientset(configMap("shop", "one", "shop"), configMap("shop", "other", "stand"),
		configMap("stand", "far", "shop"))
	c := &Cluster{client: client, log: slog.New(slog.DiscardHandler)}
	w := newWatch[*corev1.ConfigMap](c, "shop", client.CoreV1().
		ConfigMaps("shop"), metav1.ListOptions{LabelSelector: "mesh=shop"}, func() {})
	go w.run(ctx)
	if !w.complete(ctx) {
		t.Fatal("it is never complete")
	}
	if seen := w.objects(); len(seen) != 1 || seen[0].Name != "one" {
		t.Errorf("it sees %v", seen)
	}
	if _, err := client.CoreV1().ConfigMaps("shop").
		Create(ctx, configMap("shop", "two", "shop"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for len(w.objects()) != 2 {
		select {
		case <-ctx.Done():
			t.Fatalf("what comes is not seen: %v", w.objects())
		case <-w.changed:
		}
	}
}

// TestWatchFails says that it has failed, and keeps what it saw.
func TestWatchFails(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	client := fake.NewClientset(configMap("shop", "one", "shop"))
	client.PrependWatchReactor("configmaps", func(ktesting.Action) (bool, apiwatch.Interface, error) {
		return true, nil, errors.New("away")
	})
	c := &Cluster{client: client, log: slog.New(slog.DiscardHandler)}
	w := newWatch[*corev1.ConfigMap](c, "shop", client.CoreV1().ConfigMaps("shop"), metav1.ListOptions{}, func() {})
	go w.run(ctx)
	select {
	case <-ctx.Done():
		t.Fatal("nobody is told")
	case <-w.failed:
	}
	for len(w.objects()) != 1 {
		select {
		case <-ctx.Done():
			t.Fatalf("it keeps %v", w.objects())
		case <-w.changed:
		}
	}
}
