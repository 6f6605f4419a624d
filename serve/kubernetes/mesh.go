package kubernetes

import (
	"context"
	"fmt"
	"io/fs"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/identity/apiserver"
	"github.com/meshc/meshc/render/meshfile"
)

// settle is how long parts of a mesh that do not fit together are waited for: they are
// applied one after the other.
const settle = 5 * time.Second

// FollowMesh serves the mesh in the ConfigMaps of a namespace that match the label selector, and serves it again when
// they change, until the context ends. A mesh can consist of several ConfigMaps; while these do not belong together,
// the last complete mesh is served. The function taken is called before a mesh from the cluster is served, so that
// the caller can stop serving an older mesh from another source.
func (c *Cluster) FollowMesh(ctx context.Context, namespace, selector string, taken func()) error {
	var reader ir.Reader
	for ctx.Err() == nil {
		if err := c.followMesh(ctx, &reader, namespace, selector, taken); err != nil {
			return err
		}
		c.untilBack(ctx)
	}
	return nil
}

// followMesh follows until the watch fails.
func (c *Cluster) followMesh(ctx context.Context, reader *ir.Reader, namespace, selector string, taken func()) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	configs := newWatch[*corev1.ConfigMap](c, namespace, c.client.CoreV1().
		ConfigMaps(namespace), metav1.ListOptions{LabelSelector: selector}, c.hears(kindMesh, namespace))
	go configs.run(ctx)
	var failing <-chan time.Time
	failure := ""
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-configs.failed:
			return nil
		case <-failing:
			failing = nil
			c.server.SetFailure(failure)
			continue
		case <-configs.changed:
		}
		if !configs.complete(ctx) {
			return nil
		}
		m, err := joined(reader, configs.objects())
		if err != nil {
			failure = fmt.Sprintf("the ConfigMaps of the mesh in %s: %v", namespace, err)
			if failing == nil {
				failing = time.After(settle)
			}
			continue
		}
		failing = nil
		taken()
		if err := c.server.SetMesh(m); err != nil {
			c.server.SetFailure(err.Error())
		}
	}
}

// ReadMesh returns the mesh in the ConfigMaps of a namespace that match the label selector.
func ReadMesh(ctx context.Context, client apiserver.Client, namespace, selector string) (*ir.Mesh, error) {
	list, err := client.CoreV1().ConfigMaps(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, err
	}
	var parts []*corev1.ConfigMap
	for i := range list.Items {
		parts = append(parts, &list.Items[i])
	}
	return joined(new(ir.Reader), parts)
}

// joined is the mesh whose parts are in the ConfigMaps.
func joined(r *ir.Reader, list []*corev1.ConfigMap) (*ir.Mesh, error) {
	parts := map[string][]byte{}
	for _, c := range list {
		for name, data := range c.BinaryData {
			parts[name] = data
		}
	}
	return meshfile.Joined(r, func(part string) ([]byte, error) {
		if data, ok := parts[part]; ok {
			return data, nil
		}
		return nil, &fs.PathError{Op: "read", Path: part, Err: fs.ErrNotExist}
	})
}
