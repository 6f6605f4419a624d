// Package svid is the holder's side of SPIFFE X.509-SVIDs. It creates a private key where it is used, gets a
// certificate from an issuer, stores both in a directory that Envoy watches, and renews them in time. The private key
// never leaves that directory.
package svid

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/url"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/publickey"
)

// NewKey creates a private key of the given kind.
func NewKey(kind ir.KeyKind) (crypto.Signer, error) {
	switch kind {
	case ir.KeyECDSAP256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case ir.KeyECDSAP384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case ir.KeyRSA2048:
		return rsa.GenerateKey(rand.Reader, 2048)
	case ir.KeyRSA4096:
		return rsa.GenerateKey(rand.Reader, 4096)
	case ir.KeyEd25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return nil, fmt.Errorf("there is no kind of key %q", kind)
}

// KindOf returns the kind of a public key; "" if meshc does not support it.
func KindOf(public crypto.PublicKey) ir.KeyKind {
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		return map[elliptic.Curve]ir.KeyKind{
			elliptic.P256(): ir.KeyECDSAP256,
			elliptic.P384(): ir.KeyECDSAP384,
		}[k.Curve]
	case *rsa.PublicKey:
		return map[int]ir.KeyKind{2048: ir.KeyRSA2048, 4096: ir.KeyRSA4096}[k.N.BitLen()]
	case ed25519.PublicKey:
		return ir.KeyEd25519
	}
	return ""
}

// Request returns a certificate signing request for the identity (PEM, RFC 2986). Its signature proves that the
// sender has the private key.
func Request(key crypto.Signer, id spiffeid.ID) ([]byte, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{URIs: []*url.URL{id.URL()}}, key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), nil
}

// ParseRequest parses a certificate signing request in PEM. It returns an error if the key has an unsupported kind or
// size. It does not verify the signature.
func ParseRequest(data []byte) (*x509.CertificateRequest, error) {
	block, rest := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE REQUEST" || len(rest) > 0 {
		return nil, fmt.Errorf("it is not a certificate request in PEM")
	}
	return publickey.ParseRequest(block.Bytes)
}

func encodeKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
