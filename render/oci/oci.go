// Package oci puts the output directory into an OCI registry, as the artifact that
// Flux's source-controller reads (OCIRepository), and signs it as cosign does.
package oci

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fluxcd/pkg/oci"
	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Artifact is an output directory and where it came from.
type Artifact struct {
	// Dir is what meshc compile wrote.
	Dir string
	// Source is the URL of the repository, and Revision its state as Flux writes it,
	// BRANCH@sha1:COMMIT; both become annotations.
	Source, Revision string
	// Created is the time of the commit: the artifact of a revision has one digest,
	// whenever and wherever it is made.
	Created time.Time
}

// reason is the last word of a chain of errors: what the registry or the network said.
func reason(err error) string {
	var said *transport.Error
	var network *net.OpError
	switch {
	case errors.As(err, &said):
		return strings.TrimSpace(said.Error())
	case errors.Is(err, context.DeadlineExceeded):
		return "it does not answer in time"
	case errors.As(err, &network):
		return network.Err.Error()
	}
	return err.Error()
}

// Push uploads the artifact to REGISTRY/REPOSITORY:TAG and returns its reference by
// digest. Credentials are those of docker login, or of a credential helper. Plain HTTP
// is spoken to registries on loopback and at private addresses alone.
func Push(ctx context.Context, reference string, a Artifact) (digest string, err error) {
	if _, err := os.Stat(filepath.Join(a.Dir, "mesh.json")); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("%s has no mesh.json: it is not what meshc compile writes", a.Dir)
		}
		return "", err
	}
	tag, err := name.NewTag(reference, name.StrictValidation)
	if err != nil {
		return "", fmt.Errorf("%q is not of the form REGISTRY/REPOSITORY:TAG", reference)
	}
	client := oci.NewClient([]crane.Option{crane.WithContext(ctx)})
	pushed, err := client.Push(ctx, tag.Name(), a.Dir, oci.WithPushMetadata(oci.Metadata{
		Created: a.Created.UTC().Format(time.RFC3339), Source: a.Source, Revision: a.Revision,
	}))
	if err != nil {
		return "", fmt.Errorf("%s cannot be pushed to: %s", tag.Name(), reason(err))
	}
	return pushed, nil
}
