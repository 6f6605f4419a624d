package cluster

import (
	"context"
	"fmt"
	"slices"

	"github.com/fluxcd/cli-utils/pkg/object"
	"github.com/fluxcd/pkg/ssa"
	"github.com/fluxcd/pkg/ssa/utils"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/kubernetes"
)

// labelFlux is on what a Kustomization of Flux applied, with its name.
const labelFlux = "kustomize.toolkit.fluxcd.io/name"

// ours reports whether an object is the mesh's, and not somebody else's by now.
func ours(o *unstructured.Unstructured, m *ir.Mesh) bool {
	labels := o.GetLabels()
	return labels[labelFlux] == "" && labels[kubernetes.LabelManagedBy] == kubernetes.ManagedBy && labels[kubernetes.LabelPartOf] == m.Name
}

// prune deletes what was applied before and is no more, the last first. What is by now
// somebody else's stays, and so do Namespaces.
func (c *Cluster) prune(ctx context.Context, m *ir.Mesh, gone object.ObjMetadataSet) error {
	slices.Reverse(gone)
	for _, id := range gone {
		existing, err := c.existing(ctx, id)
		if err != nil {
			return err
		}
		if existing == nil {
			continue
		}
		switch {
		case !ours(existing, m):
			c.Tell(fmt.Sprintf("%s is somebody else's by now, and stays", utils.FmtObjMetadata(id)))
			continue
		case existing.GetAnnotations()[kubernetes.AnnotationPrune] == "disabled":
			c.Tell(fmt.Sprintf("%s may hold what is not the mesh's, and stays", utils.FmtObjMetadata(id)))
			continue
		}
		change, err := c.manager.Delete(ctx, existing, ssa.DeleteOptions{PropagationPolicy: metav1.DeletePropagationBackground})
		if err != nil {
			return err
		}
		c.Tell(change.String())
	}
	return nil
}

// existing is the object as it is in the cluster; nil when it is not.
func (c *Cluster) existing(ctx context.Context, id object.ObjMetadata) (*unstructured.Unstructured, error) {
	mapping, err := c.client.RESTMapper().RESTMapping(id.GroupKind)
	if meta.IsNoMatchError(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(mapping.GroupVersionKind)
	err = c.client.Get(ctx, client.ObjectKey{Namespace: id.Namespace, Name: id.Name}, o)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return o, err
}

// fluxOwner is the Kustomization of Flux that an object belongs to; empty for none.
func (c *Cluster) fluxOwner(ctx context.Context, o *unstructured.Unstructured) (string, error) {
	existing, err := c.existing(ctx, object.UnstructuredToObjMetadata(o))
	if err != nil || existing == nil {
		return "", err
	}
	return existing.GetLabels()[labelFlux], nil
}
