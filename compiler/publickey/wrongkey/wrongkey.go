// Package wrongkey makes what tests show to whoever reads keys of strangers: requests and keys of any size, at no cost.
package wrongkey

import (
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
)

// RSA is an odd number of that many bits, whose factors nobody knows.
func RSA(bits, exponent int) *rsa.PublicKey {
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1)) // #nosec G115 -- of a test
	return &rsa.PublicKey{N: n.SetBit(n, 0, 1), E: exponent}
}

// Request is a certificate request in PEM for an RSA key of that many bits. Its signature is none: who says so has
// verified it, and who speaks of the key has not.
func Request(bits int) ([]byte, error) {
	public, err := x509.MarshalPKIXPublicKey(RSA(bits, 65537))
	if err != nil {
		return nil, err
	}
	type info struct {
		Version                     int
		Subject, Public, Attributes asn1.RawValue
	}
	der, err := asn1.Marshal(struct {
		Info      info
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}{
		info{
			Subject: asn1.RawValue{FullBytes: []byte{0x30, 0}}, Public: asn1.RawValue{FullBytes: public},
			Attributes: asn1.RawValue{FullBytes: []byte{0xa0, 0}},
		},
		pkix.AlgorithmIdentifier{
			Algorithm:  asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11},
			Parameters: asn1.NullRawValue,
		}, // SHA256 with RSA
		asn1.BitString{Bytes: make([]byte, bits/8), BitLength: bits / 8 * 8},
	})
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), err
}
