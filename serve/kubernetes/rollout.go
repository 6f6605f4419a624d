package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

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
	// maxReason bounds what is reported of a refusal, in bytes.
	maxReason = 512
)

// Words of a report: what all proxies of a server have done with the mesh.
const (
	wordAcknowledged = kubernetes.RolloutAcknowledged
	wordBehind       = "behind"
	wordInvalid      = kubernetes.RolloutInvalid
	wordRefused      = kubernetes.RolloutRefused
)

// Report keeps the server's report in the ConfigMap of the rollout, under a key of its
// own pod: which mesh its proxies have acknowledged. A Kustomization of Flux waits for
// all of them (healthCheckExprs), and kubectl shows them.
func (c *Cluster) Report(ctx context.Context, namespace string) {
	said, failed := "", ""
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
		text := report(r)
		if text == "" || text == said && time.Since(at) < repeat {
			continue
		}
		if err := c.write(ctx, namespace, text); err != nil {
			if failed != err.Error() && ctx.Err() == nil {
				failed = err.Error()
				c.log.Warn("the report of the rollout cannot be written", "error", err)
			}
			continue
		}
		said, at, failed = text, time.Now(), ""
	}
}

// report is what a server says: the hash of its mesh, and how far its proxies are.
func report(r serve.Rollout) string {
	short := func(text string) string { return strings.ToValidUTF8(text[:min(len(text), maxReason)], "") }
	switch {
	case r.Failure != "":
		return short(fmt.Sprintf("%s: %s", wordInvalid, r.Failure))
	case r.Mesh == "":
		return ""
	case r.Refused != "":
		return short(fmt.Sprintf("%s %s: %s", r.Mesh, wordRefused, r.Refused))
	case r.Behind > 0:
		return fmt.Sprintf("%s %s: %d of %d proxies", r.Mesh, wordBehind, r.Behind, r.Proxies)
	}
	return fmt.Sprintf("%s %s", r.Mesh, wordAcknowledged)
}

// write puts the report into the ConfigMap, and takes out those of pods that are gone.
func (c *Cluster) write(ctx context.Context, namespace, text string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	configs := c.client.CoreV1().ConfigMaps(namespace)
	config, err := configs.Get(ctx, kubernetes.RolloutName, metav1.GetOptions{})
	if err != nil {
		return err
	}
	own := kubernetes.RolloutKey(c.config.Pod)
	patch := map[string]any{own: text}
	pods, err := c.servers(ctx, namespace)
	if err != nil {
		return err
	}
	for key := range config.Data {
		if pod, ok := kubernetes.RolloutPod(key); ok && key != own && !pods[pod] {
			patch[key] = nil
		}
	}
	if config.Data[own] == text && len(patch) == 1 {
		return nil
	}
	data, err := json.Marshal(map[string]any{"data": patch})
	if err != nil {
		return err
	}
	_, err = configs.Patch(ctx, kubernetes.RolloutName, types.MergePatchType, data, metav1.PatchOptions{FieldManager: "meshc-serve"})
	return err
}

// servers are the pods of the mesh's servers, ready or not.
func (c *Cluster) servers(ctx context.Context, namespace string) (map[string]bool, error) {
	slices, err := c.client.DiscoveryV1().EndpointSlices(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for i := range slices.Items {
		for j := range slices.Items[i].Endpoints {
			out[podName(&slices.Items[i].Endpoints[j])] = true
		}
	}
	maps.DeleteFunc(out, func(name string, _ bool) bool { return name == "" })
	return out, nil
}
