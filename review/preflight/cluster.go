package preflight

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/version"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/identity/apiserver"
	"github.com/meshc/meshc/render/kubernetes"
)

// The checks of a cluster.
const (
	Kubernetes = "Kubernetes"
	Nodes      = "nodes"
	PodProxies = "pods"
)

// leastMinor is the oldest Kubernetes 1.x in which containers that start before others and run beside them are stable:
// a proxy is one (sidecar containers, KEP 753).
const leastMinor = 33

// pageOf is how many objects the API server is asked for at once.
const pageOf = 500

// Cluster is one that members of a mesh run in.
type Cluster struct {
	Client apiserver.Client
	// Address is that of the API server.
	Address string
	// Mesh says whose pods are to have a proxy; nil for none.
	Mesh *ir.Mesh
}

// results are those of all checks of a cluster.
func (c *Cluster) results(ctx context.Context) []Result {
	api, answers := c.api(ctx)
	out := []Result{api}
	if !answers {
		return out
	}
	out = append(out, c.nodes(ctx))
	if c.Mesh != nil {
		out = append(out, c.pods(ctx))
	}
	return out
}

// api looks whether the API server answers, and is new enough.
func (c *Cluster) api(ctx context.Context) (r Result, answers bool) {
	r = Result{Check: Kubernetes, Of: c.Address}
	body, err := c.Client.CoreV1().RESTClient().Get().AbsPath("/version").DoRaw(ctx)
	var v version.Info
	if err == nil {
		err = json.Unmarshal(body, &v)
	}
	if err != nil {
		r.Text = "the API server does not answer: " + err.Error()
		r.Hint = "choose another cluster by --kubeconfig and --context, or see why this one is not reached: kubectl version"
		return r, false
	}
	r.Text = "the API server is of " + v.GitVersion
	minor, err := strconv.Atoi(strings.TrimRight(v.Minor, "+"))
	if r.Good = err == nil && (v.Major != "1" || minor >= leastMinor); !r.Good {
		r.Hint = fmt.Sprintf("proxies in pods need Kubernetes 1.%d or newer, where sidecar containers are stable", leastMinor)
	}
	return r, true
}

// nodes looks for nodes that are not ready, and for such whose processors no image of the mesh is for.
func (c *Cluster) nodes(ctx context.Context) Result {
	r := Result{Check: Nodes}
	var wrong []string
	n := 0
	err := paged(func(o metav1.ListOptions) (string, error) {
		list, err := c.Client.CoreV1().Nodes().List(ctx, o)
		if err != nil {
			return "", err
		}
		for i := range list.Items {
			node := &list.Items[i]
			n++
			if arch := node.Status.NodeInfo.Architecture; arch != "amd64" && arch != "arm64" {
				wrong = append(wrong, node.Name+" is "+arch)
			}
			if !slices.ContainsFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool {
				return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
			}) {
				wrong = append(wrong, node.Name+" is not ready")
			}
		}
		return list.Continue, nil
	})
	switch {
	case apierrors.IsForbidden(err):
		r.Good, r.Text = true, "not looked at: this user may not list nodes"
	case err != nil:
		r.Text, r.Hint = "they cannot be listed: "+err.Error(), "see why: kubectl get nodes"
	case wrong != nil:
		r.Text = strings.Join(wrong, ", ")
		r.Hint = "see what a node that is not ready lacks (kubectl describe node NAME); images of meshc are for amd64 and arm64"
	default:
		r.Good, r.Text = true, fmt.Sprintf("%d are ready", n)
	}
	return r
}

// pods looks for pods of members that have no proxy: they started before it was added, or by another manifest.
func (c *Cluster) pods(ctx context.Context) Result {
	r := Result{Check: PodProxies}
	members := map[string]map[ir.Pods]string{} // by namespace
	for _, s := range c.Mesh.Services {
		if !s.Workload.InCluster() {
			continue
		}
		if members[s.Namespace] == nil {
			members[s.Namespace] = map[ir.Pods]string{}
		}
		for _, name := range s.PodsNames() {
			members[s.Namespace][ir.Pods{Kind: s.Workload.Pods.Kind, Name: name}] = s.Name
		}
	}
	var without []string
	n := 0
	for namespace, of := range members {
		err := paged(func(o metav1.ListOptions) (string, error) {
			list, err := c.Client.CoreV1().Pods(namespace).List(ctx, o)
			if err != nil {
				return "", err
			}
			for i := range list.Items {
				pod := &list.Items[i]
				service := serviceOf(pod, of)
				if service == "" || ended(pod) {
					continue
				}
				if n++; !kubernetes.HasProxy(&pod.Spec) {
					without = append(without, fmt.Sprintf("%s/%s of %s", namespace, pod.Name, service))
				}
			}
			return list.Continue, nil
		})
		if err != nil {
			r.Text = fmt.Sprintf("those of the namespace %s cannot be listed: %v", namespace, err)
			r.Hint = "see why: kubectl get pods -n " + namespace
			return r
		}
	}
	if without == nil {
		r.Good, r.Text = true, fmt.Sprintf("all %d of members have a proxy", n)
		return r
	}
	slices.Sort(without)
	r.Text = "without a proxy: " + strings.Join(without, ", ")
	r.Hint = "add it to the manifests of the workload (meshc inject, or the component sidecar of the output), and " +
		"restart the pods: kubectl rollout restart"
	return r
}

// serviceOf is the service whose workload runs a pod; "" for none. The Deployment of a ReplicaSet and the CronJob of a
// Job are in the names that Kubernetes gives these.
func serviceOf(pod *corev1.Pod, of map[ir.Pods]string) string {
	owner := metav1.GetControllerOf(pod)
	if owner == nil {
		return ""
	}
	if owner.Kind == "ReplicaSet" {
		name := strings.TrimSuffix(owner.Name, "-"+pod.Labels["pod-template-hash"])
		return of[ir.Pods{Kind: ir.Deployment, Name: name}]
	}
	own := of[ir.Pods{Kind: ir.PodsKind(owner.Kind), Name: owner.Name}]
	if at := strings.LastIndexByte(owner.Name, '-'); own == "" && owner.Kind == string(ir.Job) && at > 0 &&
		isNumber(owner.Name[at+1:]) {
		return of[ir.Pods{Kind: ir.CronJob, Name: owner.Name[:at]}]
	}
	return own
}

func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

func ended(pod *corev1.Pod) bool {
	phase := pod.Status.Phase
	return phase == corev1.PodSucceeded || phase == corev1.PodFailed || pod.DeletionTimestamp != nil
}

// paged lists page by page; each returns what the next one begins with.
func paged(list func(metav1.ListOptions) (next string, err error)) error {
	o := metav1.ListOptions{Limit: pageOf}
	for {
		next, err := list(o)
		if err != nil || next == "" {
			return err
		}
		o.Continue = next
	}
}
