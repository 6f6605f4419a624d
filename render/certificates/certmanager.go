package certificates

import (
	"fmt"
	"time"

	certmanager "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshc/meshc/compiler/ir"
)

func certManager(s *ir.Settings) bool {
	kind := s.Certificates.Issuer.Kind
	return kind == ir.IssuerCluster || kind == ir.IssuerNamespace
}

// certificate is a Certificate of cert-manager whose Secret becomes the member's
// certificate directory. Its only name is the identity.
func certificate(settings *ir.Settings, s subject) *certmanager.Certificate {
	c := settings.Certificates
	return &certmanager.Certificate{
		TypeMeta: metav1.TypeMeta{
			APIVersion: certmanager.SchemeGroupVersion.String(),
			Kind:       certmanager.CertificateKind,
		},
		ObjectMeta: metav1.ObjectMeta{
			Name: s.name, Namespace: s.namespace,
			Labels: map[string]string{
				"app.kubernetes.io/managed-by": "meshc",
				"app.kubernetes.io/part-of":    settings.Name,
			},
		},
		Spec: certmanager.CertificateSpec{
			URIs:        []string{s.identity.String()},
			SecretName:  ir.CertificateSecret(s.name),
			Duration:    &metav1.Duration{Duration: time.Duration(c.Lifetime)},
			RenewBefore: &metav1.Duration{Duration: time.Duration(c.RenewBefore)},
			PrivateKey:  privateKey(c.Key),
			// Proxies are both ends of a connection (X.509-SVID, 4.4).
			Usages: []certmanager.KeyUsage{
				certmanager.UsageDigitalSignature, certmanager.UsageServerAuth,
				certmanager.UsageClientAuth,
			},
			IssuerRef: cmmeta.IssuerReference{
				Group: certmanager.SchemeGroupVersion.Group, Kind: string(c.Issuer.Kind),
				Name: c.Issuer.Name,
			},
		},
	}
}

// privateKey is a new one at each renewal.
func privateKey(kind ir.KeyKind) *certmanager.CertificatePrivateKey {
	key := &certmanager.CertificatePrivateKey{
		RotationPolicy: certmanager.RotationPolicyAlways,
		Encoding:       certmanager.PKCS8,
	}
	switch kind {
	case ir.KeyECDSAP256:
		key.Algorithm, key.Size = certmanager.ECDSAKeyAlgorithm, 256
	case ir.KeyECDSAP384:
		key.Algorithm, key.Size = certmanager.ECDSAKeyAlgorithm, 384
	case ir.KeyRSA2048:
		key.Algorithm, key.Size = certmanager.RSAKeyAlgorithm, 2048
	case ir.KeyRSA4096:
		key.Algorithm, key.Size = certmanager.RSAKeyAlgorithm, 4096
	case ir.KeyEd25519:
		key.Algorithm = certmanager.Ed25519KeyAlgorithm // it has one size
	default:
		panic(fmt.Sprintf("certificates: the linker let the key %q through", kind))
	}
	return key
}
