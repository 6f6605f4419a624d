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

// silence is longer than the API server ever takes between two messages of a watch: it sends a bookmark each minute.
const silence = 5 * time.Minute

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
	// each is called with every object that has come or gone, and with one that has changed as it was and as it is; nil
	// for nobody. It is set before the watch is run.
	each func(T)
}

// resource is client-go's typed client of one kind, as far as watches need it; L is the kind's list.
type resource[L runtime.Object] interface {
	List(ctx context.Context, options metav1.ListOptions) (L, error)
	Watch(ctx context.Context, options metav1.ListOptions) (apiwatch.Interface, error)
}

// newWatch follows the objects that are selected, once it is run. With heard it says that the API server told
// something, be it that nothing has changed.
func newWatch[T, L runtime.Object](c *Cluster, namespace string, of resource[L],
	selected metav1.ListOptions, heard func(),
) *watch[T] {
	narrowed := func(o metav1.ListOptions) metav1.ListOptions {
		o.LabelSelector, o.FieldSelector = selected.LabelSelector, selected.FieldSelector
		return o
	}
	var kind T
	w := &watch[T]{changed: make(chan struct{}, 1), failed: make(chan struct{})}
	w.informer = cache.NewSharedIndexInformer(cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			list, err := of.List(ctx, narrowed(o))
			if err == nil {
				heard()
			}
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (apiwatch.Interface, error) {
			in, err := of.Watch(ctx, narrowed(o))
			if err != nil {
				return nil, err
			}
			heard()
			return apiwatch.Filter(in, func(e apiwatch.Event) (apiwatch.Event, bool) {
				if e.Type != apiwatch.Error {
					heard()
				}
				return e, true
			}), nil
		},
	}, c.client), kind, 0, cache.Indexers{})
	note := func(objects ...any) {
		for _, o := range objects {
			if gone, ok := o.(cache.DeletedFinalStateUnknown); ok {
				o = gone.Obj
			}
			if seen, ok := o.(T); ok && w.each != nil {
				w.each(seen)
			}
		}
		select {
		case w.changed <- struct{}{}:
		default: // it is noted already
		}
	}
	// Both fail only for an informer that has been started or stopped.
	_, _ = w.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(o any) { note(o) }, UpdateFunc: func(was, is any) { note(was, is) },
		DeleteFunc: func(o any) { note(o) },
	})
	var once sync.Once
	_ = w.informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, r *cache.Reflector, err error) {
		c.log.Warn("the API server cannot be watched; what was last seen holds", "namespace", namespace, "error", err)
		once.Do(func() { close(w.failed) })
	})
	return w
}

// hears returns a function by which a watch of a kind of objects in a namespace says that it was told something.
func (c *Cluster) hears(kind, namespace string) func() {
	return func() { c.server.Heard(sourceOf(kind, namespace), silence) }
}

// sourceOf names a watch as a source of what the server serves.
func sourceOf(kind, namespace string) string { return kind + " in " + namespace }

// The kinds of objects that are watched, as sources.
const (
	kindPods      = "pods"
	kindServices  = "services"
	kindMesh      = "mesh"
	kindAuthority = "authority"
	kindServers   = "servers"
)

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

// object is the one of a name that was last seen, if there is one.
func (w *watch[T]) object(namespace, name string) (seen T, ok bool) {
	o, ok, _ := w.informer.GetStore().GetByKey(namespace + "/" + name) // fails for no store in memory
	if ok {
		seen = o.(T)
	}
	return seen, ok
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
