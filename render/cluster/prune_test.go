package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/polling"
	"github.com/fluxcd/cli-utils/pkg/kstatus/polling/clusterreader"
	"github.com/fluxcd/cli-utils/pkg/kstatus/polling/engine"
	"github.com/fluxcd/cli-utils/pkg/object"
	"github.com/fluxcd/pkg/ssa"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/kubernetes"
)

// server is an API server that gives each object that is made an UID, and what was told.
type server struct {
	*Cluster
	told []string
	// made runs after each object that meshc made, before meshc hears of it.
	made func(o client.Object) error
	// making runs before meshc makes an object.
	making func(o client.Object)
}

func newServer(t *testing.T) *server {
	s := &server{}
	uids := 0
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{corev1.SchemeGroupVersion})
	mapper.Add(corev1.SchemeGroupVersion.WithKind("ConfigMap"), meta.RESTScopeNamespace)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Service"), meta.RESTScopeNamespace)
	api := fake.NewClientBuilder().WithRESTMapper(mapper).WithReturnManagedFields().
		WithInterceptorFuncs(interceptor.Funcs{
			// what only makes an object
			Apply: func(ctx context.Context, w client.WithWatch, applied runtime.ApplyConfiguration,
				opts ...client.ApplyOption,
			) error {
				o, ok := applied.(client.Object)
				var options client.ApplyOptions
				options.ApplyOptions(opts)
				if !ok || !apierrors.IsNotFound(w.Get(ctx, client.ObjectKeyFromObject(o),
					o.DeepCopyObject().(client.Object))) {
					return w.Apply(ctx, applied, opts...)
				}
				byMeshc := options.FieldManager == fieldManager && options.Force == nil // nothing else is applied so
				if byMeshc && s.making != nil {
					s.making(o)
				}
				if err := w.Apply(ctx, applied, opts...); err != nil {
					return err
				}
				if o.GetUID() == "" {
					uids++
					uid := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata": {"uid": "uid-%d"}}`,
						uids))
					made := config(o.GetName(), "")
					made.SetGroupVersionKind(o.GetObjectKind().GroupVersionKind())
					if err := w.Patch(ctx, made, uid, client.FieldOwner(options.FieldManager)); err != nil {
						return err
					}
					o.SetUID(made.GetUID())
				}
				if byMeshc && s.made != nil {
					return s.made(o)
				}
				return nil
			},
			// dry runs, of which this client knows nothing
			Patch: func(ctx context.Context, w client.WithWatch, o client.Object, patch client.Patch,
				opts ...client.PatchOption,
			) error {
				var options client.PatchOptions
				options.ApplyOptions(opts)
				want, ok := o.(*unstructured.Unstructured)
				if options.DryRun == nil || !ok {
					return w.Patch(ctx, o, patch, opts...)
				}
				data := want.Object["data"]
				err := w.Get(ctx, client.ObjectKeyFromObject(o), o)
				want.Object["data"] = data
				return client.IgnoreNotFound(err)
			},
		}).Build()
	direct := engine.ClusterReaderFactoryFunc(clusterreader.NewDirectClusterReader)
	poller := polling.NewStatusPoller(api, mapper, polling.Options{ClusterReaderFactory: direct})
	s.Cluster = &Cluster{
		client: api, manager: ssa.NewResourceManager(api, poller, ssa.Owner{Field: fieldManager}),
		Inventory: "default", Timeout: 10 * time.Second, Tell: func(line string) { s.told = append(s.told, line) },
	}
	return s
}

var shop = &ir.Mesh{Settings: ir.Settings{Name: "shop"}}

// config is a ConfigMap of the mesh, as meshc compile writes it.
func config(name, value string) *unstructured.Unstructured {
	o := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"data": map[string]any{"key": value},
	}}
	o.SetName(name)
	o.SetNamespace("shop")
	o.SetLabels(map[string]string{kubernetes.LabelManagedBy: kubernetes.ManagedBy, kubernetes.LabelPartOf: "shop"})
	return o
}

