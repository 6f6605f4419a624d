package kubernetes

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	ktesting "k8s.io/client-go/testing"
)

// TestWatchHears wants a bookmark, by which the API server says that nothing has changed, to count as a message.
func TestWatchHears(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	client, events := fake.NewClientset(configMap("shop", "one", "shop")), apiwatch.NewFake()
	client.PrependWatchReactor("configmaps", func(ktesting.Action) (bool, apiwatch.Interface, error) {
		return true, events, nil
	})
	var heard atomic.Int64
	c := &Cluster{client: client, log: slog.New(slog.DiscardHandler)}
	w := newWatch[*corev1.ConfigMap](c, "shop", client.CoreV1().ConfigMaps("shop"), metav1.ListOptions{},
		func() { heard.Add(1) })
	go w.run(ctx)
	if !w.complete(ctx) {
		t.Fatal("it is never complete")
	}
	bookmark := configMap("shop", "", "")
	bookmark.ResourceVersion = "7"
	for range 2 { // the second one is taken once the first one was heard
		events.Action(apiwatch.Bookmark, bookmark)
	}
	if n := heard.Load(); n < 3 {
		t.Errorf("the list, the beginning of the watch and a bookmark count for %d messages", n)
	}
}
