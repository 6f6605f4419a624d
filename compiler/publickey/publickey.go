// Package publickey says which public keys meshc works with, and reads certificates and requests so that no other key
// gets as far as a signature. What a signature costs to verify grows with the cube of an RSA key's size, and whoever
// sends the key chooses that: kind and size are checked first, and the size of what is parsed before that.
package publickey

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

const (
	// MinRSA and MaxRSA bound the modulus of an RSA key, in bits.
	MinRSA = 2048
	MaxRSA = 4096
	// MaxDER bounds a certificate or a request in DER, in bytes.
	MaxDER = 32 << 10
	// maxExponent bounds the public exponent of an RSA key, as crypto/rsa does; the usual one is 65537.
	maxExponent = 1<<31 - 1
)

// ErrKey is in every error that says that a key is of a kind or size that nothing here works with.
var ErrKey = errors.New("keys here are ECDSA P-256, P-384 or P-521, Ed25519, or RSA of 2048 to 4096 bits")

// Check is nil for a key of which signatures may be verified: ECDSA on P-256, P-384 or P-521, Ed25519, or RSA of
// MinRSA to MaxRSA bits. It does no arithmetic with the key.
func Check(public crypto.PublicKey) error {
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256(), elliptic.P384(), elliptic.P521():
			return nil
		}
		return fmt.Errorf("an ECDSA key on another curve: %w", ErrKey)
	case ed25519.PublicKey:
		if len(k) == ed25519.PublicKeySize {
			return nil
		}
	case *rsa.PublicKey:
		switch bits := k.N.BitLen(); {
		case bits < MinRSA:
			return fmt.Errorf("an RSA key of %d bits is too short: %w", bits, ErrKey)
		case bits > MaxRSA:
			return fmt.Errorf("an RSA key of %d bits is too long: %w", bits, ErrKey)
		case k.E < 3 || k.E > maxExponent || k.E%2 == 0:
			return fmt.Errorf("an RSA key with the exponent %d: %w", k.E, ErrKey)
		}
		return nil
	}
	return fmt.Errorf("a key of another kind: %w", ErrKey)
}

// ParseCertificate reads a certificate in DER whose key [Check] accepts. It verifies no signature.
func ParseCertificate(der []byte) (*x509.Certificate, error) {
	if len(der) > MaxDER {
		return nil, fmt.Errorf("a certificate of %d bytes is too long: %d at most", len(der), MaxDER)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	if err := Check(c.PublicKey); err != nil {
		return nil, err
	}
	return c, nil
}

// ParseRequest reads a certificate request in DER whose key [Check] accepts. It does not verify that its maker has the
// key.
func ParseRequest(der []byte) (*x509.CertificateRequest, error) {
	if len(der) > MaxDER {
		return nil, fmt.Errorf("a request of %d bytes is too long: %d at most", len(der), MaxDER)
	}
	r, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, errors.New("it is not a certificate request")
	}
	if err := Check(r.PublicKey); err != nil {
		return nil, err
	}
	return r, nil
}

// Certificates are those of a text in PEM that [ParseCertificate] can read. What else is there is left out: a root
// that is left out is trusted by nobody.
func Certificates(text []byte) []*x509.Certificate {
	var out []*x509.Certificate
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return out
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		if c, err := ParseCertificate(block.Bytes); err == nil {
			out = append(out, c)
		}
	}
}

// CertificatesAlone are the certificates of a text in PEM that holds nothing else, and none that [ParseCertificate]
// refuses: for what somebody else made. An error says what is wrong with it.
func CertificatesAlone(text []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			if len(out) == 0 {
				return nil, errors.New("it has no certificate in PEM")
			}
			return out, nil
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("it has a %s besides certificates", strings.ToLower(block.Type))
		}
		c, err := ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(out)+1, err)
		}
		out = append(out, c)
	}
}

// Pool is the [Certificates] of a text in PEM, and whether there are any.
func Pool(text []byte) (*x509.CertPool, bool) {
	pool, list := x509.NewCertPool(), Certificates(text)
	for _, c := range list {
		pool.AddCert(c)
	}
	return pool, len(list) > 0
}

// maxChain bounds how many certificates a peer may show: a leaf and what is between it and a root.
const maxChain = 8

// VerifyServer is [VerifyPeer] of the server of a connection.
func VerifyServer(s tls.ConnectionState, roots *x509.CertPool) error {
	var shown [][]byte
	for _, c := range s.PeerCertificates {
		shown = append(shown, c.Raw)
	}
	_, err := VerifyPeer(shown, roots, x509.ExtKeyUsageServerAuth)
	return err
}

// VerifyPeer is the chain of certificates that a peer showed, as TLS has them in DER, the leaf first, when it ends at
// one of the roots and is for that usage. No signature is verified before the key of every certificate is known to be
// good.
func VerifyPeer(shown [][]byte, roots *x509.CertPool, usage x509.ExtKeyUsage) ([]*x509.Certificate, error) {
	if len(shown) == 0 || len(shown) > maxChain {
		return nil, fmt.Errorf("a peer presents 1 to %d certificates, not %d", maxChain, len(shown))
	}
	var chain []*x509.Certificate
	for _, der := range shown {
		c, err := ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		chain = append(chain, c)
	}
	intermediates := x509.NewCertPool()
	for _, c := range chain[1:] {
		intermediates.AddCert(c)
	}
	verified, err := chain[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: intermediates,
		KeyUsages: []x509.ExtKeyUsage{usage},
	})
	if err != nil {
		return nil, err
	}
	return verified[0], nil
}