// applyAs has somebody else apply an object.
func (s *server) applyAs(t *testing.T, manager string, o *unstructured.Unstructured) {
	t.Helper()
	if err := s.client.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(o), client.FieldOwner(manager),
		client.ForceOwnership); err != nil {
		t.Fatal(err)
	}
}

// applied applies a mesh of the objects, and returns what it told.
func (s *server) applied(ctx context.Context, objects ...*unstructured.Unstructured) (string, error) {
	s.told = nil
	err := s.apply(ctx, []stage{{"members", objects}}, object.UnstructuredSetToObjMetadataSet(objects), shop)
	return strings.Join(s.told, "\n"), err
}

// assertValue checks what the cluster has of an object; "" is none.
func (s *server) assertValue(t *testing.T, name, value string) {
	t.Helper()
	o := config(name, "")
	err := s.client.Get(t.Context(), client.ObjectKeyFromObject(o), o)
	if err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	got, _, _ := unstructured.NestedString(o.Object, "data", "key")
	if err != nil {
		got = ""
	}
	if got != value {
		t.Errorf("%s is %q, want %q", name, got, value)
	}
}

// What meshc made is deleted when the mesh has it no more; what it did not make stays, whatever
// its labels and managers say.
func TestPruneWhatMeshcMade(t *testing.T) {
	ctx := t.Context()
	s := newServer(t)
	s.applyAs(t, "kubectl", config("before", "theirs"))
	s.applyAs(t, fieldManager, config("by-hand", "theirs")) // kubectl apply --server-side --field-manager=meshc
	all := func() []*unstructured.Unstructured {
		return []*unstructured.Unstructured{
			config("before", "mesh"), config("by-hand", "mesh"), config("made", "mesh"),
			config("made-again", "mesh"), config("kept", "mesh"),
		}
	}
	said, err := s.applied(ctx, all()...)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"ConfigMap/shop/before was not made by meshc: it gets what the mesh says, and is never deleted",
		"ConfigMap/shop/by-hand was not made by meshc", "ConfigMap/shop/made created",
		"ConfigMap/shop/before configured",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q:\n%s", want, said)
		}
	}
	if said, err := s.applied(ctx, all()...); err != nil || strings.Contains(said, "not made") ||
		strings.Contains(said, "configured") || strings.Contains(said, "created") {
		t.Errorf("the second time: %v\n%s", err, said)
	}
	again := config("made-again", "")
	if err := s.client.Delete(ctx, again); err != nil {
		t.Fatal(err)
	}
	s.applyAs(t, fieldManager, config("made-again", "theirs"))
	gone, err := s.gone(ctx, object.UnstructuredSetToObjMetadataSet([]*unstructured.Unstructured{
		config("kept", "mesh"),
	}), shop)
	if err != nil {
		t.Fatal(err)
	}
	if len(gone) != 1 || gone[0].Object != "ConfigMap/shop/made" {
		t.Errorf("diff tells of %v", gone)
	}
	said, err = s.applied(ctx, config("kept", "mesh"))
	if err != nil {
		t.Fatal(err)
	}
	s.assertValue(t, "before", "mesh")
	s.assertValue(t, "by-hand", "mesh")
	s.assertValue(t, "made", "")
	s.assertValue(t, "made-again", "theirs")
	s.assertValue(t, "kept", "mesh")
	if strings.Count(said, "deleted") != 1 || strings.Count(said, "is not known to be made by meshc, and stays") != 2 {
		t.Errorf("it says:\n%s", said)
	}
}

