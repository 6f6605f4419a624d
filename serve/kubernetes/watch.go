package kubernetes

import (
	"context"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

// retry is how often the API server is asked whether it is back.
const retry = time.Second

// watch follows objects of one kind in a namespace.
type watch struct {
	factory informers.SharedInformerFactory
	// changed has something in it when an object has changed, and failed is closed when
	// the watch has: client-go goes on by itself then, and waits for up to a minute
	// between two tries, in which pods come and go unseen.
	changed chan struct{}
	failed  chan struct{}
}

// labelled selects the objects that have the label.
func labelled(selector string) func(*metav1.ListOptions) {
	return func(o *metav1.ListOptions) { o.LabelSelector = selector }
}

// newWatch follows the objects that are selected, once it is started.
func (c *Cluster) newWatch(namespace string, selected func(*metav1.ListOptions), of func(informers.SharedInformerFactory) cache.SharedIndexInformer) *watch {
	w := &watch{changed: make(chan struct{}, 1), failed: make(chan struct{})}
	w.factory = informers.NewSharedInformerFactoryWithOptions(c.client, 0, informers.WithNamespace(namespace),
		informers.WithTweakListOptions(selected))
	informer := of(w.factory)
	note := func() {
		select {
		case w.changed <- struct{}{}:
		default: // it is noted already
		}
	}
	// Both fail only for an informer that has been started or stopped.
	_, _ = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { note() }, UpdateFunc: func(any, any) { note() }, DeleteFunc: func(any) { note() },
	})
	var once sync.Once
	_ = informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, r *cache.Reflector, err error) {
		c.log.Warn("the API server cannot be watched; what was last seen holds", "namespace", namespace, "error", err)
		once.Do(func() { close(w.failed) })
	})
	return w
}

// untilBack waits until the API server is ready, and a while at least.
func (c *Cluster) untilBack(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(retry):
		}
		asking, cancel := context.WithTimeout(ctx, retry)
		err := c.client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(asking).Error()
		cancel()
		if err == nil {
			return
		}
	}
}

// complete waits until all that there is has been seen; false when the watch fails, or
// the context ends, before.
func (w *watch) complete(ctx context.Context, synced cache.InformerSynced) bool {
	for !synced() {
		select {
		case <-ctx.Done():
			return false
		case <-w.failed:
			return false
		case <-time.After(10 * time.Millisecond):
		}
	}
	return true
}
