// Package ca is the certificate authority that meshc serve embeds. It signs
// SPIFFE X.509 SVIDs for keys that were made elsewhere, and never sees one of
// those keys.
//
// A root signs an intermediate and the intermediate signs leaves. The trust
// bundle is the root; a leaf comes with the intermediate behind it.
package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

const (
	rootLife = 10 * 365 * 24 * time.Hour
	// skew is how far the clock of whoever checks a certificate may be behind.
	skew = time.Minute
)

// Authority signs leaves.
type Authority struct {
	root         *x509.Certificate
	intermediate *x509.Certificate
	key          crypto.Signer // the intermediate's
}

// InMemory makes an authority that ends with the process.
func InMemory() (*Authority, error) {
	a, _, err := create()
	return a, err
}

// create makes a root, which is not kept, and an intermediate.
func create() (*Authority, *ecdsa.PrivateKey, error) {
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	root, err := certify("meshc root", nil, rootKey.Public(), rootKey, 1)
	if err != nil {
		return nil, nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	intermediate, err := certify("meshc intermediate", root, key.Public(), rootKey, 0)
	if err != nil {
		return nil, nil, err
	}
	return &Authority{root: root, intermediate: intermediate, key: key}, rootKey, nil
}

// certify makes a certificate of an authority; without a parent it signs itself.
func certify(name string, parent *x509.Certificate, public crypto.PublicKey, signer crypto.Signer, pathLen int) (*x509.Certificate, error) {
	serial, err := serialNumber()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-skew), NotAfter: now.Add(rootLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLen: pathLen, MaxPathLenZero: pathLen == 0,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func serialNumber() (*big.Int, error) {
	return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
}

// Bundle is the trust bundle: the root in PEM.
func (a *Authority) Bundle() []byte { return encode(a.root) }

// Sign signs a request for that identity and returns the leaf and the
// intermediate in PEM. The request must prove that its maker has the key, and
// must ask for that identity or for none. The leaf follows the X.509-SVID
// specification: one URI SAN, no authority, digital signature alone.
func (a *Authority) Sign(request *x509.CertificateRequest, id spiffeid.ID, lifetime time.Duration) ([]byte, error) {
	if err := request.CheckSignature(); err != nil {
		return nil, fmt.Errorf("the request for %s does not prove its key: %w", id, err)
	}
	if len(request.DNSNames)+len(request.IPAddresses)+len(request.EmailAddresses) > 0 || len(request.URIs) > 1 ||
		len(request.URIs) == 1 && request.URIs[0].String() != id.String() {
		return nil, fmt.Errorf("the request asks for other names than %s", id)
	}
	return a.issue(request.PublicKey, id, lifetime, nil)
}

// issue makes a leaf for a public key. Hosts are DNS names and IP addresses that
// it carries besides the identity, which the specification allows.
func (a *Authority) issue(public crypto.PublicKey, id spiffeid.ID, lifetime time.Duration, hosts []string) ([]byte, error) {
	if lifetime < time.Second {
		return nil, fmt.Errorf("a lifetime of %s is too short", lifetime)
	}
	serial, err := serialNumber()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial,
		NotBefore:    now.Add(-skew), NotAfter: now.Add(lifetime),
		URIs:                  []*url.URL{id.URL()},
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.intermediate, public, a.key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return append(encode(leaf), encode(a.intermediate)...), nil
}

func encode(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

// The files of an authority's directory.
const (
	rootFile         = "root.crt"
	rootKeyFile      = "root.key"
	intermediateFile = "intermediate.crt"
	keyFile          = "intermediate.key"
)

// Open reads the authority that is kept in a directory, or makes one there: the
// directory with mode 0700, its keys with 0600.
func Open(dir string) (*Authority, error) {
	if _, err := os.Stat(filepath.Join(dir, keyFile)); errors.Is(err, fs.ErrNotExist) {
		if err := initialise(dir); err != nil {
			return nil, err
		}
	}
	root, err := readCertificate(filepath.Join(dir, rootFile))
	if err != nil {
		return nil, err
	}
	intermediate, err := readCertificate(filepath.Join(dir, intermediateFile))
	if err != nil {
		return nil, err
	}
	key, err := readKey(filepath.Join(dir, keyFile))
	if err != nil {
		return nil, err
	}
	if !key.PublicKey.Equal(intermediate.PublicKey) {
		return nil, fmt.Errorf("%s: the key is not that of %s", dir, intermediateFile)
	}
	if err := intermediate.CheckSignatureFrom(root); err != nil {
		return nil, fmt.Errorf("%s: %s did not sign %s: %w", dir, rootFile, intermediateFile, err)
	}
	return &Authority{root: root, intermediate: intermediate, key: key}, nil
}

func initialise(dir string) error {
	a, rootKey, err := create()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	rootPEM, err := encodeKey(rootKey)
	if err != nil {
		return err
	}
	keyPEM, err := encodeKey(a.key)
	if err != nil {
		return err
	}
	// The intermediate's key comes last: while it is not there, nothing is.
	for _, f := range []struct {
		name string
		data []byte
	}{{rootKeyFile, rootPEM}, {rootFile, a.Bundle()}, {intermediateFile, encode(a.intermediate)}, {keyFile, keyPEM}} {
		if err := writeFile(filepath.Join(dir, f.name), f.data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func encodeKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func readCertificate(name string) (*x509.Certificate, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("%s holds no certificate", name)
	}
	return x509.ParseCertificate(block.Bytes)
}

func readKey(name string) (*ecdsa.PrivateKey, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read by others: its mode is %04o and must be 0600", name, info.Mode().Perm())
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%s holds no key", name)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s holds no key", name) // the error could quote it
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s holds a key of another kind", name)
	}
	return ec, nil
}

// writeFile writes a file as a whole.
func writeFile(name string, data []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, writeErr := f.Write(data)
	if err := errors.Join(writeErr, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
