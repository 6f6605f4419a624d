package cluster

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/fluxcd/cli-utils/pkg/object"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshc/meshc/render/kubernetes"
)

// inventory is what was applied of a mesh: the objects' names, a line each, in a
// ConfigMap, compressed, as one holds 1 MiB.
type inventory struct {
	cluster *Cluster
	name    string // of the mesh
}

const (
	inventoryKey = "objects.gz"
	maxInventory = 64 << 20 // bytes, unpacked
)

func (i *inventory) key() client.ObjectKey {
	return client.ObjectKey{Namespace: i.cluster.Inventory, Name: "meshc-inventory." + i.name}
}

// read is what was applied before; nothing the first time.
func (i *inventory) read(ctx context.Context) (object.ObjMetadataSet, error) {
	var config corev1.ConfigMap
	err := i.cluster.client.Get(ctx, i.key(), &config)
	if apierrors.IsNotFound(err) {
		return nil, nil
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
	var set object.ObjMetadataSet
	for line := range strings.Lines(string(text)) {
		id, err := object.ParseObjMetadata(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return nil, fmt.Errorf("the inventory %s: %w", i.key(), err)
		}
		set = append(set, id)
	}
	return set, nil
}

// write puts the set in its place.
func (i *inventory) write(ctx context.Context, set object.ObjMetadataSet) error {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	for _, id := range set.Unique() {
		if _, err := fmt.Fprintln(w, id); err != nil {
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
