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

// ours reports whether an object is the mesh's: the one that meshc made by what the inventory
// says of its name, and not handed to somebody else since.
func ours(o *unstructured.Unstructured, m *ir.Mesh, said owner) bool {
	labels := o.GetLabels()
	return ownerOf(o, said) != foreign && labels[labelFlux] == "" &&
		labels[kubernetes.LabelManagedBy] == kubernetes.ManagedBy && labels[kubernetes.LabelPartOf] == m.Name
}

// prune deletes what meshc made and the mesh has no more, the last first. What somebody else
// made, or has by now, stays, and so do Namespaces.
func (c *Cluster) prune(ctx context.Context, m *ir.Mesh, i *inventory, now object.ObjMetadataSet) error {
	gone := i.names.Diff(now)
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
		case i.owners[id] == foreign:
			c.Tell(fmt.Sprintf("%s is not known to be made by meshc, and stays", utils.FmtObjMetadata(id)))
			continue
		case !ours(existing, m, i.owners[id]):
			c.Tell(fmt.Sprintf("%s is somebody else's by now, and stays", utils.FmtObjMetadata(id)))
			continue
		case isNamed(id, m):
			c.Tell(fmt.Sprintf("%s stays, as applications may name it: delete it when the team's own is to take its place",
				utils.FmtObjMetadata(id)))
			continue
		case existing.GetAnnotations()[kubernetes.AnnotationPrune] == "disabled":
			c.Tell(fmt.Sprintf("%s may hold what is not the mesh's, and stays", utils.FmtObjMetadata(id)))
			continue
		}
		uid := existing.GetUID()
		err = c.client.Delete(ctx, existing, client.Preconditions{UID: &uid},
			client.PropagationPolicy(metav1.DeletePropagationBackground))
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("%s: %w", utils.FmtObjMetadata(id), err)
		}
		c.Tell(fmt.Sprintf("%s %s", utils.FmtObjMetadata(id), ssa.DeletedAction))
	}
	return nil
}

// isNamed reports whether an object is the Service by whose name applications reach a service of the mesh, of which the
// spec does not say that meshc makes it. Former versions of meshc made one for each service: whoever relied on it would
// lose it with the first meshc apply of this one.
func isNamed(id object.ObjMetadata, m *ir.Mesh) bool {
	return id.GroupKind.Group == "" && id.GroupKind.Kind == "Service" &&
		slices.ContainsFunc(m.Services, func(s *ir.Service) bool {
			return !s.Created && s.Namespace == id.Namespace && s.PlainName() == id.Name
		})
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
