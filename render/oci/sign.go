package oci

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// What a signature of cosign is made of (Sigstore, "Cosign Signature Specifications").
const (
	signatureType       = types.MediaType("application/vnd.dev.cosign.simplesigning.v1+json")
	signatureAnnotation = "dev.cosignproject.cosign/signature"
)

// ParseKey reads a private key that signs: ECDSA in PEM, by itself (SEC 1) or in
// PKCS #8, and not encrypted.
func ParseKey(data []byte) (crypto.Signer, error) {
	block, rest := pem.Decode(data)
	for block != nil && block.Type == "EC PARAMETERS" { // openssl writes them before the key
		block, rest = pem.Decode(rest)
	}
	switch {
	case block == nil:
		return nil, errors.New("there is no key in it, in PEM")
	case strings.Contains(block.Type, "ENCRYPTED") || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
		return nil, errors.New(
			"its key is encrypted\n  hint: push without --sign-key, and sign what that prints: cosign sign --key")
	case block.Type == "EC PRIVATE KEY":
		if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
			return key, nil
		}
	case block.Type == "PRIVATE KEY":
		if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
			if ec, ok := key.(*ecdsa.PrivateKey); ok {
				return ec, nil
			}
			return nil, errors.New("its key is not of the kind ECDSA")
		}
	default:
		return nil, fmt.Errorf("it has a %q, and must have a private key of the kind ECDSA", block.Type)
	}
	return nil, errors.New("its key cannot be read")
}

// Sign puts a signature of the artifact, REGISTRY/REPOSITORY@DIGEST, beside it, where
// cosign and Flux (OCIRepository, spec.verify) look for it.
func Sign(ctx context.Context, reference string, key crypto.Signer) error {
	signed, err := name.NewDigest(reference)
	if err != nil {
		return err
	}
	payload, err := json.Marshal(map[string]any{
		"critical": map[string]any{
			"identity": map[string]string{"docker-reference": signed.Context().Name()},
			"image":    map[string]string{"docker-manifest-digest": signed.DigestStr()},
			"type":     "cosign container image signature",
		},
		"optional": nil,
	})
	if err != nil {
		return err
	}
	sum := sha256.Sum256(payload)
	signature, err := key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		return err
	}
	digest := signed.DigestStr() // sha256:HEX
	tag := signed.Context().Tag("sha256-" + digest[len("sha256:"):] + ".sig")
	// What others have signed stays.
	image, err := remote.Image(tag, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain))
	if err != nil {
		image = mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	}
	image, err = mutate.Append(image, mutate.Addendum{
		Layer:       static.NewLayer(payload, signatureType),
		Annotations: map[string]string{signatureAnnotation: base64.StdEncoding.EncodeToString(signature)},
	})
	if err != nil {
		return err
	}
	image = mutate.ConfigMediaType(image, types.OCIConfigJSON)
	if err := remote.Write(tag, image, remote.WithContext(ctx),
		remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
		return fmt.Errorf("%s cannot be pushed to: %s", tag.Name(), reason(err))
	}
	return nil
}
