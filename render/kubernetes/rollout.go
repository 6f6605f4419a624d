package kubernetes

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshc/meshc/compiler/ir"
)

// The ConfigMap in which each meshc serve reports which mesh its proxies have
// acknowledged: beside the hash of the mesh that was applied, a key for each pod of
// the server with the hash of the mesh that it serves, or of the one that it cannot
// take, and one of the words.
const (
	RolloutName         = "mesh-rollout"
	RolloutMesh         = "mesh"
	RolloutAcknowledged = "acknowledged"
	RolloutRefused      = "refused"
	RolloutInvalid      = "invalid"

	rolloutPods   = "server."
	rolloutCounts = "proxies."
)

// RolloutKey is the key of a pod's report, and RolloutPod the pod of a key.
func RolloutKey(pod string) string { return rolloutPods + pod }

// RolloutPod is the pod whose report has that key; false for another key.
func RolloutPod(key string) (string, bool) { return strings.CutPrefix(key, rolloutPods) }

// RolloutCount is the key of how many proxies a pod has, and RolloutCounted the pod of such a key.
func RolloutCount(pod string) string { return rolloutCounts + pod }

// RolloutCounted is the pod whose proxies are counted under that key; false for another key.
func RolloutCounted(key string) (string, bool) { return strings.CutPrefix(key, rolloutCounts) }

// rollout is what is applied of it; the reports are the servers'.
func rollout(m *ir.Mesh, hash string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: meshMeta(&m.Settings, m.SystemNamespace(), RolloutName),
		Data:       map[string]string{RolloutMesh: hash},
	}
}

// RolloutHealth are expressions in CEL that tell how a rollout stands, of the
// ConfigMap as the variable data (Flux, healthCheckExprs): whether some proxy refuses
// the mesh, and whether all that are connected have acknowledged it.
func RolloutHealth() (failed, current string) {
	const servers = `data.filter(k, k.startsWith('` + rolloutPods + `'))`
	failed = servers + `.exists(k, data[k].startsWith(data.` + RolloutMesh + ` + ' ` + RolloutInvalid +
		`') || data[k].startsWith(data.` + RolloutMesh + ` + ' ` + RolloutRefused + `'))`
	current = servers + `.size() > 0 && ` + servers + `.all(k, data[k] == data.` + RolloutMesh + ` + ' ` +
		RolloutAcknowledged + `')`
	return failed, current
}
