//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What meshc import reads from a cluster makes the same mesh as what it reads from files, once the API server has
// taken them for what Istio's and the Gateway API's own definitions say.
func TestImport(t *testing.T) {
	module := func(name string) string {
		return strings.TrimSpace(must(t, "go", "list", "-m", "-f", "{{.Dir}}", name))
	}
	definitions := []string{module("istio.io/api") + "/kubernetes/customresourcedefinitions.gen.yaml"}
	for _, kind := range []string{"gateways", "httproutes", "grpcroutes", "tlsroutes", "tcproutes", "referencegrants", "backendtlspolicies"} {
		definitions = append(definitions, module("sigs.k8s.io/gateway-api")+"/config/crd/standard/gateway.networking.k8s.io_"+kind+".yaml")
	}
	t.Cleanup(func() {
		for _, file := range definitions {
			if out, err := commandAfter("kubectl", "delete", "--ignore-not-found", "-f", file); err != nil {
				t.Error(out)
			}
		}
	})
	for _, file := range definitions {
		kubectl(t, "apply", "--server-side", "-f", file)
	}
	kubectl(t, "wait", "--for=condition=Established", "--timeout=60s", "crd/virtualservices.networking.istio.io", "crd/httproutes.gateway.networking.k8s.io")
	apply(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: books}\n")
	beside := filepath.Join(t.TempDir(), "beside.yaml") // the services of others, which are in the cluster too
	if err := os.WriteFile(beside, []byte(kubectl(t, "get", "services,deployments,statefulsets,daemonsets", "-A", "--field-selector=metadata.namespace!=books,metadata.namespace!=kube-system", "-o", "yaml")), 0o644); err != nil {
		t.Fatal(err)
	}
	same := func(kind, text string) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "objects.yaml")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		kubectl(t, "apply", "--server-side", "-n", "books", "-f", file)
		read := func(args ...string) string {
			t.Helper()
			out, err := meshc(t, ".", append([]string{"import", kind, "--name", "books", "--calls", "productpage=details,reviews", "--calls", "reviews=ratings"}, args...)...)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		if a, b := read("--cluster"), read("-f", file, "-f", beside, "-n", "books"); a != b {
			t.Errorf("%s: the cluster is\n%s\nand the files are\n%s", kind, a, b)
		}
	}
	var objects []string
	for _, name := range []string{"bookinfo", "bookinfo-gateway", "destination-rule-all", "virtual-service-reviews-50-v3", "virtual-service-ratings-test-delay"} {
		data, err := os.ReadFile("../../testdata/bookinfo/" + name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, strings.ReplaceAll(string(data), "replicas: 1", "replicas: 0")) // nothing is to run
	}
	same("istio", strings.Join(objects, "---\n"))
	same("gateway-api", objects[0]+`---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: public}
spec: {gatewayClassName: any, listeners: [{name: http, port: 80, protocol: HTTP, hostname: "*.books.example"}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: page}
spec:
  parentRefs: [{name: public}]
  hostnames: [www.books.example]
  rules:
  - matches: [{path: {value: /productpage}}]
    backendRefs: [{name: productpage, port: 9080}]
  - matches: [{path: {type: Exact, value: /reviews}, headers: [{name: x-beta, value: "1"}]}]
    filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: /}}}]
    backendRefs: [{name: reviews, port: 9080, weight: 3}, {name: ratings, port: 9080}]
    timeouts: {request: 2s}
`)
	initFromCluster(t)
}

// initFromCluster lays out a mesh of the namespace books, as it is in the cluster.
func initFromCluster(t *testing.T) {
	t.Helper()
	books := filepath.Join(t.TempDir(), "books")
	out, err := meshc(t, ".", "init", books, "--from-cluster", "books", "--calls", "productpage=details,reviews", "--calls", "reviews=ratings")
	if err != nil || !strings.Contains(out, "is a mesh of the namespace books") {
		t.Fatal(out, err)
	}
	if _, err := meshc(t, books, "vet"); err != nil {
		t.Error(err)
	}
	if out, err := meshc(t, books, "try", "--from", "productpage", "GET", "http://reviews:9080/"); err != nil || !strings.Contains(out, "reaches reviews") {
		t.Error(out, err)
	}
	if out, err := meshc(t, books, "try", "--from", "outside", "GET", "http://ratings:9080/"); err != nil || !strings.Contains(out, "reaches ratings") {
		t.Error(out, err)
	}
	none := filepath.Join(t.TempDir(), "none")
	if out, err := meshc(t, ".", "init", none, "--from-cluster", "nowhere"); err == nil {
		t.Error("a mesh of no namespace is laid out:", out)
	}
	if _, err := os.Stat(none); !os.IsNotExist(err) {
		t.Error(err)
	}
}
