package cluster

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"maps"
	"strings"
	"time"

	"github.com/fluxcd/cli-utils/pkg/object"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshc/meshc/render/kubernetes"
)

// inventory is what was applied of a mesh: a line for each object, its name and whose it
// is, in a ConfigMap, compressed, as one holds 1 MiB.
type inventory struct {
	cluster *Cluster
	name    string // of the mesh
	names   object.ObjMetadataSet
	owners  map[object.ObjMetadata]owner
}

// owner is the UID of the object that meshc apply made, or one of:
type owner string

const (
	// foreign is an object that was there before, or of which nobody knows who made it.
	foreign owner = ""
	// intended is an object that was not there, and is to be made next: who is interrupted
	// there does not know whether it was.
	intended owner = "intended"
)

const (
	inventoryKey = "objects.gz"
	maxInventory = 64 << 20 // bytes, unpacked
)

func (i *inventory) key() client.ObjectKey {
	return client.ObjectKey{Namespace: i.cluster.Inventory, Name: "meshc-inventory." + i.name}
}

// inventory reads what was applied of a mesh before; nothing the first time.
func (c *Cluster) inventory(ctx context.Context, mesh string) (*inventory, error) {
	i := &inventory{cluster: c, name: mesh, owners: map[object.ObjMetadata]owner{}}
	var config corev1.ConfigMap
	err := c.client.Get(ctx, i.key(), &config)
	if apierrors.IsNotFound(err) {
		return i, nil
	}
	if err != nil {
		return nil, err
	}
	packed, err := gzip.NewReader(bytes.NewReader(config.BinaryData[inventoryKey]))
	if err != nil {
		return nil, fmt.Errorf("the inventory %s cannot be read: %w", i.key(), err)
	}
	text, err := io.ReadAll(io.LimitReader(packed, maxInventory))
	if err != nil {
		return nil, fmt.Errorf("the inventory %s cannot be read: %w", i.key(), err)
	}
	for line := range strings.Lines(string(text)) {
		name, by, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		id, err := object.ParseObjMetadata(name)
		if err != nil {
			return nil, fmt.Errorf("the inventory %s: %w", i.key(), err)
		}
		i.set(id, owner(by))
	}
	return i, nil
}

// set says whose an object is.
func (i *inventory) set(id object.ObjMetadata, by owner) {
	if _, known := i.owners[id]; !known {
		i.names = append(i.names, id)
	}
	i.owners[id] = by
}

// keep forgets all objects but these.
func (i *inventory) keep(names object.ObjMetadataSet) {
	i.names = i.names.Intersection(names)
	known := names.ToMap()
	maps.DeleteFunc(i.owners, func(id object.ObjMetadata, _ owner) bool {
		_, kept := known[id]
		return !kept
	})
}

// write puts the inventory in its place. What was made is written down even when ctx has
// ended: what is not is left in the cluster for ever.
func (i *inventory) write(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	for _, id := range i.names {
		if _, err := fmt.Fprintln(w, strings.TrimSuffix(id.String()+" "+string(i.owners[id]), " ")); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	config := applycorev1.ConfigMap(i.key().Name, i.key().Namespace).
		WithLabels(map[string]string{kubernetes.LabelManagedBy: kubernetes.ManagedBy, kubernetes.LabelPartOf: i.name}).
		WithBinaryData(map[string][]byte{inventoryKey: packed.Bytes()})
	return i.cluster.client.Apply(ctx, config, client.FieldOwner(fieldManager), client.ForceOwnership)
}
