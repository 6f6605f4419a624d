//go:build e2e

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/meshc/meshc/identity/svid"
)

const kiosk = `package kiosk

mesh: {
	name: "kiosk"
	trustDomain: "kiosk.example"
	certificates: {
		issuer: {kind: "CertificateSigningRequest", signer: "clusterissuers.cert-manager.io/mesh-ca"}
		trustBundle: configMap: "kiosk-roots"
		lifetime:    "10m"
		renewBefore: "9m40s"
	}
	images: {meshc: string @tag(meshc), envoy: string @tag(envoy)}
}
services: [string]: namespace: "kiosk"
services: {
	fruit: {
		workload: deployment: "fruit"
		ports: http: {port: 80, target: 8080, protocol: "http"}
		allow: [{from: services: ["crate"]}]
	}
	crate: {
		workload: deployment: "crate"
		proxy: interception: "explicit" // for nodes that give nobody NET_ADMIN
		ports: http: {port: 8081, target: 8080, protocol: "http"}
		uses: fruit: bind: "127.0.0.1:9101"
		allow: [{from: gateways: ["door"]}]
	}
}
gateways: door: {
	namespace: "kiosk"
	listeners: http: port: 8000
	routes: [{to: [{service: "crate"}]}]
	uses: crate: {}
}
`

const kioskWorkloads = `apiVersion: apps/v1
kind: Deployment
metadata: {name: fruit, namespace: kiosk}
spec:
  replicas: 2
  selector: {matchLabels: {app: fruit}}
  template:
    metadata: {labels: {app: fruit}}
    spec: {containers: [{name: app, image: %[1]q, args: [-service=fruit, "-listen=http=http::8080"]}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: crate, namespace: kiosk}
spec:
  selector: {matchLabels: {app: crate}}
  template:
    metadata: {labels: {app: crate}}
    spec: {containers: [{name: app, image: %[1]q, args: [-service=crate, "-listen=http=http::8080", "-upstream=fruit.http=http:127.0.0.1:9101"]}]}
`

// Pods make their keys themselves, behind redirection and behind explicit listeners, ask by
// CertificateSigningRequests, and renew under load; no key is in the cluster, and nobody is given another's identity.
func TestCertificateSigningRequests(t *testing.T) {
	tidyAfter(
		t,
		[]string{"get", "csr", "-o", "wide"},
		[]string{"get", "pods", "-n", "kiosk"},
		[]string{"logs", "-n", "kiosk-system", "-l", "app.kubernetes.io/name=meshc-approver", "--tail=20"},
		[]string{"delete", "namespace", "kiosk", "kiosk-system", "--ignore-not-found", "--timeout=2m"},
		[]string{"delete", "clusterroles,clusterrolebindings", "-l", "app.kubernetes.io/part-of=kiosk"},
		[]string{"delete", "configmap", "meshc-inventory.kiosk", "-n", "default", "--ignore-not-found"},
	)
	applyKiosk(t)
	url := "http://" + nodePort(t, "door", "kiosk") + "/?via=fruit"
	eventually(t, time.Minute, func() string {
		return peers(url, "spiffe://kiosk.example/ns/kiosk/sa/door", "spiffe://kiosk.example/ns/kiosk/sa/crate")
	})
	explicitNeedsNoPrivileges(t)
	noKeysOfKiosk(t)
	everybodyRenews(t, url)
	thiefIsDenied(t)
}

// applyKiosk applies the roots, the mesh and its workloads, and waits until they run.
func applyKiosk(t *testing.T) {
	t.Helper()
	roots := "    " + strings.ReplaceAll(strings.TrimSpace(root(t, "mesh-ca")), "\n", "\n    ")
	for _, namespace := range []string{"kiosk", "kiosk-system"} {
		apply(t, fmt.Sprintf("apiVersion: v1\nkind: Namespace\nmetadata: {name: %s}\n", namespace))
		apply(t, fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kiosk-roots, namespace: %s}\ndata:\n  ca.crt: |\n%s\n", namespace, roots))
	}
	dir := newMesh(t, kiosk)
	injected, err := command(t, fmt.Sprintf(kioskWorkloads, images(t)["backend"]), dir, variable(t, "E2E_MESHC"),
		"inject", "-f", "-", "out")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := meshc(t, dir, "apply", "out"); err != nil {
		t.Fatal(err)
	}
	apply(t, injected)
	kubectl(t, "rollout", "status", "deployment/fruit", "deployment/crate", "deployment/door", "-n", "kiosk",
		"--timeout=3m")
}

