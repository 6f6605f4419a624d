package csr

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshc/meshc/identity/apiserver"
	"github.com/meshc/meshc/identity/svid"
)

// agent is how the API server is told who asks.
const agent = "meshc-certs"

// Requester is an issuer ([svid.Issuer]) that requests certificates from the Kubernetes API server.
type Requester struct {
	client apiserver.Client
	signer string
	// trustFiles are the files with the trust bundle; the first one that has certificates is used.
	trustFiles []string
	lifetime   time.Duration
	// failures is the number of requests in a row that failed, and last is the time of the last one.
	failures int
	last     time.Time
}

// NewRequester returns a requester of certificates with the given lifetime from the named signer. Signers do not
// return a trust bundle, so it is read from trustFile (PEM). While that file has no valid certificate, the bundle in
// the certificate directory stays in use.
func NewRequester(api apiserver.API, signer, trustFile, directory string, lifetime time.Duration) (*Requester, error) {
	client, err := api.Client(agent)
	return &Requester{
		client: client, signer: signer,
		trustFiles: []string{trustFile, filepath.Join(directory, svid.TrustFile)}, lifetime: lifetime,
	}, err
}

const (
	// A request that nobody has signed in this time is made again.
	patience = 5 * time.Minute
	poll     = 200 * time.Millisecond
	// After a request that came to nothing the next one waits, from firstWait twice as long each time to
	// maxWait.
	firstWait = time.Second
	maxWait   = 5 * time.Minute
)

// Issue sends a request (PEM) and waits until it is signed. After a request that failed it waits before the next one.
// The error says who refused the request, and why.
func (r *Requester) Issue(ctx context.Context, request []byte) (chain, bundle []byte, err error) {
	if bundle, _, err = r.Trust(ctx); err != nil {
		return nil, nil, err // before there is a request that is for nothing
	}
	if err := r.pause(ctx); err != nil {
		return nil, nil, err
	}
	r.last = time.Now()
	r.failures++
	if chain, err = r.ask(ctx, request); err != nil {
		return nil, nil, err
	}
	if err := good(chain, bundle); err != nil {
		return nil, nil, err
	}
	r.failures = 0
	return chain, bundle, nil
}

// pause waits until the next request may be made.
func (r *Requester) pause(ctx context.Context) error {
	if r.failures == 0 {
		return nil
	}
	wait := min(maxWait, firstWait<<min(r.failures-1, 10))
	wait += rand.N(wait / 2) // #nosec G404 -- so that not all ask at once
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Until(r.last.Add(wait))):
		return nil
	}
}

// good returns an error if the chain does not begin with a leaf, or is not verified by a root in the bundle, because
// nobody would accept such a certificate.
func good(chain, bundle []byte) error {
	held := svid.Held{Chain: svid.Certificates(chain), Bundle: bundle}
	switch {
	case len(held.Chain) == 0:
		return errors.New("the issuer did not return a certificate")
	case held.Leaf().IsCA:
		return errors.New("the signed certificate may sign others; it must be a leaf")
	case held.Root(later(time.Now(), held.Leaf().NotBefore)) == nil:
		return errors.New("the signed certificate does not lead to a root of the trust bundle")
	}
	return nil
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// ask makes a request and waits until it is signed.
func (r *Requester) ask(ctx context.Context, request []byte) (chain []byte, err error) {
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
		return nil, err
	}
	for wait := poll; made.Status.Certificate == nil; wait = min(2*wait, 2*time.Second) {
		for _, c := range made.Status.Conditions {
			if c.Type != certificatesv1.CertificateApproved && c.Status == corev1.ConditionTrue {
				return nil, fmt.Errorf("the CertificateSigningRequest %s is %s: %s", made.Name, c.Type, c.Message)
			}
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("the CertificateSigningRequest %s is %s", made.Name, missing(made))
		case <-time.After(wait):
		}
		again, err := requests.Get(ctx, made.Name, metav1.GetOptions{})
		switch {
		case err == nil:
			made = again
		case apierrors.IsNotFound(err):
			return nil, fmt.Errorf("the CertificateSigningRequest %s is gone", made.Name)
		}
	}
	return made.Status.Certificate, nil
}

// missing describes what a request waits for.
func missing(r *certificatesv1.CertificateSigningRequest) string {
	for _, c := range r.Status.Conditions {
		if c.Type == certificatesv1.CertificateApproved {
			return "approved, and its signer " + r.Spec.SignerName + " has not signed it"
		}
	}
	return "not approved"
}

// Trust returns the trust bundle in the file. The signer is always empty, because it is not known which root signs.
func (r *Requester) Trust(context.Context) (bundle []byte, signer string, err error) {
	for _, file := range r.trustFiles {
		if bundle, err = os.ReadFile(file); err == nil && len(svid.Certificates(bundle)) > 0 {
			return bundle, "", nil
		}
	}
	return nil, "", errors.New("the trust bundle has no certificates")
}

// Digest always returns "", because [Requester.Trust] does not know which root signs.
func Digest([]byte) string { return "" }

// usages are those of a SPIFFE X.509 SVID (SPIFFE, "X509-SVID", 4.3 and 4.4).
func usages() []certificatesv1.KeyUsage {
	return []certificatesv1.KeyUsage{
		certificatesv1.UsageDigitalSignature, certificatesv1.UsageKeyEncipherment, certificatesv1.UsageServerAuth,
		certificatesv1.UsageClientAuth,
	}
}
