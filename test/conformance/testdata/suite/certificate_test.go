//go:build conformance

package suite

import (
	"context"
	"crypto/tls"
	"crypto/x509"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/try"
)

// refusesClient says why a listener refuses a client for the certificate that it shows, or that it shows none; "" if it
// does not. The Secret with the listener's roots is one with the content of the suite's ConfigMap of that name.
func (l *lab) refusesClient(q try.Request,
	certificate func(*tls.CertificateRequestInfo) (*tls.Certificate, error),
) string {
	w, err := l.now()
	if err != nil {
		return err.Error()
	}
	for _, g := range w.mesh.Gateways {
		for _, at := range g.Listeners {
			if g.Name != q.From.Name || at.Port != q.Port || at.TLS == nil || at.TLS.ClientRoots == "" ||
				!answers(at, q.ServerName) {
				continue
			}
			if certificate == nil {
				if at.TLS.ClientOptional {
					return ""
				}
				return "the listener wants a certificate"
			}
			shown, err := certificate(nil)
			if err != nil {
				return err.Error()
			}
			var roots corev1.ConfigMap
			key := client.ObjectKey{Namespace: g.Namespace, Name: at.TLS.ClientRoots}
			if err := l.Get(context.Background(), key, &roots); err != nil {
				return err.Error()
			}
			pool := x509.NewCertPool()
			pool.AppendCertsFromPEM([]byte(roots.Data["ca.crt"]))
			leaf, err := x509.ParseCertificate(shown.Certificate[0])
			if err != nil {
				return err.Error()
			}
			_, err = leaf.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
			if err != nil {
				return err.Error()
			}
			return ""
		}
	}
	if certificate != nil {
		_, _ = certificate(nil)
	}
	return ""
}

// answers reports whether a listener answers for a name in the handshake.
func answers(l ir.Listener, name string) bool {
	for _, host := range l.Hosts {
		if ir.HostCovers(host, name) {
			return true
		}
	}
	return false
}
