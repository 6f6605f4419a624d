// Package tokenreview asks a Kubernetes API server which service account a token belongs to.
package tokenreview

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshc/meshc/identity/apiserver"
)

// Reviewer verifies service account tokens with the TokenReview API of Kubernetes (authentication.k8s.io/v1). The
// audience of a token must be the server's own identity, so a token for the API server or for another mesh is not
// accepted.
type Reviewer struct {
	// API is the API server. The account whose token is in its TokenFile may create tokenreviews
	// (system:auth-delegator).
	API apiserver.API
}

const reviewTime = 5 * time.Second

// Identity returns the SPIFFE ID, in the server's trust domain, of the service account that the token belongs to. It
// returns an error if the token is not valid.
func (t *Reviewer) Identity(ctx context.Context, token string, server spiffeid.ID) (spiffeid.ID, error) {
	ctx, cancel := context.WithTimeout(ctx, reviewTime)
	defer cancel()
	review := &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{server.String()}},
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
		return spiffeid.ID{}, fmt.Errorf("%q is not a service account", said.User.Username)
	}
	return spiffeid.FromSegments(server.TrustDomain(), "ns", namespace, "sa", account)
}

// User returns the name and the groups of whoever the token belongs to. The token is for the server, or for the API
// server itself, as those of people are.
func (t *Reviewer) User(ctx context.Context, token string, server spiffeid.ID) (name string, groups []string,
	err error,
) {
	ctx, cancel := context.WithTimeout(ctx, reviewTime)
	defer cancel()
	for _, audiences := range [][]string{{server.String()}, nil} {
		said, err := t.ask(ctx, &authenticationv1.TokenReview{
			Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: audiences},
		})
		switch {
		case err != nil:
			return "", nil, err
		case said.Authenticated && (audiences == nil || slices.Contains(said.Audiences, server.String())):
			return said.User.Username, said.User.Groups, nil
		}
	}
	return "", nil, fmt.Errorf("the token is authenticated neither for %s nor for the API server", server)
}

// ask makes its clients each time; their connections and files are client-go's to keep.
func (t *Reviewer) ask(ctx context.Context, review *authenticationv1.TokenReview) (*authenticationv1.TokenReviewStatus,
	error,
) {
	client, err := t.API.Client("meshc-serve")
	if err != nil {
		return nil, err
	}
	said, err := client.AuthenticationV1().TokenReviews().Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("the API server answers: %w: may this server's account create tokenreviews?", err)
	}
	return &said.Status, nil
}
