package kubernetes

import (
	"log/slog"
	"maps"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/meshc/meshc/render/kubernetes"
)

// TestCounted has servers say how many proxies they have: those that are ready are counted, what pods that are gone
// said is taken out, and the reports of the rollout stay as they are.
func TestCounted(t *testing.T) {
	servers := slice("meshc", "meshc-1", discoveryv1.AddressTypeIPv4, pod("a", "10.0.0.1", "z", "rs"),
		pod("b", "10.0.0.2", "z", "rs"), pod("starting", "10.0.0.3", "z", ""), pod("silent", "10.0.0.4", "z", "rs"))
	servers.Namespace = "shop-system"
	client := fake.NewClientset(servers, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop-system", Name: kubernetes.RolloutName},
		Data: map[string]string{
			"mesh": "1234", "server.a": "1234 acknowledged", "proxies.a": "3", "proxies.b": "40", "proxies.starting": "0",
			"proxies.gone": "7",
		},
	})
	c := &Cluster{client: client, log: slog.New(slog.DiscardHandler), config: Config{Pod: "a"}}
	others, err := c.counted(t.Context(), "shop-system", 12)
	if want := map[string]int{"b": 40}; err != nil || !maps.Equal(others, want) {
		t.Errorf("%v %v, want %v", others, err, want)
	}
	config, err := client.CoreV1().ConfigMaps("shop-system").Get(t.Context(), kubernetes.RolloutName, metav1.GetOptions{})
	want := map[string]string{
		"mesh": "1234", "server.a": "1234 acknowledged", "proxies.a": "12", "proxies.b": "40", "proxies.starting": "0",
	}
	if err != nil || !maps.Equal(config.Data, want) {
		t.Errorf("%v %v, want %v", config.Data, err, want)
	}
}
