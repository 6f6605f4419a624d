package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/kubernetes"
)

// rollout waits until the servers report that every proxy which is connected has
// acknowledged the mesh that was applied.
func (c *Cluster) rollout(ctx context.Context, m *ir.Mesh) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	said := ""
	for {
		var config corev1.ConfigMap
		missing, done, failed := "", false, false
		if err := c.client.Get(ctx, client.ObjectKey{Namespace: m.SystemNamespace(), Name: kubernetes.RolloutName},
			&config); err != nil {
			missing = "the API server does not tell"
		} else {
			done, failed, missing = taken(config.Data)
		}
		if failed {
			return errors.New("the proxies do not accept the mesh: " + missing)
		}
		if done {
			c.Tell("every proxy that is connected has the mesh " + config.Data[kubernetes.RolloutMesh])
			return nil
		}
		if missing != said {
			said = missing
			c.Tell("waiting for the proxies: " + missing)
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return fmt.Errorf("after %v some proxies do not have the mesh yet: %s", c.Timeout, missing)
			}
			return ctx.Err()
		case <-time.After(250 * time.Millisecond):
		}
	}
}

// taken reports whether all servers say that their proxies have the mesh, and else
// what the first one says that does not; it has failed when one says that the mesh, or
// something of it, is refused.
func taken(data map[string]string) (done, failed bool, missing string) {
	servers := 0
	for _, key := range slices.Sorted(maps.Keys(data)) {
		pod, ok := kubernetes.RolloutPod(key)
		if !ok {
			continue
		}
		servers++
		said, ofThis := strings.CutPrefix(data[key], data[kubernetes.RolloutMesh]+" ")
		switch {
		case ofThis && said == kubernetes.RolloutAcknowledged:
		case ofThis:
			return false, strings.HasPrefix(said, kubernetes.RolloutInvalid) ||
				strings.HasPrefix(said, kubernetes.RolloutRefused), pod + " says: " + said
		default:
			return false, false, pod + " has the mesh before it"
		}
	}
	return servers > 0, false, "no server has reported yet"
}