// explicitNeedsNoPrivileges wants the containers of a pod with explicit listeners to be nobody special.
func explicitNeedsNoPrivileges(t *testing.T) {
	t.Helper()
	var crates corev1.PodList
	get(t, &crates, "pods", "-n", "kiosk", "-l", "app=crate")
	for _, c := range crates.Items[0].Spec.InitContainers {
		if c.SecurityContext.Capabilities == nil || len(c.SecurityContext.Capabilities.Add) > 0 ||
			*c.SecurityContext.RunAsUser == 0 {
			t.Errorf("with explicit listeners %s has %+v", c.Name, c.SecurityContext)
		}
	}
}

func noKeysOfKiosk(t *testing.T) {
	t.Helper()
	var secrets corev1.SecretList
	get(t, &secrets, "secrets", "-A", "--field-selector=type=kubernetes.io/tls")
	for _, s := range secrets.Items {
		if strings.HasPrefix(s.Namespace, "kiosk") {
			t.Errorf("the key of %s is in the cluster", s.Name)
		}
	}
}

// everybodyRenews waits until each instance has renewed its certificate twice, under load.
func everybodyRenews(t *testing.T, url string) {
	t.Helper()
	l := start(t, url)
	before := signed(t)
	eventually(t, 3*time.Minute, func() string {
		now := signed(t)
		for _, account := range []string{"kiosk:fruit", "kiosk:crate", "kiosk:door", "kiosk-system:meshc"} {
			if user := "system:serviceaccount:" + account; now[user] < before[user]+4 && (account != "kiosk:crate" ||
				now[user] < before[user]+2) {
				return fmt.Sprintf("%s has %d certificates, and had %d", account, now[user], before[user])
			}
		}
		return ""
	})
	l.end(t, 20*rate)
}

// signed counts the requests for which there are certificates, by who asked.
func signed(t *testing.T) map[string]int {
	t.Helper()
	var list certificatesv1.CertificateSigningRequestList
	get(t, &list, "csr")
	out := map[string]int{}
	for _, r := range list.Items {
		if r.Status.Certificate != nil {
			out[r.Spec.Username]++
		}
	}
	return out
}

// thiefIsDenied has an account ask for another's identity.
func thiefIsDenied(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	request, err := svid.Request(key, spiffeid.RequireFromString("spiffe://kiosk.example/ns/kiosk/sa/fruit"))
	if err != nil {
		t.Fatal(err)
	}
	manifest := fmt.Sprintf(`apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: kiosk-thief}
spec: {request: %s, signerName: clusterissuers.cert-manager.io/mesh-ca, expirationSeconds: 600, usages: [digital signature, client auth]}
`, base64.StdEncoding.EncodeToString(request))
	t.Cleanup(func() { _, _ = commandAfter("kubectl", "delete", "csr", "kiosk-thief", "--ignore-not-found") })
	if _, err := command(t, manifest, "", "kubectl", "create", "-f", "-", "--as=system:serviceaccount:kiosk:crate",
		"--as-group=system:serviceaccounts:kiosk", "--as-group=system:serviceaccounts"); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, func() string {
		var r certificatesv1.CertificateSigningRequest
		get(t, &r, "csr", "kiosk-thief")
		for _, c := range r.Status.Conditions {
			if c.Type == certificatesv1.CertificateDenied && strings.Contains(c.Message, "only its own identity") {
				return ""
			}
		}
		return fmt.Sprintf("%+v", r.Status)
	})
}