// The Service by whose name applications reach a service was made by meshc before, and is in the spec no more: it
// stays, for they would find nobody. Those of other names, and of services that are no more, go.
func TestServicesThatApplicationsNameStay(t *testing.T) {
	service := func(name string) *unstructured.Unstructured {
		o := config(name, "")
		o.SetKind("Service")
		delete(o.Object, "data")
		return o
	}
	m := &ir.Mesh{Settings: shop.Settings}
	for _, name := range []string{"cart", "store.shop", "mine"} {
		m.Services = append(m.Services, &ir.Service{Upstream: ir.Upstream{
			Name: name, Namespace: "shop", Created: name == "mine",
		}})
	}
	s := newServer(t)
	apply := func(objects ...*unstructured.Unstructured) string {
		t.Helper()
		s.told = nil
		if err := s.apply(t.Context(), []stage{{"members", objects}},
			object.UnstructuredSetToObjMetadataSet(objects), m); err != nil {
			t.Fatal(err)
		}
		return strings.Join(s.told, "\n")
	}
	apply(service("cart"), service("store"), service("mine"), service("cart-v1"), service("gone"), config("cart", "x"))
	gone, err := s.gone(t.Context(), nil, m)
	if err != nil || len(gone) != 4 {
		t.Errorf("diff tells of %v: %v", gone, err)
	}
	said := apply()
	for name, stays := range map[string]bool{
		"cart": true, "store": true, "mine": false, "cart-v1": false, "gone": false,
	} {
		o := service(name)
		err := s.client.Get(t.Context(), client.ObjectKeyFromObject(o), o)
		if stays != (err == nil) {
			t.Errorf("%s: %v", name, err)
		}
		if told := strings.Contains(said, "Service/shop/"+name+" stays, as applications may name it"); told != stays {
			t.Errorf("it says of %s:\n%s", name, said)
		}
	}
	s.assertValue(t, "cart", "")
}

// Who is interrupted between making an object and hearing of it finds it again, and takes
// nothing for its own that somebody made in between.
func TestInterruptedBetween(t *testing.T) {
	s := newServer(t)
	stopped := errors.New("the connection is gone")
	s.made = func(o client.Object) error {
		if o.GetName() == "b" {
			return stopped
		}
		return nil
	}
	if _, err := s.applied(t.Context(), config("a", "mesh"), config("b", "mesh"), config("c", "mesh")); !errors.Is(err,
		stopped) {
		t.Fatal(err)
	}
	s.made = nil
	s.applyAs(t, "kubectl", config("c", "theirs"))
	said, err := s.applied(t.Context(), config("a", "mesh"), config("b", "mesh"), config("c", "mesh"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said, "ConfigMap/shop/c was not made by meshc") || strings.Count(said, "not made") != 1 {
		t.Errorf("it says:\n%s", said)
	}
	if _, err := s.applied(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.assertValue(t, "a", "")
	s.assertValue(t, "b", "")
	s.assertValue(t, "c", "mesh")
}

// An object that somebody makes in the moment between meshc's look and its own making is
// theirs.
func TestMadeMeanwhile(t *testing.T) {
	for name, value := range map[string]string{"the same": "mesh", "other fields": "theirs"} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			s.making = func(o client.Object) {
				if o.GetName() == "raced" {
					s.making = nil
					s.applyAs(t, "kubectl", config("raced", value))
				}
			}
			said, err := s.applied(t.Context(), config("raced", "mesh"))
			if err != nil { // their fields are not taken unseen; the next time they are there before
				if !apierrors.IsConflict(err) {
					t.Fatal(err)
				}
				said, err = s.applied(t.Context(), config("raced", "mesh"))
			}
			if err != nil || !strings.Contains(said, "made by") {
				t.Errorf("%v\n%s", err, said)
			}
			if _, err := s.applied(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.assertValue(t, "raced", "mesh")
		})
	}
}

// What an inventory of names alone lists, nobody knows the maker of.
func TestOwnerOf(t *testing.T) {
	o := config("a", "")
	o.SetUID("1")
	for said, want := range map[owner]owner{foreign: foreign, "1": "1", "2": foreign, intended: foreign} {
		if got := ownerOf(o, said); got != want {
			t.Errorf("said %q: %q, want %q", said, got, want)
		}
	}
}
