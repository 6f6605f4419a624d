//go:build e2e

package e2e

import (
	"cmp"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// shop is the mesh of the directory shop, in the cluster.
type shop struct{ gateway string } // HOST:PORT

// newShop finds the gateway.
func newShop(t *testing.T) *shop {
	t.Helper()
	return &shop{nodePort(t, "public", "shop")}
}

func (s *shop) url(path string) string { return "http://" + s.gateway + path }

// identities follows a request through the gateway and four services, each of which
// its caller's proxy and its own have checked, and says what is wrong.
func (s *shop) identities() string {
	report, err := ask(http.DefaultClient, s.url("/?via=checkout:/shop.Checkout/Place,cart,store"), nil)
	if err != nil {
		return err.Error()
	}
	var got []string
	for _, hop := range report.Hops() {
		got = append(got, hop.Service+" from "+hop.Peer)
	}
	want := "[frontend from spiffe://shop.example/ns/shop/sa/public" +
		" checkout from spiffe://shop.example/ns/shop/sa/frontend" +
		" cart from spiffe://shop.example/ns/shop/sa/checkout" +
		" store from ]" // TCP, which has no header to say it in
	if fmt.Sprint(got) != want {
		return fmt.Sprintf("got %s, want %s", got, want)
	}
	return ""
}

// denied are calls that no rule allows, by requests and by connections, and those of a
// pod outside the mesh.
func (s *shop) denied(t *testing.T) {
	for chain, want := range map[string]string{
		"cart":                                 "",
		"cart.admin":                           "",
		"cart:POST:/":                          "403",
		"checkout:/shop.Checkout/Place":        "",
		"checkout:/other.Service/Place":        "PermissionDenied",
		"checkout:/shop.Checkout/A,cart":       "",
		"checkout:/shop.Checkout/A,cart:PUT:/": "403",
	} {
		_, err := ask(http.DefaultClient, s.url("/?via="+chain), nil)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", chain, err, want)
		}
	}
	image := images(t)["backend"]
	apply(t, fmt.Sprintf(`apiVersion: v1
kind: Pod
metadata: {name: outsider, namespace: default}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: app, image: %q, args: [-service=outsider, "-listen=http=http::8080", %s]}]
`, image, `"-upstream=cart.http=http:cart.shop.svc.cluster.local:7070", "-upstream=cart.admin=tcp:cart.shop.svc.cluster.local:7071", "-upstream=store.tcp=tcp:store.shop.svc.cluster.local:6379"`))
	kubectl(t, "wait", "--for=condition=Ready", "pod/outsider", "-n", "default", "--timeout=60s")
	outsider := "http://" + kubectl(t, "get", "pod", "outsider", "-n", "default", "-o", "jsonpath={.status.podIP}") +
		":8080"
	for _, chain := range []string{"cart", "cart.admin", "store"} {
		if report, err := ask(http.DefaultClient, outsider+"/?via="+chain, nil); err == nil {
			t.Errorf("a pod outside the mesh reached %s: %+v", chain, report)
		}
	}
	// What is probed is open, and that alone.
	for path, want := range map[string]string{"/healthz": "", "/": "403", "/healthz/../": "403"} {
		report, err := ask(http.DefaultClient, outsider+"/?via=cart:GET:"+path, nil)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("GET %s from outside the mesh: %v, %+v", path, err, report)
		}
	}
}

// workloads of each kind run beside their proxies, and those that end do.
func (s *shop) workloads(t *testing.T) {
	kubectl(t, "rollout", "status", "deployment/cart", "statefulset/store", "daemonset/agent", "-n", "shop",
		"--timeout=60s")
	kubectl(t, "wait", "--for=condition=Complete", "job/migrate", "-n", "shop", "--timeout=60s")
	eventually(t, 2*time.Minute, func() string {
		var jobs batchv1.JobList
		get(t, &jobs, "jobs", "-n", "shop")
		for _, job := range jobs.Items {
			if strings.HasPrefix(job.Name, "report-") && job.Status.Succeeded > 0 {
				return ""
			}
		}
		return fmt.Sprintf("no Job of the CronJob among %d has succeeded", len(jobs.Items))
	})
	// Nothing had to be tried twice, but for those who come before what they call.
	var pods corev1.PodList
	get(t, &pods, "pods", "-n", "shop")
	for _, pod := range pods.Items {
		for _, c := range pod.Status.ContainerStatuses {
			if c.RestartCount > 0 && pod.Labels["job-name"] == "" {
				t.Errorf("%s has restarted %s %d times", pod.Name, c.Name, c.RestartCount)
			}
		}
		if pod.Labels["meshc.dev/service"] == "" && pod.Labels["meshc.dev/gateway"] == "" {
			t.Errorf("%s has no proxy", pod.Name)
		}
	}
}

