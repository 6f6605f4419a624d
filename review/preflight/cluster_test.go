package preflight

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/rest"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/identity/apiserver"
)

// cluster is one as its API server tells of it.
type cluster struct {
	version version.Info
	nodes   []corev1.Node
	pods    []corev1.Pod
	// forbidden is a path that the user may not ask for.
	forbidden string
}

// asked is that cluster behind an API server which answers in pages of one object.
func (c *cluster) asked(t *testing.T) *Cluster {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		last := r.URL.Query().Get("continue") != ""
		var answer any
		switch {
		case r.URL.Path == c.forbidden:
			w.WriteHeader(http.StatusForbidden)
			answer = metav1.Status{
				TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
				Status:   metav1.StatusFailure, Reason: metav1.StatusReasonForbidden, Code: http.StatusForbidden,
			}
		case r.URL.Path == "/version":
			answer = c.version
		case r.URL.Path == "/api/v1/nodes":
			items, next := page(c.nodes, last)
			answer = corev1.NodeList{ListMeta: next, Items: items}
		case r.URL.Path == "/api/v1/namespaces/shop/pods":
			items, next := page(c.pods, last)
			answer = corev1.PodList{ListMeta: next, Items: items}
		default:
			t.Errorf("it asks for %s", r.URL)
		}
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	client, err := apiserver.NewClient(&rest.Config{Host: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	m := &ir.Mesh{}
	for name, pods := range map[string]ir.Pods{
		"cart": {Kind: ir.Deployment, Name: "cart"}, "db": {Kind: ir.StatefulSet, Name: "db"},
		"report": {Kind: ir.CronJob, Name: "report"},
	} {
		m.Services = append(m.Services, &ir.Service{
			Upstream: ir.Upstream{Name: name, Namespace: "shop", Workload: ir.Workload{Pods: &pods}},
		})
	}
	return &Cluster{Client: client, Address: s.URL, Mesh: m}
}

// page is the first object of a list, or the others.
func page[T any](all []T, last bool) ([]T, metav1.ListMeta) {
	switch {
	case last:
		return all[1:], metav1.ListMeta{}
	case len(all) > 1:
		return all[:1], metav1.ListMeta{Continue: "more"}
	}
	return all, metav1.ListMeta{}
}

func node(name, arch string, ready corev1.ConditionStatus) corev1.Node {
	return corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NodeStatus{
		NodeInfo:   corev1.NodeSystemInfo{Architecture: arch},
		Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready}},
	}}
}

func pod(name, kind, owner, hash string, containers ...string) corev1.Pod {
	controls := true
	out := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Labels: map[string]string{"pod-template-hash": hash},
			OwnerReferences: []metav1.OwnerReference{{Kind: kind, Name: owner, Controller: &controls}},
		},
		Status: corev1.PodStatus{Phase: corev1.PodRunning},
	}
	for _, c := range containers {
		out.Spec.InitContainers = append(out.Spec.InitContainers, corev1.Container{Name: c})
	}
	return out
}

// Each check of a cluster fails for its cause alone. Pods without a proxy go unnoticed where other meshes add it
// (knative/serving#379, #766).
func TestChecksOfAClusterFailForTheirCauses(t *testing.T) {
	good := func() *cluster {
		return &cluster{
			version: version.Info{Major: "1", Minor: "33+", GitVersion: "v1.33.2-gke.1"},
			nodes:   []corev1.Node{node("a", "amd64", corev1.ConditionTrue), node("b", "arm64", corev1.ConditionTrue)},
			pods: []corev1.Pod{
				pod("cart-5c4-x", "ReplicaSet", "cart-5c4", "5c4", "mesh-redirect", "mesh-proxy"),
				pod("db-0", "StatefulSet", "db", "", "mesh-proxy"),
				pod("report-291-x", "Job", "report-29148", "", "mesh-proxy"),
				pod("other-5c4-x", "ReplicaSet", "other-5c4", "5c4"), // not a member
			},
		}
	}
	for want, change := range map[string]func(*cluster){
		"": func(*cluster) {},
		"Kubernetes: the API server is of v1.32.9": func(c *cluster) {
			c.version = version.Info{Major: "1", Minor: "32", GitVersion: "v1.32.9"}
		},
		"Kubernetes: the API server does not answer": func(c *cluster) { c.forbidden = "/version" },
		"nodes: b is not ready":                      func(c *cluster) { c.nodes[1] = node("b", "arm64", corev1.ConditionUnknown) },
		"nodes: b is s390x":                          func(c *cluster) { c.nodes[1] = node("b", "s390x", corev1.ConditionTrue) },
		"pods: those of the namespace shop cannot be listed": func(c *cluster) {
			c.forbidden = "/api/v1/namespaces/shop/pods"
		},
		"pods: without a proxy: shop/cart-5c4-x of cart": func(c *cluster) { c.pods[0].Spec.InitContainers = nil },
		"pods: without a proxy: shop/db-0 of db, shop/report-291-x of report": func(c *cluster) {
			c.pods[1].Spec.InitContainers, c.pods[2].Spec.InitContainers = nil, nil
		},
	} {
		c := good()
		change(c)
		got := failures(t, Sources{Cluster: c.asked(t), Limits: Limits{Inotify: 1024, Files: 65536}})
		if want == "" && got != nil || want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], want)) {
			t.Errorf("%q: %q", want, got)
		}
	}
	// Pods that have ended need none any more, and not every user may list nodes.
	c := good()
	c.forbidden = "/api/v1/nodes"
	for i := range c.pods {
		c.pods[i].Spec.InitContainers = nil
	}
	c.pods[0].Status.Phase, c.pods[1].Status.Phase = corev1.PodSucceeded, corev1.PodFailed
	c.pods[2].DeletionTimestamp = &metav1.Time{Time: time.Now()}
	if got := failures(t, Sources{Cluster: c.asked(t), Limits: Limits{Inotify: 1024, Files: 65536}}); got != nil {
		t.Errorf("it says %q", got)
	}
}
