package svid

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/publickey"
)

// pending is the directory, below the certificate directory, of a key that waits for its certificate.
const pending = "request"

// Prepare creates a key and a certificate signing request in the directory, and returns the name of the request's
// file. Somebody else signs the request. The present certificate stays in use until [Install].
func Prepare(dir string, kind ir.KeyKind, id spiffeid.ID) (requestFile string, err error) {
	key, err := NewKey(kind)
	if err != nil {
		return "", err
	}
	request, err := Request(key, id)
	if err != nil {
		return "", err
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return "", err
	}
	at := filepath.Join(dir, pending)
	return filepath.Join(at, RequestFile), publish(at, map[string][]byte{KeyFile: keyPEM, RequestFile: request})
}

// Install puts a signed chain and the trust bundle (both PEM) into the directory. It returns an error if the chain
// does not belong to the key that [Prepare] created, is not of the identity, or is not verified by a root in the
// bundle.
func Install(dir string, id spiffeid.ID, chain, bundle []byte, now time.Time) (*Held, error) {
	key, err := os.ReadFile(filepath.Join(dir, pending, KeyFile))
	if err != nil {
		return nil, fmt.Errorf("there is no key without a certificate in %s: create one with meshc certs request", dir)
	}
	for name, text := range map[string][]byte{"the chain": chain, "the roots to trust": bundle} {
		// They become files of the trust bundle, or are shown to callers.
		if _, err := publickey.CertificatesAlone(text); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	trial, err := os.MkdirTemp(dir, "..trial-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(trial)
	if err := Publish(trial, chain, key, bundle); err != nil {
		return nil, err
	}
	held, err := Read(trial)
	switch {
	case err != nil:
		return nil, errNoSVID
	case held.Leaf().IsCA:
		return nil, errors.New("the signed certificate may sign others; it must be a leaf")
	case held.ID != id:
		return nil, fmt.Errorf("the signed certificate is that of %s, and must be that of %s", held.ID, id)
	case held.Root(now) == nil:
		return nil, errors.New("the signed certificate does not lead to one of the roots, or has expired")
	}
	if err := Publish(dir, chain, key, bundle); err != nil {
		return nil, err
	}
	return held, os.RemoveAll(filepath.Join(dir, pending))
}
