//go:build e2e

package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// libraryManifests are of a namespace that nobody wrote for meshc: Services with virtual IPs and other ports than
// those of the pods, a PodDisruptionBudget and a NetworkPolicy by the name of the service, and a pod that calls it.
const libraryManifests = `apiVersion: v1
kind: Service
metadata: {name: shelf, namespace: library, labels: {team: books, app.kubernetes.io/part-of: library}}
spec: {selector: {app: shelf}, ports: [{name: web, port: 80, targetPort: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: desk, namespace: library}
spec: {type: NodePort, selector: {app: desk}, ports: [{name: web, port: 80, targetPort: 8080}]}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: shelf, namespace: library}
spec: {minAvailable: 1, selector: {matchLabels: {app: shelf}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: shelf, namespace: library}
spec: {podSelector: {matchLabels: {app: shelf}}, policyTypes: [Ingress], ingress: [{ports: [{port: 8080}]}]}
`

// libraryWorkloads run behind them.
const libraryWorkloads = `apiVersion: apps/v1
kind: Deployment
metadata: {name: shelf, namespace: library}
spec:
  replicas: 2
  selector: {matchLabels: {app: shelf}}
  template:
    metadata: {labels: {app: shelf, version: v1}}
    spec:
      containers:
      - name: app
        image: %[1]q
        args: [-service=shelf, -version=v1, "-listen=http=http::8080"]
        ports: [{name: http, containerPort: 8080}]
        readinessProbe: {httpGet: {path: /healthz, port: http}, periodSeconds: 1}
        lifecycle: {preStop: {sleep: {seconds: 5}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: desk, namespace: library}
spec:
  replicas: 2
  selector: {matchLabels: {app: desk}}
  template:
    metadata: {labels: {app: desk}}
    spec:
      containers:
      - name: app
        image: %[1]q
        args: [-service=desk, "-listen=http=http::8080", "-upstream=shelf.http=http:shelf:80"]
        readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1}
        lifecycle: {preStop: {sleep: {seconds: 5}}}
---
apiVersion: v1
kind: Pod
metadata: {name: visitor, namespace: library}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: app, image: %[1]q, args: [-service=visitor, "-listen=http=http::8080", "-upstream=shelf.http=http:shelf:80"]}]
`

const library = `package library

mesh: {
	name: "library"
	trustDomain: "library.example"
	images: {meshc: string @tag(meshc), envoy: string @tag(envoy)}
	defaults: {timeout: "1m", connections: connectTimeout: "20s"}
}
services: [string]: {
	namespace: "library"
	mtls:      "permissive"
	ports: http: {port: 80, target: 8080, protocol: "http"}
}
services: {
	shelf: {
		workload: deployment: "shelf"
		versions: v1: labels: version: "v1"
		routes: [{to: [{version: "v1"}]}]
		allow: [{from: services: ["desk"]}, {from: plaintext: true}]
	}
	desk: {
		workload: deployment: "desk"
		uses: shelf: {}
		allow: [{from: plaintext: true}]
	}
}
`

