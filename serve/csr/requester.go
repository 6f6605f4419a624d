package csr

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/meshc/meshc/serve/svid"
)

// API says how the API server is reached.
type API struct {
	// Address is https://HOST:PORT.
	Address string
	// TokenFile has the pod's own token, which the kubelet renews, and CAFile the roots of
	// the API server's certificate, in PEM.
	TokenFile, CAFile string
}

func (a API) client() (kubernetes.Interface, error) {
	client, err := kubernetes.NewForConfig(&rest.Config{
		Host: a.Address, BearerTokenFile: a.TokenFile, TLSClientConfig: rest.TLSClientConfig{CAFile: a.CAFile},
		QPS: 20, Burst: 50, UserAgent: "meshc-certs",
	})
	if err != nil {
		return nil, fmt.Errorf("the Kubernetes API at %s: %w", a.Address, err)
	}
	return client, nil
}

// Requester is an issuer that is asked through the API server.
type Requester struct {
	client    kubernetes.Interface
	signer    string
	trustFile string
	lifetime  time.Duration
}

// NewRequester asks the signer for certificates of that lifetime. Whom to trust is in the file, in PEM:
// signers do not say it.
func NewRequester(api API, signer, trustFile string, lifetime time.Duration) (*Requester, error) {
	client, err := api.client()
	return &Requester{client: client, signer: signer, trustFile: trustFile, lifetime: lifetime}, err
}

const (
	// A request that nobody has signed in this time is made again.
	patience = time.Minute
	poll     = 200 * time.Millisecond
)

// Issue makes a request and waits until it is signed. An error says who refused it, and why.
func (r *Requester) Issue(ctx context.Context, request []byte) (chain, bundle []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	requests := r.client.CertificatesV1().CertificateSigningRequests()
	seconds := int32(r.lifetime / time.Second)
	made, err := requests.Create(ctx, &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "meshc-"},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			Request: request, SignerName: r.signer, ExpirationSeconds: &seconds, Usages: usages(),
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return nil, nil, err
	}
	for made.Status.Certificate == nil {
		for _, c := range made.Status.Conditions {
			if c.Type != certificatesv1.CertificateApproved && c.Status == corev1.ConditionTrue {
				return nil, nil, fmt.Errorf("the CertificateSigningRequest %s is %s: %s", made.Name, c.Type, c.Message)
			}
		}
		select {
		case <-ctx.Done():
			return nil, nil, fmt.Errorf("the CertificateSigningRequest %s is %s", made.Name, missing(made))
		case <-time.After(poll):
		}
		again, err := requests.Get(ctx, made.Name, metav1.GetOptions{})
		if err == nil {
			made = again
		} else if ctx.Err() == nil {
			return nil, nil, err
		}
	}
	bundle, err = os.ReadFile(r.trustFile)
	if err == nil && len(svid.Certificates(bundle)) == 0 {
		err = errors.New("the trust bundle has no certificates")
	}
	return made.Status.Certificate, bundle, err
}

// missing is what a request waits for.
func missing(r *certificatesv1.CertificateSigningRequest) string {
	for _, c := range r.Status.Conditions {
		if c.Type == certificatesv1.CertificateApproved {
			return "approved, and its signer " + r.Spec.SignerName + " has not signed it"
		}
	}
	return "not approved"
}

// Trust is what the file says; no root signs in particular.
func (r *Requester) Trust(context.Context) (bundle []byte, signer string, err error) {
	bundle, err = os.ReadFile(r.trustFile)
	if err == nil && len(svid.Certificates(bundle)) == 0 {
		err = errors.New("the trust bundle has no certificates")
	}
	return bundle, "", err
}

// Digest tells no roots apart, as [Requester.Trust] does not.
func Digest([]byte) string { return "" }

// usages are those of a SPIFFE X.509 SVID (SPIFFE, "X509-SVID", 4.3 and 4.4).
func usages() []certificatesv1.KeyUsage {
	return []certificatesv1.KeyUsage{
		certificatesv1.UsageDigitalSignature, certificatesv1.UsageKeyEncipherment, certificatesv1.UsageServerAuth, certificatesv1.UsageClientAuth,
	}
}
