package kubernetes

import (
	"context"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// retry is how often the API server is asked whether it is back.
const retry = time.Second

// watch follows objects of one kind in a namespace.
type watch[T runtime.Object] struct {
	informer cache.SharedIndexInformer
	// changed has something in it when an object has changed, and failed is closed when
	// the watch has: client-go goes on by itself then, and waits for up to a minute
	// between two tries, in which pods come and go unseen.
	changed chan struct{}
	failed  chan struct{}
}

// resource is client-go's typed client of one kind, as far as watches need it; L is the kind's list.
type resource[L runtime.Object] interface {
	List(ctx context.Context, options metav1.ListOptions) (L, error)
	Watch(ctx context.Context, options metav1.ListOptions) (apiwatch.Interface, error)
}

// newWatch follows the objects that are selected, once it is run.
func newWatch[T, L runtime.Object](c *Cluster, namespace string, of resource[L],
	selected metav1.ListOptions,
) *watch[T] {
	narrowed := func(o metav1.ListOptions) metav1.ListOptions {
		o.LabelSelector, o.FieldSelector = selected.LabelSelector, selected.FieldSelector
		return o
	}
	var kind T
	w := &watch[T]{changed: make(chan struct{}, 1), failed: make(chan struct{})}
	w.informer = cache.NewSharedIndexInformer(cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return of.List(ctx, narrowed(o))
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (apiwatch.Interface, error) {
			return of.Watch(ctx, narrowed(o))
		},
	}, c.client), kind, 0, nil)
	note := func() {
		select {
		case w.changed <- struct{}{}:
		default: // it is noted already
		}
	}
	// Both fail only for an informer that has been started or stopped.
	_, _ = w.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { note() }, UpdateFunc: func(any, any) { note() }, DeleteFunc: func(any) { note() },
	})
	var once sync.Once
	_ = w.informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, r *cache.Reflector, err error) {
		c.log.Warn("the API server cannot be watched; what was last seen holds", "namespace", namespace, "error", err)
		once.Do(func() { close(w.failed) })
	})
	return w
}

// run follows the objects until the context ends.
func (w *watch[T]) run(ctx context.Context) { w.informer.RunWithContext(ctx) }

// objects are all that were last seen, in no order.
func (w *watch[T]) objects() []T {
	seen := w.informer.GetStore().List()
	out := make([]T, len(seen))
	for i, o := range seen {
		out[i] = o.(T)
	}
	return out
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
		err := c.client.CoreV1().RESTClient().Get().AbsPath("/readyz").Do(asking).Error()
		cancel()
		if err == nil {
			return
		}
	}
}

// complete waits until all that there is has been seen; false when the watch fails, or
// the context ends, before.
func (w *watch[T]) complete(ctx context.Context) bool {
	for !w.informer.HasSynced() {
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
