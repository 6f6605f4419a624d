// Package flux renders what makes Flux apply the output directory: a source, and
// a Kustomization for each part of it, each waiting for those that it depends on:
//
//	MESH-namespaces     ./kubernetes
//	MESH-certificates   ./certificates             after the Namespaces
//	MESH-server         ./kubernetes/MESH-system   after its certificate is there;
//	                                               ready when all proxies that are
//	                                               connected have taken the new mesh
//	MESH-members-NS     ./kubernetes/NS            after all of these
//
// They are applied once by hand, or stand in the repository that Flux already
// reads: kubectl apply -f DIR/flux.
package flux

import (
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	kustomize "github.com/fluxcd/kustomize-controller/api/v1"
	apis "github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/apis/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/kubernetes"
	"github.com/meshc/meshc/render/manifest"
)

const (
	sourceFile         = "flux/source.yaml"
	kustomizationsFile = "flux/kustomizations.yaml"
)

// Mesh renders the source and the Kustomizations; nothing when the mesh does not
// say where Flux finds it, or has nothing in a cluster.
func Mesh(m *ir.Mesh) ([]manifest.File, error) {
	layout := kubernetes.LayoutOf(m)
	if m.Flux == nil || layout.Namespaces == "" {
		return nil, nil
	}
	origin, reference := source(&m.Settings)
	sources, err := manifest.YAMLFile(sourceFile, manifest.Object(origin))
	if err != nil {
		return nil, err
	}
	k := kustomizations{settings: &m.Settings, source: reference}
	k.add("namespaces", layout.Namespaces)
	if layout.Certificates != "" {
		k.add("certificates", layout.Certificates)
	}
	if layout.Server != "" {
		k.add("server", layout.Server, meta.NamespacedObjectKindReference{
			APIVersion: "apps/v1", Kind: "Deployment", Name: ir.ServerName, Namespace: m.SystemNamespace(),
		}, meta.NamespacedObjectKindReference{
			APIVersion: "v1", Kind: "ConfigMap", Name: kubernetes.RolloutName, Namespace: m.SystemNamespace(),
		})
	}
	// The members of a namespace wait for all of these, and not for one another.
	before := k.names
	for _, name := range slices.Sorted(maps.Keys(layout.Members)) {
		k.names = before
		k.add("members-"+name, layout.Members[name])
	}
	rest, err := manifest.YAMLFile(kustomizationsFile, k.objects...)
	return []manifest.File{sources, rest}, err
}

// kustomizations collects them; each depends on those named before it.
type kustomizations struct {
	settings *ir.Settings
	source   kustomize.CrossNamespaceSourceReference
	names    []string
	objects  []any
}

// add makes the Kustomization of a directory. It is done when the given objects
// are healthy, or when none is given all that it applies.
func (k *kustomizations) add(name, dir string, healthy ...meta.NamespacedObjectKindReference) {
	name = ir.Label(k.settings.Name + "-" + name)
	object := &kustomize.Kustomization{
		TypeMeta:   metav1.TypeMeta{APIVersion: kustomize.GroupVersion.String(), Kind: kustomize.KustomizationKind},
		ObjectMeta: objectMeta(k.settings, name),
		Spec: kustomize.KustomizationSpec{
			SourceRef:     k.source,
			Path:          "./" + path.Join(strings.TrimPrefix(k.settings.Flux.Path, "/"), dir),
			Interval:      metav1.Duration{Duration: correction},
			RetryInterval: &metav1.Duration{Duration: time.Duration(k.settings.Flux.Interval)},
			Timeout:       &metav1.Duration{Duration: patience},
			Prune:         true,
			HealthChecks:  healthy,
			Wait:          len(healthy) == 0,
		},
	}
	for _, check := range healthy {
		if check.Kind == "ConfigMap" {
			failed, current := kubernetes.RolloutHealth()
			object.Spec.HealthCheckExprs = []apis.CustomHealthCheck{{
				APIVersion: check.APIVersion, Kind: check.Kind,
				HealthCheckExpressions: apis.HealthCheckExpressions{Failed: failed, Current: current},
			}}
		}
	}
	for _, before := range k.names {
		object.Spec.DependsOn = append(object.Spec.DependsOn, kustomize.DependencyReference{Name: before})
	}
	k.names = append(slices.Clip(k.names), name)
	k.objects = append(k.objects, manifest.Object(object))
}

const (
	// correction is how often Flux takes back what others changed; a new revision
	// of the source is applied at once.
	correction = 10 * time.Minute
	patience   = 5 * time.Minute
)

func objectMeta(settings *ir.Settings, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name: name, Namespace: settings.Flux.Namespace,
		Labels: map[string]string{"app.kubernetes.io/managed-by": "meshc", "app.kubernetes.io/part-of": settings.Name},
	}
}
