//go:build e2e

package e2e

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	certmanager "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
)

// hostNetwork is where the plain hosts are, four addresses each.
const hostNetwork = "10.95.253"

// Half of the shop is in the cluster, and half on plain hosts: a request goes from the gateway in the cluster by the
// frontend to checkout, on a host, by cart in the cluster to store, on another host; and all of them check each other.
// Pods that are made anew are known to the hosts at once, and what is denied is denied there too.
func TestHosts(t *testing.T) {
	t.Cleanup(func() { dump(t) })
	r := newRepository(t)
	shared := t.TempDir() // where each host has its own
	if err := os.Chmod(filepath.Dir(shared), 0o755); err != nil {
		t.Fatal(err)
	}
	r.tags = append(r.tags, "-t", "hosts="+hostNetwork, "-t", "directory="+shared)
	r.edit(t, "team/kustomization.yaml", "checkout.yaml, ", "")
	r.edit(t, "team/kustomization.yaml", "store.yaml, ", "")
	r.compile(t)
	t.Cleanup(func() {
		if out, err := commandAfter("kubectl", "delete", "namespace", "shop", "shop-system", "--ignore-not-found",
			"--timeout=2m"); err != nil {
			t.Error(out)
		}
	})
	kubectl(t, "apply", "--server-side", "-k", r.dir+"/out")
	kubectl(t, "apply", "--server-side", "-k", r.dir+"/team")
	kubectl(t, "rollout", "status", "deployment/meshc", "-n", "shop-system", "--timeout=3m")

	routes(t)
	for n, h := range []host{
		{"checkout", "v1", []string{
			"-listen=grpc=grpc::5050",
			"-upstream=cart.http=http:cart.shop.svc.cluster.local:7070",
		}},
		{"checkout", "v2", []string{
			"-listen=grpc=grpc::5050",
			"-upstream=cart.http=http:cart.shop.svc.cluster.local:7070",
		}},
		{"store", "v1", []string{"-listen=tcp=tcp::6379"}},
	} {
		h.start(t, r, n, shared)
	}
	kubectl(t, "rollout", "status", "deployment/frontend", "deployment/cart", "deployment/public", "-n", "shop",
		"--timeout=3m")
	s := newShop(t)
	eventually(t, time.Minute, s.identities)

	// Pods come and go, and the hosts follow.
	l := start(t, s.url("/?via=checkout:/shop.Checkout/Place,cart,store"))
	kubectl(t, "rollout", "restart", "deployment/cart", "deployment/frontend", "-n", "shop")
	kubectl(t, "rollout", "status", "deployment/cart", "deployment/frontend", "-n", "shop", "--timeout=3m")
	l.end(t, 5*rate)

	for chain, want := range map[string]string{
		"checkout:/other.Service/Place":        "PermissionDenied", // by the host's proxy
		"checkout:/shop.Checkout/A,cart:PUT:/": "403",              // by the pod's
	} {
		if _, err := ask(http.DefaultClient, s.url("/?via="+chain), nil); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", chain, err, want)
		}
	}
	// Who has no certificate of the mesh is nobody on a host either.
	if report, err := ask(&http.Client{Timeout: 5 * time.Second}, "http://"+hostNetwork+".2:5050/shop.Checkout/Place",
		nil); err == nil {
		t.Errorf("a request without TLS reached checkout: %+v", report)
	}
}

// host is a machine that runs an application and its proxy.
type host struct {
	service, version string
	application      []string
}

// routes lead from the hosts to the pods and Services by a node, and back.
func routes(t *testing.T) {
	t.Helper()
	must(t, "sysctl", "-qw", "net.ipv4.ip_forward=1")
	var nodes corev1.NodeList
	get(t, &nodes, "nodes")
	for _, node := range nodes.Items {
		for _, a := range node.Status.Addresses {
			if a.Type == corev1.NodeInternalIP && node.Spec.PodCIDR != "" {
				must(t, "ip", "route", "replace", node.Spec.PodCIDR, "via", a.Address)
			}
		}
	}
}

