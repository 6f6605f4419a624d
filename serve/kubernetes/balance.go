package kubernetes

import (
	"context"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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
	config, err := c.client.CoreV1().ConfigMaps(namespace).Get(ctx, kubernetes.RolloutName, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	servers, err := c.servers(ctx, namespace)
	if err != nil {
		return nil, err
	}
	others := map[string]int{}
	for key, text := range config.Data {
		pod, ok := kubernetes.RolloutCounted(key)
		if n, err := strconv.Atoi(text); ok && pod != c.config.Pod && err == nil && n >= 0 && servers[pod] {
			others[pod] = n
		}
	}
	return others, c.tell(ctx, config, kubernetes.RolloutCount(c.config.Pod), strconv.Itoa(own),
		kubernetes.RolloutCounted, servers)
}
