//go:build e2e

package e2e

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// secondIssuer has a root of its own.
const secondIssuer = `apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: mesh-ca-2, namespace: cert-manager}
spec:
  isCA: true
  commonName: mesh-ca-2
  secretName: mesh-ca-2
  privateKey: {algorithm: ECDSA, size: 256, rotationPolicy: Never}
  issuerRef: {kind: ClusterIssuer, name: mesh-root}
---
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: {name: mesh-ca-2}
spec: {ca: {secretName: mesh-ca-2}}
`

// rootReplaced replaces the root under load: both roots in the trust bundle, then the new issuer, then the new root
// alone.
func rootReplaced(t *testing.T, r *repository, s *shop) {
	l := start(t, s.url("/?via=checkout:/shop.Checkout/Place,cart"))
	apply(t, secondIssuer)
	kubectl(t, "wait", "--for=condition=Ready", "certificate/mesh-ca-2", "-n", "cert-manager", "--timeout=60s")
	old, next := root(t, "mesh-ca"), root(t, "mesh-ca-2")

	trust(t, old)
	r.tags = append(r.tags, "-t", "trust=mesh-roots")
	r.compile(t)
	settled(t, r.push(t, "Take the roots from a trust bundle"))

	trust(t, old, next)
	restart(t)
	r.tags = append(r.tags, "-t", "issuer=mesh-ca-2")
	r.compile(t)
	settled(t, r.push(t, "Another issuer"))
	eventually(t, 2*time.Minute, func() string { return signedBy(t, next) })

	trust(t, next)
	restart(t)
	l.end(t, 30*rate)
	if wrong := s.identities(); wrong != "" {
		t.Fatal(wrong)
	}
}

// root is the certificate of an issuer that signs itself.
func root(t *testing.T, secret string) string {
	t.Helper()
	text, err := base64.StdEncoding.DecodeString(kubectl(t, "get", "secret", secret, "-n", "cert-manager", "-o",
		`jsonpath={.data.tls\.crt}`))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// trust has the trust bundle of each namespace hold the roots.
func trust(t *testing.T, roots ...string) {
	t.Helper()
	for _, namespace := range []string{"shop", "shop-system"} {
		text := "    " + strings.ReplaceAll(strings.TrimSpace(strings.Join(roots, "")), "\n", "\n    ")
		apply(t, fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: mesh-roots, namespace: %s}\ndata:\n  ca.crt: |\n%s\n", namespace, text))
	}
}

// restart has all pods made anew: a kubelet takes a minute or two until those that run have the ConfigMap as it is.
func restart(t *testing.T) {
	t.Helper()
	for namespace, kinds := range map[string]string{
		"shop":        "deployments,statefulsets,daemonsets",
		"shop-system": "deployments",
	} {
		names := strings.Fields(kubectl(t, "get", kinds, "-n", namespace, "-o", "name"))
		kubectl(t, append([]string{"rollout", "restart", "-n", namespace}, names...)...)
		kubectl(t, append([]string{"rollout", "status", "-n", namespace, "--timeout=4m"}, names...)...)
	}
}

// signedBy says which member of the mesh has no certificate of the root yet; "" when all have.
func signedBy(t *testing.T, root string) string {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(root))
	for _, namespace := range []string{"shop", "shop-system"} {
		for _, name := range strings.Fields(kubectl(t, "get", "certificates", "-n", namespace, "-o",
			"jsonpath={.items[*].spec.secretName}")) {
			var secret corev1.Secret // those of members that are gone stay, and nobody renews them
			get(t, &secret, "secret", name, "-n", namespace)
			block, _ := pem.Decode(secret.Data[corev1.TLSCertKey])
			if block == nil {
				return secret.Name + " has no certificate"
			}
			certificate, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return err.Error()
			}
			if _, err := certificate.Verify(x509.VerifyOptions{
				Roots:     roots,
				KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
			}); err != nil {
				return secret.Name + ": " + err.Error()
			}
		}
	}
	return ""
}
