// Package tokenreview asks a Kubernetes API server whose a service account token is.
package tokenreview

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshc/meshc/compiler/publickey"
)

// Reviewer has a Kubernetes API server say whose a service account token is
// (Kubernetes, TokenReview authentication.k8s.io/v1). A token must be for the
// audience that is the server's own identity, so that one for the API server, or for
// another mesh, proves nothing here.
type Reviewer struct {
	// API is the API server, https://HOST:PORT.
	API string
	// TokenFile has the server's own token, which is read anew each time: the kubelet
	// renews it. Its account may create tokenreviews (system:auth-delegator).
	TokenFile string
	// CAFile has the roots of the API server's certificate, in PEM.
	CAFile string
}

// The files of a pod's service account.
const (
	PodTokenFile = "/var/run/secrets/kubernetes.io/serviceaccount/token" // #nosec G101 -- a path
	PodCAFile    = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"
)

const (
	reviewTime = 5 * time.Second
	maxAnswer  = 1 << 20 // bytes
	reviewPath = "/apis/authentication.k8s.io/v1/tokenreviews"
)

// Identity is the SPIFFE identity, in the server's trust domain, of the service account
// that the token is of.
func (t *Reviewer) Identity(ctx context.Context, token string, server spiffeid.ID) (spiffeid.ID, error) {
	ctx, cancel := context.WithTimeout(ctx, reviewTime)
	defer cancel()
	review := authenticationv1.TokenReview{
		TypeMeta: metav1.TypeMeta{APIVersion: authenticationv1.SchemeGroupVersion.String(), Kind: "TokenReview"},
		Spec:     authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{server.String()}},
	}
	said, err := t.ask(ctx, review)
	if err != nil {
		return spiffeid.ID{}, err
	}
	if !said.Authenticated || !slices.Contains(said.Audiences, server.String()) {
		return spiffeid.ID{}, fmt.Errorf("the token is not authenticated for %s", server)
	}
	rest, ok := strings.CutPrefix(said.User.Username, "system:serviceaccount:")
	namespace, account, both := strings.Cut(rest, ":")
	if !ok || !both {
		return spiffeid.ID{}, fmt.Errorf("%q is no service account", said.User.Username)
	}
	return spiffeid.FromSegments(server.TrustDomain(), "ns", namespace, "sa", account)
}

func (t *Reviewer) ask(ctx context.Context, review authenticationv1.TokenReview) (*authenticationv1.TokenReviewStatus, error) {
	own, err := os.ReadFile(t.TokenFile)
	if err != nil {
		return nil, err
	}
	roots, err := os.ReadFile(t.CAFile)
	if err != nil {
		return nil, err
	}
	pool, ok := publickey.Pool(roots)
	if !ok {
		return nil, fmt.Errorf("%s has no certificate", t.CAFile)
	}
	body, err := json.Marshal(review)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(t.API, "/")+reviewPath, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(own)))
	client := &http.Client{
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusCreated {
		return nil, fmt.Errorf("the API server answers %s: may this server's account create tokenreviews?", response.Status)
	}
	var said authenticationv1.TokenReview
	if err := json.Unmarshal(data, &said); err != nil {
		return nil, errors.New("the API server's answer is no TokenReview")
	}
	return &said.Status, nil
}
