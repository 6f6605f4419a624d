package kubernetes

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/meshc/meshc/render/kubernetes"
)

// count is how often each server says how many proxies it has, and looks whether it has more than its share.
const count = 5 * time.Second

// Balance balances proxies over the servers of the mesh until the context ends: each says in the ConfigMap of the
// rollout how many it has. Servers that are not ready take none.
func (c *Cluster) Balance(ctx context.Context, namespace string) {
	failed := ""
	tick := time.NewTicker(count)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		others, err := c.counted(ctx, namespace, c.server.Connected())
		if err == nil {
			c.server.Balance(others, time.Now())
			failed = ""
		} else if failed != err.Error() && ctx.Err() == nil {
			failed = err.Error()
			c.log.Warn("proxies are not balanced over the servers", "error", err)
		}
	}
}

// counted says how many proxies this server has, and returns those of the other servers that are ready, by pod.
func (c *Cluster) counted(ctx context.Context, namespace string, own int) (map[string]int, error) {
	ctx, cancel := context.WithTimeout(ctx, count)
	defer cancel()
	configs := c.client.CoreV1().ConfigMaps(namespace)
	config, err := configs.Get(ctx, kubernetes.RolloutName, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	servers, err := c.servers(ctx, namespace)
	if err != nil {
		return nil, err
	}
	patch, others := map[string]any{}, map[string]int{}
	for key, text := range config.Data {
		pod, ok := kubernetes.RolloutCounted(key)
		if !ok || pod == c.config.Pod {
			continue
		}
		ready, there := servers[pod]
		if n, err := strconv.Atoi(text); err == nil && n >= 0 && ready {
			others[pod] = n
		}
		if !there {
			patch[key] = nil
		}
	}
	if key, text := kubernetes.RolloutCount(c.config.Pod), strconv.Itoa(own); config.Data[key] != text {
		patch[key] = text
	}
	if len(patch) == 0 {
		return others, nil
	}
	data, err := json.Marshal(map[string]any{"data": patch})
	if err != nil {
		return nil, err
	}
	_, err = configs.Patch(ctx, kubernetes.RolloutName, types.MergePatchType, data,
		metav1.PatchOptions{FieldManager: agent})
	return others, err
}