// A namespace as it is becomes a part of the mesh, while requests are sent of which none fails: from a pod that gets a
// proxy and from one that does not, by the same Service. What the team has stays as it is, to the last byte, with
// meshc apply and with kubectl apply: a Service that becomes headless, or that cannot be applied since its virtual IP
// cannot change (kubernetes/kubernetes#120937), is seen by everybody who calls it.
func TestAdoption(t *testing.T) {
	tidyAfter(
		t,
		[]string{"get", "pods,services", "-n", "library", "-o", "wide"},
		[]string{"get", "events", "-n", "library", "--sort-by=.lastTimestamp"},
		[]string{"delete", "namespace", "library", "library-system", "--ignore-not-found", "--timeout=2m"},
		[]string{"delete", "clusterroles,clusterrolebindings", "-l", "app.kubernetes.io/part-of=library"},
		[]string{"delete", "configmap", "meshc-inventory.library", "-n", "default", "--ignore-not-found"},
	)
	workloads := fmt.Sprintf(libraryWorkloads, images(t)["backend"])
	apply(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: library}\n---\n"+libraryManifests)
	apply(t, workloads)
	rolledOut := func() {
		t.Helper()
		kubectl(t, "rollout", "status", "deployment/shelf", "deployment/desk", "-n", "library", "--timeout=4m")
	}
	rolledOut()
	kubectl(t, "wait", "--for=condition=Ready", "pod/visitor", "-n", "library", "--timeout=60s")
	before := teamsOwn(t)
	desk := "http://" + nodePort(t, "desk", "library") + "/?via=shelf"
	visitor := "http://" + kubectl(t, "get", "pod", "visitor", "-n", "library", "-o", "jsonpath={.status.podIP}") +
		":8080/?via=shelf"
	eventually(t, time.Minute, func() string { return peers(desk, "", "") })
	eventually(t, time.Minute, func() string { return peers(visitor, "", "") })

	fromDesk, fromVisitor := start(t, desk), start(t, visitor)
	dir := newMesh(t, library)
	if _, err := meshc(t, dir, "apply", "out"); err != nil {
		t.Fatal(err)
	}
	unchanged(t, before, "meshc apply")
	kubectl(t, "apply", "-k", filepath.Join(dir, "out"))
	unchanged(t, before, "kubectl apply")

	// The callee first: a proxy sends its requests to instances with proxies alone.
	for _, name := range []string{"shelf", "desk"} {
		injected, err := command(t, only(t, workloads, name), dir, variable(t, "E2E_MESHC"), "inject", "-f", "-", "out")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := command(t, injected, "", "kubectl", "apply", "--server-side", "-f", "-"); err != nil {
			t.Fatal(err)
		}
		rolledOut()
	}
	eventually(t, time.Minute, func() string { return peers(desk, "", "spiffe://library.example/ns/library/sa/desk") })
	if wrong := peers(visitor, "", ""); wrong != "" {
		t.Errorf("from a pod without a proxy: %s", wrong)
	}
	fromDesk.end(t, 20*rate)
	fromVisitor.end(t, 20*rate)
	unchanged(t, before, "its pods have proxies")
	for service, want := range map[string]string{"shelf-meshc": "None", "shelf-meshc-v1": "None", "desk-meshc": "None"} {
		if ip := kubectl(t, "get", "service", service, "-n", "library", "-o", "jsonpath={.spec.clusterIP}"); ip != want {
			t.Errorf("%s has the virtual IP %s", service, ip)
		}
	}
	// The team's budget alone counts, so a pod can be evicted.
	pod := strings.Fields(kubectl(t, "get", "pods", "-n", "library", "-l", "app=shelf",
		"--field-selector=status.phase=Running", "-o", "jsonpath={.items[*].metadata.name}"))[0]
	eviction := fmt.Sprintf(`{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":%q,"namespace":"library"}}`, pod)
	if _, err := command(t, eviction, "", "kubectl", "create", "-f", "-", "--raw",
		"/api/v1/namespaces/library/pods/"+pod+"/eviction"); err != nil {
		t.Error(err)
	}
}

// only is the one document of a stream that is of the object of that name.
func only(t *testing.T, stream, name string) string {
	t.Helper()
	for document := range strings.SplitSeq(stream, "---\n") {
		if strings.Contains(document, "metadata: {name: "+name+",") {
			return document
		}
	}
	t.Fatalf("there is no %s", name)
	return ""
}

// teamsOwn is all that the team wrote besides its workloads, as the API server has it: with who changed it when. The
// status of a PodDisruptionBudget says how its pods are.
func teamsOwn(t *testing.T) string {
	t.Helper()
	out := kubectl(t, "get", "service/shelf", "service/desk", "networkpolicy/shelf", "-n", "library", "-o", "yaml",
		"--show-managed-fields")
	return out + kubectl(t, "get", "poddisruptionbudget/shelf", "-n", "library", "-o",
		"jsonpath={.metadata.uid}{.metadata.generation}{.metadata.labels}{.spec}")
}

// unchanged wants that to be what it was.
func unchanged(t *testing.T, before, when string) {
	t.Helper()
	if after := teamsOwn(t); after != before {
		t.Errorf("%s changes what the team has: it was\n%s\nand is\n%s", when, before, after)
	}
}
