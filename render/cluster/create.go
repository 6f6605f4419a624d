package cluster

import (
	"context"
	"fmt"
	"sort"

	"github.com/fluxcd/cli-utils/pkg/object"
	"github.com/fluxcd/pkg/ssa"
	"github.com/fluxcd/pkg/ssa/utils"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// create makes those of a stage's objects that the cluster has not, and returns those that
// are to be applied to what is there. The inventory then says whose each is: only what
// meshc made is ever deleted by it. What belongs to Flux is left alone.
func (c *Cluster) create(ctx context.Context, objects []*unstructured.Unstructured, i *inventory) (made,
	there []*unstructured.Unstructured, err error,
) {
	sort.Sort(ssa.SortableUnstructureds(objects))
	var missing []*unstructured.Unstructured
	for _, o := range objects {
		id := object.UnstructuredToObjMetadata(o)
		existing, err := c.existing(ctx, id)
		if err != nil {
			return nil, nil, err
		}
		if existing == nil {
			i.set(id, intended)
			missing = append(missing, o)
			continue
		}
		if flux := existing.GetLabels()[labelFlux]; flux != "" {
			c.Tell(fmt.Sprintf("%s belongs to Flux (%s)", utils.FmtUnstructured(o), flux))
			continue
		}
		_, known := i.owners[id]
		before := i.owners[id]
		i.set(id, ownerOf(existing, before))
		if i.owners[id] == foreign && (!known || before != foreign) {
			c.Tell(fmt.Sprintf("%s was not made by meshc: it gets what the mesh says, and is never deleted",
				utils.FmtUnstructured(o)))
		}
		there = append(there, o)
	}
	if err := i.write(ctx); err != nil {
		return nil, nil, err
	}
	if len(missing) == 0 {
		return nil, there, nil
	}
	for _, o := range missing {
		if err = c.createOne(ctx, o, i); err != nil {
			break
		}
		made = append(made, o)
	}
	if wrong := i.write(ctx); err == nil {
		err = wrong
	}
	return made, there, err
}

// createOne makes an object that was not there a moment ago. It is not forced, so that the
// fields of somebody who made it since remain theirs, and show it.
func (c *Cluster) createOne(ctx context.Context, o *unstructured.Unstructured, i *inventory) error {
	answer := o.DeepCopy()
	if err := c.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(answer),
		client.FieldOwner(fieldManager)); err != nil {
		return fmt.Errorf("%s: %w", utils.FmtUnstructured(o), err)
	}
	by := ownerOf(answer, intended)
	i.set(object.UnstructuredToObjMetadata(o), by)
	if by == foreign {
		c.Tell(fmt.Sprintf("%s was made by somebody else meanwhile: it gets what the mesh says, and is never deleted",
			utils.FmtUnstructured(o)))
		return nil
	}
	c.Tell(fmt.Sprintf("%s %s", utils.FmtUnstructured(o), ssa.CreatedAction))
	return nil
}

// ownerOf is whose an object is that is there, by what the inventory says of its name. One
// that was about to be made is meshc's when nobody else has written a field of it.
func ownerOf(existing *unstructured.Unstructured, said owner) owner {
	switch said {
	case foreign:
		return foreign
	case intended:
		fields := existing.GetManagedFields()
		for _, f := range fields {
			if f.Manager != fieldManager && f.Subresource == "" {
				return foreign
			}
		}
		if len(fields) == 0 {
			return foreign
		}
		return owner(existing.GetUID())
	}
	if owner(existing.GetUID()) != said {
		return foreign
	}
	return said
}
