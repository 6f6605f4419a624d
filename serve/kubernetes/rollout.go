package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/meshc/meshc/render/kubernetes"
	"github.com/meshc/meshc/serve"
)

const (
	// look is how often it is looked whether the report changed.
	look = 250 * time.Millisecond
	// repeat is how often it is looked whether the report is still there, and the
	// reports of servers that are gone are taken out.
	repeat = 30 * time.Second
	// again is how often it is looked which mesh it is that cannot be taken.
	again = 2 * time.Second
	// maxReason bounds what is reported of a refusal, in bytes.
	maxReason = 512
)

// Report writes the server's report to the ConfigMap of the rollout, under a key with the name of its pod: which mesh
// its proxies have acknowledged. It keeps the report up to date until the context ends. A Kustomization of Flux waits
// for all reports (healthCheckExprs), and kubectl shows them.
func (c *Cluster) Report(ctx context.Context, namespace string) {
	said, failed := serve.Rollout{}, ""
	var at time.Time
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		r := c.server.Rollout()
		age := time.Since(at)
		if r == said && age < repeat && (r.Failure == "" || age < again) {
			continue
		}
		if err := c.write(ctx, namespace, r); err != nil {
			if failed != err.Error() && ctx.Err() == nil {
				failed = err.Error()
				c.log.Warn("the report of the rollout cannot be written", "error", err)
			}
			continue
		}
		said, at, failed = r, time.Now(), ""
	}
}

// report is what a server says of the mesh that was applied: the hash of the mesh that
// it means, and how far its proxies are with it.
func report(r serve.Rollout, applied string) string {
	short := func(text string) string { return strings.ToValidUTF8(text[:min(len(text), maxReason)], "") }
	switch {
	case r.Failure != "": // whatever it is that cannot be taken
		return short(fmt.Sprintf("%s %s: %s", applied, kubernetes.RolloutInvalid, r.Failure))
	case r.Mesh == "":
		return ""
	case r.Refused != "":
		return short(fmt.Sprintf("%s %s: %s", r.Mesh, kubernetes.RolloutRefused, r.Refused))
	case r.Behind > 0:
		return fmt.Sprintf("%s behind: %d of %d proxies", r.Mesh, r.Behind, r.Proxies)
	}
	return r.Mesh + " " + kubernetes.RolloutAcknowledged
}

// write puts the report into the ConfigMap, and takes out those of pods that are gone.
func (c *Cluster) write(ctx context.Context, namespace string, r serve.Rollout) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	config, err := c.client.CoreV1().ConfigMaps(namespace).Get(ctx, kubernetes.RolloutName, metav1.GetOptions{})
	if err != nil {
		return err
	}
	text := report(r, config.Data[kubernetes.RolloutMesh])
	if text == "" {
		return nil
	}
	pods, err := c.servers(ctx, namespace)
	if err != nil {
		return err
	}
	c.hears(kindServers, namespace)()
	return c.tell(ctx, config, kubernetes.RolloutKey(c.config.Pod), text, kubernetes.RolloutPod, pods)
}

// tell puts what this server says under its own key of the ConfigMap of the rollout, and takes out what pods that are
// gone have said under such keys. PodOf is the pod of such a key; false for another one.
func (c *Cluster) tell(ctx context.Context, config *corev1.ConfigMap, own, text string,
	podOf func(key string) (string, bool), pods map[string]bool,
) error {
	patch := map[string]any{}
	for key := range config.Data {
		pod, ok := podOf(key)
		if _, there := pods[pod]; ok && key != own && !there {
			patch[key] = nil
		}
	}
	if config.Data[own] != text {
		patch[own] = text
	}
	if len(patch) == 0 {
		return nil
	}
	data, err := json.Marshal(map[string]any{"data": patch})
	if err != nil {
		return err
	}
	_, err = c.client.CoreV1().ConfigMaps(config.Namespace).Patch(ctx, config.Name, types.MergePatchType, data,
		metav1.PatchOptions{FieldManager: agent})
	return err
}

// servers are the pods of the mesh's servers, and whether they are ready.
func (c *Cluster) servers(ctx context.Context, namespace string) (map[string]bool, error) {
	slices, err := c.client.DiscoveryV1().EndpointSlices(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for i := range slices.Items {
		for j := range slices.Items[i].Endpoints {
			e := &slices.Items[i].Endpoints[j]
			out[podName(e)] = condition(e.Conditions.Ready, true)
		}
	}
	return out, nil
}