// rolled restarts, scales and evicts every part of a chain of calls under load.
func (s *shop) rolled(t *testing.T) {
	l := start(t, s.url("/?via=checkout:/shop.Checkout/Place,cart"))
	kubectl(t, "rollout", "restart", "deployment/cart", "deployment/checkout", "deployment/checkout-v2",
		"deployment/frontend", "deployment/public", "-n", "shop")
	kubectl(t, "rollout", "status", "deployment/cart", "deployment/checkout", "deployment/checkout-v2",
		"deployment/frontend", "deployment/public", "-n", "shop", "--timeout=3m")
	kubectl(t, "scale", "deployment/cart", "--replicas=4", "-n", "shop")
	kubectl(t, "rollout", "status", "deployment/cart", "-n", "shop", "--timeout=2m")
	kubectl(t, "scale", "deployment/cart", "--replicas=2", "-n", "shop")
	kubectl(t, "rollout", "status", "deployment/cart", "-n", "shop", "--timeout=2m")
	for _, name := range []string{"cart", "frontend"} {
		pod := strings.Fields(kubectl(t, "get", "pods", "-n", "shop", "-l", "app="+name,
			"--field-selector=status.phase=Running", "-o", "name"))[0]
		eviction := fmt.Sprintf(
			`{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":%q,"namespace":"shop"}}`,
			strings.TrimPrefix(pod, "pod/"))
		if _, err := command(t, eviction, "", "kubectl", "create", "-f", "-", "--raw",
			"/api/v1/namespaces/shop/pods/"+strings.TrimPrefix(pod, "pod/")+"/eviction"); err != nil {
			t.Fatal(err)
		}
		kubectl(t, "wait", "--for=delete", pod, "-n", "shop", "--timeout=2m")
		kubectl(t, "rollout", "status", "deployment/"+name, "-n", "shop", "--timeout=2m")
	}
	l.end(t, 20*rate)
}

// serversKilled kills the servers one after the other and together, under load.
func (s *shop) serversKilled(t *testing.T) {
	l := start(t, s.url("/?via=checkout:/shop.Checkout/Place,cart"))
	servers := func() []string {
		return strings.Fields(kubectl(t, "get", "pods", "-n", "shop-system", "-l", "app.kubernetes.io/name=meshc",
			"--field-selector=status.phase=Running", "-o", "name"))
	}
	kill := func(pods ...string) {
		kubectl(t, append([]string{"delete", "-n", "shop-system", "--grace-period=0", "--force"}, pods...)...)
		kubectl(t, "rollout", "status", "deployment/meshc", "-n", "shop-system", "--timeout=2m")
	}
	for _, pod := range servers() {
		kill(pod)
	}
	kill(servers()...)
	// All have come back, and a change reaches them.
	eventually(t, time.Minute, func() string { return acknowledged(t) })
	l.end(t, 5*rate)
}

// acknowledged says what is missing until the servers that run have reported that all
// proxies have the mesh that was applied; "" then.
func acknowledged(t *testing.T) string {
	t.Helper()
	var config corev1.ConfigMap
	get(t, &config, "configmap", "mesh-rollout", "-n", "shop-system")
	servers := strings.Fields(kubectl(t, "get", "pods", "-n", "shop-system", "-l", "app.kubernetes.io/name=meshc", "-o",
		"name"))
	for _, pod := range servers {
		if said := config.Data["server."+strings.TrimPrefix(pod, "pod/")]; said != config.Data["mesh"]+" acknowledged" {
			return fmt.Sprintf("%s says %q of %s", pod, said, config.Data["mesh"])
		}
	}
	reports := 0
	for key := range config.Data {
		if strings.HasPrefix(key, "server.") {
			reports++
		}
	}
	if reports != len(servers) {
		return fmt.Sprintf("%d servers, and reports %v", len(servers), config.Data)
	}
	return ""
}

// apiServerAway stops the API server for MESHC_API_SERVER_AWAY, under load.
func (s *shop) apiServerAway(t *testing.T) {
	l := start(t, s.url("/?via=checkout:/shop.Checkout/Place,cart"))
	restart := variable(t, "E2E_API_SERVER")
	if _, err := command(t, "", "", restart, "stop"); err != nil {
		t.Fatal(err)
	}
	long, err := time.ParseDuration(cmp.Or(os.Getenv("MESHC_API_SERVER_AWAY"), "15s"))
	if err != nil {
		t.Fatal(err)
	}
	from := time.Now()
	eventually(t, 2*long, func() string {
		if away := time.Since(from); away < long {
			return fmt.Sprintf("away for %v", away)
		}
		return ""
	})
	if _, err := command(t, "", "", restart, "start"); err != nil {
		t.Fatal(err)
	}
	eventually(t, 2*time.Minute, func() string {
		if out, err := exec.Command("kubectl", "get", "--raw=/readyz").CombinedOutput(); err != nil {
			return string(out)
		}
		return ""
	})
	eventually(t, 2*time.Minute, func() string { return acknowledged(t) })
	from = time.Now()
	eventually(t, time.Minute, func() string {
		if back := time.Since(from); back < 15*time.Second {
			return fmt.Sprintf("back for %v", back)
		}
		return ""
	})
	l.end(t, 20*rate)
	// What changes then is seen again, as soon as Kubernetes' own controllers see it.
	kubectl(t, "rollout", "restart", "deployment/cart", "-n", "shop")
	kubectl(t, "rollout", "status", "deployment/cart", "-n", "shop", "--timeout=3m")
	good := 0
	eventually(t, 2*time.Minute, func() string {
		good++
		if _, err := ask(http.DefaultClient, s.url("/?via=checkout:/shop.Checkout/Place,cart"), nil); err != nil {
			good = 0
			return err.Error()
		}
		if good < 50 {
			return fmt.Sprintf("%d good answers in a row", good)
		}
		return ""
	})
}
