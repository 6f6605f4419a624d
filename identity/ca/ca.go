// Package ca is the certificate authority that is embedded in meshc serve. It signs SPIFFE X.509-SVIDs for keys that
// were created elsewhere; it never sees a private key of a workload.
//
// A root signs an intermediate, and the intermediate signs leaves. The trust bundle consists of the root, or of two
// roots while one replaces the other. A leaf is always returned together with the intermediate.
package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/publickey"
	"github.com/meshc/meshc/compiler/secret"
)

const (
	rootLife = 10 * 365 * 24 * time.Hour
	// skew is how much the clock of a verifier may be behind.
	skew = time.Minute
)

// Authority signs leaves. It is safe for concurrent use. Create one with [Open], [Shared] or [InMemory].
type Authority struct {
	dir   string // empty for one that a store keeps
	store Store

	mu      sync.RWMutex
	state   state
	known   map[int]*generation
	joinKey secret.Value
	revoked []Revocation
	levers  []byte // as they are kept, for servers to read
}

// generation is a root and the intermediate that it signed.
type generation struct {
	number       int
	root         *x509.Certificate
	intermediate *x509.Certificate
	key          crypto.Signer // the intermediate's
	last         time.Time     // when the last leaf ends that it signed
}

// InMemory creates an authority whose keys exist only in this process.
func InMemory() (*Authority, error) { return Shared(&memory{}) }

// generate creates a root and an intermediate. The root's private key is returned separately.
func generate(number int) (*generation, *ecdsa.PrivateKey, error) {
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	root, err := certify(fmt.Sprintf("meshc root %d", number), nil, rootKey.Public(), rootKey, 1)
	if err != nil {
		return nil, nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	intermediate, err := certify(fmt.Sprintf("meshc intermediate %d", number), root, key.Public(), rootKey, 0)
	if err != nil {
		return nil, nil, err
	}
	return &generation{number: number, root: root, intermediate: intermediate, key: key}, rootKey, nil
}

// certify creates a CA certificate; without a parent it is self-signed.
func certify(name string, parent *x509.Certificate, public crypto.PublicKey, signer crypto.Signer,
	pathLen int,
) (*x509.Certificate, error) {
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
	return publickey.ParseCertificate(der)
}

// Bundle returns the trust bundle: the trusted roots in PEM.
func (a *Authority) Bundle() []byte {
	a.mu.RLock()
	defer a.mu.RUnlock()
	var out []byte
	for _, n := range a.state.Trusted {
		out = append(out, encode(a.known[n].root)...)
	}
	return out
}

// Pool returns the trust bundle as a certificate pool. The certificates in it are those of the authority, so that a
// pool for each connection costs little.
func (a *Authority) Pool() *x509.CertPool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	pool := x509.NewCertPool()
	for _, n := range a.state.Trusted {
		pool.AddCert(a.known[n].root)
	}
	return pool
}

// Digest identifies a trust bundle: it is the same for the same certificates in PEM, however they are formatted.
func Digest(bundle []byte) string {
	h := sha256.New()
	for {
		var block *pem.Block
		if block, bundle = pem.Decode(bundle); block == nil {
			return hex.EncodeToString(h.Sum(nil)[:8])
		}
		h.Write(block.Bytes)
	}
}

// Signer returns the digest of the root whose intermediate signs leaves at present.
func (a *Authority) Signer() string {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return Digest(encode(a.known[a.state.Signing].root))
}

// Sign signs a request for the given identity and returns the leaf and the intermediate in PEM. The signature of the
// request must prove that its sender has the private key. The request must name this identity or none, and no DNS
// name, IP address or email address. The leaf follows the X.509-SVID specification of SPIFFE: one URI SAN, not a CA,
// key usage digitalSignature only. The lifetime is that of the leaf, at least 1s.
func (a *Authority) Sign(request *x509.CertificateRequest, id spiffeid.ID, lifetime time.Duration) ([]byte, error) {
	return a.SignProved(request, id, lifetime, Proof{})
}

// ErrNotSigned is returned if a leaf is not signed because nothing can be recorded of it.
var ErrNotSigned = errors.New("the end of a certificate cannot be recorded")

// SignProved signs as [Authority.Sign] does. The leaf contains the proof, and it expires at the end of the time in
// which it may be renewed, if that is earlier.
func (a *Authority) SignProved(request *x509.CertificateRequest, id spiffeid.ID, lifetime time.Duration,
	proof Proof,
) ([]byte, error) {
	if err := publickey.Check(request.PublicKey); err != nil {
		return nil, fmt.Errorf("the request for %s: %w", id, err)
	}
	if err := request.CheckSignature(); err != nil {
		return nil, fmt.Errorf("the request for %s does not prove its key: %w", id, err)
	}
	if len(request.DNSNames)+len(request.IPAddresses)+len(request.EmailAddresses) > 0 || len(request.URIs) > 1 ||
		len(request.URIs) == 1 && request.URIs[0].String() != id.String() {
		return nil, fmt.Errorf("the request asks for other names than %s", id)
	}
	return a.issue(request.PublicKey, id, lifetime, nil, proof)
}

// issue creates a leaf for a public key. Hosts are DNS names and IP addresses that it contains in addition to the
// identity, which X.509-SVID allows.
func (a *Authority) issue(public crypto.PublicKey, id spiffeid.ID, lifetime time.Duration, hosts []string,
	proof Proof,
) ([]byte, error) {
	if !proof.RenewableUntil.IsZero() {
		lifetime = min(lifetime, time.Until(proof.RenewableUntil))
	}
	if lifetime < time.Second {
		return nil, fmt.Errorf("a lifetime of %s is too short", lifetime)
	}
	serial, err := serialNumberOf(proof.Chain)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: proof.Chain},
		NotBefore: now.Add(-skew), NotAfter: now.Add(lifetime),
		URIs:                  []*url.URL{id.URL()},
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if !proof.RenewableUntil.IsZero() {
		value, err := asn1.Marshal(proof)
		if err != nil {
			return nil, err
		}
		template.ExtraExtensions = []pkix.Extension{{Id: proofExtension, Value: value}}
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	a.mu.RLock()
	g := a.known[a.state.Signing]
	a.mu.RUnlock()
	if err := a.remember(g, template.NotAfter, lifetime); err != nil {
		return nil, errors.Join(ErrNotSigned, err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, g.intermediate, public, g.key)
	if err != nil {
		return nil, err
	}
	leaf, err := publickey.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return append(encode(leaf), encode(g.intermediate)...), nil
}

func encode(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}
