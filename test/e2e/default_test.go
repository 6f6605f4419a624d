//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

const standWorkload = `apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s}
spec:
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s, version: %[2]s}}
    spec: {containers: [{name: app, image: %[3]q, args: [%[4]s]}]}
---
`

// outlast has requests of a mesh that init laid out wait longer than any machine stalls that has the cluster and other
// work. They are to fail when a connection does, and not for lack of time: half a second, as init has it for one try,
// is not much there.
func outlast(t *testing.T, dir string) {
	t.Helper()
	bounds := strings.NewReplacer(`*"5s"`, `*"1m"`, `timeout: "2s"`, `timeout: "1m"`, `perTryTimeout: "500ms"`,
		`perTryTimeout: "20s"`)
	for _, name := range []string{"mesh.cue", "services/frontend/service.cue", "services/backend/service.cue"} {
		name := filepath.Join(dir, name)
		text := read(t, name)
		edited := bounds.Replace(text)
		if edited == text {
			t.Fatalf("%s has no bounds of time that are known here", name)
		}
		if err := os.WriteFile(name, []byte(edited), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// standUp lays a mesh out, adds its workloads, compiles and applies it, and waits until it runs. It returns where it
// is, and the images.
func standUp(t *testing.T) (dir string, known map[string]string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "stand")
	if _, err := meshc(t, "", "init", dir); err != nil {
		t.Fatal(err)
	}
	outlast(t, dir)
	known = images(t)
	for name, text := range map[string]string{
		"test.cue": fmt.Sprintf(
			"package stand\n\nmesh: {images: {meshc: %q, envoy: %q}, certificates: lifetime: \"1m\", defaults: connections: connectTimeout: \"20s\"}\n", known["meshc"], known["envoy"]),
		"apps/kustomization.yaml": strings.Replace(read(t, filepath.Join(dir, "apps/kustomization.yaml")),
			"resources: []", "resources: [apps.yaml]", 1),
		"apps/apps.yaml": fmt.Sprintf(standWorkload, "frontend", "v1", known["backend"],
			`-service=frontend, "-listen=http=http::8080", "-upstream=backend.http=http:backend:8080"`) +
			fmt.Sprintf(standWorkload, "backend", "v1", known["backend"],
				`-service=backend, "-listen=http=http::8080"`) +
			fmt.Sprintf(standWorkload, "backend-v2", "v2", known["backend"],
				`-service=backend, "-listen=http=http::8080"`),
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := meshc(t, dir, "compile", "-o", "out"); err != nil {
		t.Fatal(err)
	}
	kubectl(t, "apply", "-k", filepath.Join(dir, "out"))
	kubectl(t, "apply", "-k", filepath.Join(dir, "apps"))
	kubectl(t, "rollout", "status", "deployment/meshc", "-n", "stand-system", "--timeout=3m")
	kubectl(t, "rollout", "status", "deployment/public", "deployment/frontend", "deployment/backend",
		"deployment/backend-v2", "-n", "stand", "--timeout=4m")
	if out, err := meshc(t, dir, "check", "--server", "", "--cluster"); err != nil ||
		!strings.Contains(out, "of members have a proxy") {
		t.Errorf("meshc check: %v: %s", err, out)
	}
	return dir, known
}

// underLoad has everybody renew, and servers be killed, one and then both, while requests are sent none of which is to
// fail.
func underLoad(t *testing.T, url string) {
	t.Helper()
	l := start(t, url)
	servers := strings.Fields(kubectl(t, "get", "pods", "-n", "stand-system", "-l", "app.kubernetes.io/name=meshc",
		"-o", "name"))
	if len(servers) != 2 {
		t.Errorf("the servers are %v", servers)
	}
	for _, killed := range [][]string{servers[:1], nil} {
		if killed == nil {
			killed = strings.Fields(kubectl(t, "get", "pods", "-n", "stand-system", "-l",
				"app.kubernetes.io/name=meshc", "-o", "name"))
		}
		kubectl(t, append([]string{"delete", "-n", "stand-system", "--grace-period=0", "--force"}, killed...)...)
		kubectl(t, "rollout", "status", "deployment/meshc", "-n", "stand-system", "--timeout=2m")
	}
	for _, pod := range strings.Fields(kubectl(t, "get", "pods", "-n", "stand", "-o", "name")) {
		eventually(t, 2*time.Minute, func() string {
			if log := kubectl(t, "logs", pod, "-n", "stand", "-c", "mesh-certificates"); strings.Count(log,
				"the certificate was renewed") < 2 {
				return pod + " has not renewed its certificate twice: " + log
			}
			return ""
		})
	}
	l.end(t, 20*rate)
}

// What meshc init lays out runs by kubectl apply -k alone: meshc serve makes its authority, pods get their
// certificates of it by their service account tokens and renew them, and the authority outlives the servers.
func TestInitCompileApply(t *testing.T) {
	tidyAfter(
		t,
		[]string{"get", "pods", "-A", "-o", "wide"},
		[]string{"get", "events", "-n", "stand"},
		[]string{"logs", "-n", "stand-system", "-l", "app.kubernetes.io/name=meshc", "--tail=20"},
		[]string{"delete", "namespace", "stand", "stand-system", "--ignore-not-found", "--timeout=2m"},
		[]string{"delete", "clusterroles,clusterrolebindings", "-l", "app.kubernetes.io/part-of=stand"},
	)
	dir, known := standUp(t)
	gateway := "http://" + nodePort(t, "public", "stand")
	good := gateway + "/?via=backend:GET:/api/"
	eventually(t, time.Minute, func() string {
		return peers(good, "spiffe://stand.example/ns/stand/sa/public", "spiffe://stand.example/ns/stand/sa/frontend")
	})
	if _, err := ask(http.DefaultClient, gateway+"/?via=backend:GET:/other", nil); err == nil ||
		!strings.Contains(err.Error(), "403") {
		t.Errorf("a path that is not allowed: %v", err)
	}
	strangerIsRefused(t, known["backend"])
	onlyAuthorityHasKeys(t)
	before := standRoots(t, "stand")
	if before == "" || standRoots(t, "stand-system") != before {
		t.Errorf("the namespaces have different roots")
	}
	underLoad(t, good)
	if standRoots(t, "stand") != before {
		t.Error("the servers that came after have another root")
	}
	// A pod that starts now gets a certificate, and the mesh applied again changes nothing of the authority.
	kubectl(t, "apply", "-k", filepath.Join(dir, "out"))
	kubectl(t, "rollout", "restart", "deployment/backend", "-n", "stand")
	kubectl(t, "rollout", "status", "deployment/backend", "-n", "stand", "--timeout=2m")
	eventually(t, time.Minute, func() string {
		if _, err := ask(http.DefaultClient, good, nil); err != nil {
			return err.Error()
		}
		return ""
	})
	if standRoots(t, "stand") != before {
		t.Error("another apply has made another root")
	}
}

// strangerIsRefused has a pod outside the mesh, with that image, call backend.
func strangerIsRefused(t *testing.T, image string) {
	t.Helper()
	apply(t, fmt.Sprintf(`apiVersion: v1
kind: Pod
metadata: {name: stranger, namespace: default}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: app, image: %q, args: [-service=stranger, "-listen=http=http::8080", "-upstream=backend.http=http:backend.stand.svc.cluster.local:8080"]}]
`, image))
	kubectl(t, "wait", "--for=condition=Ready", "pod/stranger", "-n", "default", "--timeout=60s")
	stranger := "http://" + kubectl(t, "get", "pod", "stranger", "-n", "default", "-o", "jsonpath={.status.podIP}") +
		":8080"
	if report, err := ask(http.DefaultClient, stranger+"/?via=backend:GET:/api/", nil); err == nil {
		t.Errorf("a stranger reached backend: %+v", report)
	}
}

// onlyAuthorityHasKeys wants no key of a pod in the cluster, and of the authority's that which signs alone.
func onlyAuthorityHasKeys(t *testing.T) {
	t.Helper()
	var secrets corev1.SecretList
	get(t, &secrets, "secrets", "-A")
	for _, s := range secrets.Items {
		if s.Namespace == "stand" || s.Namespace == "stand-system" && (s.Name != "meshc-authority" ||
			s.Data["1_root.key"] != nil || len(s.Data["1_intermediate.key"]) == 0) {
			t.Errorf("there is the Secret %s/%s with %d keys", s.Namespace, s.Name, len(s.Data))
		}
	}
}

// standRoots are those that the mesh has its pods in a namespace trust.
func standRoots(t *testing.T, namespace string) string {
	t.Helper()
	return kubectl(t, "get", "configmap", "stand.trust", "-n", namespace, "-o", `jsonpath={.data.ca\.crt}`)
}
