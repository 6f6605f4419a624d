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

// TestWatchHears wants a bookmark, by which the API server says that nothing has changed, to count as a message, and an
// error not to.
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
	listed := heard.Load()
	if listed == 0 {
		t.Error("the list counts for nothing")
	}
	bookmark := configMap("shop", "", "")
	bookmark.ResourceVersion = "7"
	events.Action(apiwatch.Bookmark, bookmark)
	events.Error(&metav1.Status{Reason: metav1.StatusReasonExpired}) // is taken once the bookmark was
	for heard.Load() == listed {
		if ctx.Err() != nil {
			t.Fatal("the bookmark counts for nothing")
		}
		time.Sleep(time.Millisecond)
	}
}