func must(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := command(t, "", "", name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// start makes the host, a network namespace of its own, gets it a certificate, and starts its proxy and its
// application.
func (h host) start(t *testing.T, r *repository, n int, shared string) {
	t.Helper()
	namespace, link := fmt.Sprintf("meshc-host-%d", n), fmt.Sprintf("ve-meshc-%d", n)
	machine, address := fmt.Sprintf("%s.%d", hostNetwork, 4*n+1), fmt.Sprintf("%s.%d", hostNetwork, 4*n+2)
	etc := filepath.Join("/etc/netns", namespace)
	t.Cleanup(func() {
		_, _ = commandAfter("ip", "netns", "delete", namespace) // and the link with it
		if err := os.RemoveAll(etc); err != nil {
			t.Error(err)
		}
	})
	_, _ = commandAfter("ip", "netns", "delete", namespace) // of a run that was killed
	must(t, "ip", "netns", "add", namespace)
	must(t, "ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", namespace)
	must(t, "ip", "address", "add", machine+"/30", "dev", link)
	must(t, "ip", "link", "set", link, "up")
	for _, args := range [][]string{
		{"address", "add", address + "/30", "dev", "eth0"},
		{"link", "set", "eth0", "up"},
		{"link", "set", "lo", "up"},
		{"route", "add", "default", "via", machine},
	} {
		must(t, "ip", append([]string{"-n", namespace}, args...)...)
	}
	dns := kubectl(t, "get", "service", "kube-dns", "-n", "kube-system", "-o", "jsonpath={.spec.clusterIP}")
	if err := os.MkdirAll(etc, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(etc, "resolv.conf"), []byte("nameserver "+dns+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certificates := filepath.Join(dir, "certificates")
	h.certify(t, r, namespace, certificates)
	must(t, "chown", "-R", "1337", dir)
	bootstrap, err := os.ReadFile(filepath.Join(r.dir, "out/envoy/shop", h.service+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "envoy.yaml")
	if err := os.WriteFile(file, bootstrap, 0o644); err != nil {
		t.Fatal(err)
	}
	inside := []string{"netns", "exec", namespace}
	must(t, "ip", append(inside, variable(t, "E2E_MESHC"), "redirect")...)
	running(t, h.service+" proxy", append(inside, "sh", "-c", `mount --bind "$0" "$1" && shift && exec "$@"`,
		certificates, shared, "setpriv", "--reuid=1337", "--regid=1337", "--clear-groups",
		variable(t, "E2E_ENVOY"), "--config-path", file, "--disable-hot-restart", "--concurrency", "1", "--log-level",
		"warning",
		"--service-node", fmt.Sprintf("service/%s/%s", h.service, strings.ReplaceAll(address, ".", "-")),
		"--service-cluster", h.service+".shop"))
	running(t, h.service+" application",
		append(append(inside, variable(t, "E2E_BACKEND"), "-service="+h.service, "-version="+h.version),
			h.application...))
}

// certify makes a key on the host and has cert-manager sign for it.
func (h host) certify(t *testing.T, r *repository, name, directory string) {
	t.Helper()
	parameters := filepath.Join(r.dir, "out/certificates/shop", h.service+".yaml")
	if _, err := meshc(t, r.dir, "certs", "request", parameters, "--directory", directory); err != nil {
		t.Fatal(err)
	}
	request, err := os.ReadFile(filepath.Join(directory, "request", "tls.csr"))
	if err != nil {
		t.Fatal(err)
	}
	apply(t, fmt.Sprintf(`apiVersion: cert-manager.io/v1
kind: CertificateRequest
metadata: {name: %s, namespace: shop}
spec:
  request: %s
  duration: 24h
  usages: [digital signature, key encipherment, server auth, client auth]
  issuerRef: {kind: ClusterIssuer, name: mesh-ca}
`, name, base64.StdEncoding.EncodeToString(request)))
	kubectl(t, "wait", "--for=condition="+string(certmanager.CertificateRequestConditionReady),
		"certificaterequest/"+name, "-n", "shop", "--timeout=60s")
	var signed certmanager.CertificateRequest
	get(t, &signed, "certificaterequest", name, "-n", "shop")
	for file, data := range map[string][]byte{
		"chain.pem":     signed.Status.Certificate,
		cmmeta.TLSCAKey: signed.Status.CA,
	} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(directory), file), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := meshc(t, r.dir, "certs", "install", parameters, "--directory", directory,
		"--certificate", filepath.Join(filepath.Dir(directory), "chain.pem"), "--trust",
		filepath.Join(filepath.Dir(directory), cmmeta.TLSCAKey)); err != nil {
		t.Fatal(err)
	}
}

// running starts a program that runs until the test ends.
func running(t *testing.T, name string, args []string) {
	t.Helper()
	cmd := exec.Command("ip", args...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
		if t.Failed() {
			t.Logf("%s says\n%s", name, said.String())
		}
	})
}
