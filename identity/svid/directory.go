package svid

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/meshc/meshc/compiler/publickey"
	"github.com/meshc/meshc/render/envoy"
)

// The files of a certificate directory, besides those by which Envoy is told of them.
const (
	CertificateFile = "tls.crt"
	KeyFile         = "tls.key"
	TrustFile       = "ca.crt"
	// RequestFile is the certificate signing request for an issuer to which somebody takes it by hand.
	RequestFile = "tls.csr"

	current = "..data"
)

// Held is the content of a certificate directory.
type Held struct {
	ID spiffeid.ID
	// Chain is the leaf, followed by the intermediates.
	Chain  []*x509.Certificate
	Key    *tls.Certificate
	Bundle []byte
}

// Leaf returns the certificate of the identity, the first one of the chain.
func (h *Held) Leaf() *x509.Certificate { return h.Chain[0] }

// Remaining returns the share of the leaf's lifetime that is left, from 1 to 0; 0 means that it has expired.
func (h *Held) Remaining(now time.Time) float64 {
	l := h.Leaf()
	return max(0, float64(l.NotAfter.Sub(now))/float64(l.NotAfter.Sub(l.NotBefore)))
}

// Root returns the root in the trust bundle that verifies the chain; nil if there is none.
func (h *Held) Root(now time.Time) *x509.Certificate {
	roots, _ := publickey.Pool(h.Bundle)
	intermediates := x509.NewCertPool()
	for _, c := range h.Chain[1:] {
		intermediates.AddCert(c)
	}
	chains, err := h.Leaf().Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: intermediates, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return nil
	}
	return chains[0][len(chains[0])-1]
}

// Read reads a certificate directory. It returns an error if a file is missing or not valid.
func Read(dir string) (*Held, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, CertificateFile), filepath.Join(dir, KeyFile))
	if err != nil {
		return nil, reason(dir, err)
	}
	h := &Held{Key: &pair}
	for _, der := range pair.Certificate {
		c, err := publickey.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("%s has a certificate that cannot be used: %w", filepath.Join(dir, CertificateFile),
				err)
		}
		h.Chain = append(h.Chain, c)
	}
	if h.ID, err = Identity(h.Leaf()); err != nil {
		return nil, fmt.Errorf("%s is not a SPIFFE certificate: it has no identity",
			filepath.Join(dir, CertificateFile))
	}
	if h.Bundle, err = os.ReadFile(filepath.Join(dir, TrustFile)); err != nil {
		return nil, reason(dir, err)
	}
	if len(Certificates(h.Bundle)) == 0 {
		return nil, fmt.Errorf("%s holds no certificate", filepath.Join(dir, TrustFile))
	}
	return h, nil
}

// reason describes an error without Go's terms and without the content of a key.
func reason(dir string, err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return fmt.Errorf("%s: %w", at.Path, at.Err)
	}
	return fmt.Errorf("%s: %s and %s do not match, or one of them is incomplete", dir, CertificateFile, KeyFile)
}

// Certificates returns the certificates in a PEM text whose keys are of a supported kind and size.
func Certificates(data []byte) []*x509.Certificate { return publickey.Certificates(data) }

// Publish replaces the files of a certificate directory in one step, as the kubelet does for a mounted Secret: the
// file names are symbolic links through "..data", and that link is renamed. A program that watches the directory,
// such as Envoy, sees one change. Publish also writes the files that tell Envoy about the change.
func Publish(dir string, chain, key, bundle []byte) error {
	id, err := whole(chain, key, bundle)
	if err != nil {
		return err
	}
	files, err := envoy.HeldSecretFiles(id.TrustDomain().Name(), chain, key, bundle)
	if err != nil {
		return err
	}
	files[CertificateFile], files[KeyFile], files[TrustFile] = chain, key, bundle
	return publish(dir, files)
}

// errNoSVID is returned for a certificate that is not a valid SVID of a member (SPIFFE X.509-SVID, sections 2 and 4).
var errNoSVID = errors.New("the issuer did not sign a SPIFFE certificate: it has no identity, or several")

// whole returns the identity of a complete set of files. It returns an error for files that Envoy would not accept,
// as its own or from a peer.
func whole(chain, key, bundle []byte) (spiffeid.ID, error) {
	if _, err := tls.X509KeyPair(chain, key); err != nil {
		return spiffeid.ID{}, errors.New("the issued certificate does not match the key")
	}
	if len(Certificates(bundle)) == 0 {
		return spiffeid.ID{}, errors.New("the issuer returned no trust bundle")
	}
	own := Certificates(chain)
	if len(own) == 0 {
		return spiffeid.ID{}, errNoSVID
	}
	id, err := x509svid.IDFromCert(own[0])
	switch {
	case err != nil:
		return spiffeid.ID{}, errNoSVID
	case own[0].KeyUsage == 0:
		return spiffeid.ID{}, errors.New("the signed certificate has no key usage, and proxies need digitalSignature")
	}
	return id, nil
}

func publish(dir string, files map[string][]byte) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	next, err := os.MkdirTemp(dir, "..")
	if err != nil {
		return err
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(next, name), data, 0o600); err != nil {
			return errors.Join(err, os.RemoveAll(next))
		}
	}
	last, err := os.Readlink(filepath.Join(dir, current))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, os.RemoveAll(next))
	}
	link := next + ".link"
	if err := os.Symlink(filepath.Base(next), link); err != nil {
		return errors.Join(err, os.RemoveAll(next))
	}
	if err := os.Rename(link, filepath.Join(dir, current)); err != nil {
		return errors.Join(err, os.Remove(link), os.RemoveAll(next))
	}
	for name := range files {
		at := filepath.Join(dir, name)
		if to, err := os.Readlink(at); err == nil && to == filepath.Join(current, name) {
			continue
		}
		if err := replaceBy(at, filepath.Join(current, name), filepath.Base(next)); err != nil {
			return err
		}
	}
	// Who is reading what was before may go on; it goes with the next one.
	sweep(dir, filepath.Base(next), filepath.Base(last))
	return nil
}

// replaceBy creates a link, even if there is a file that somebody put there by hand.
func replaceBy(at, to, unique string) error {
	link := at + "." + unique
	if err := os.Symlink(to, link); err != nil {
		return err
	}
	return os.Rename(link, at)
}

// sweep removes earlier versions and remains of an interrupted Publish, except the named ones.
func sweep(dir string, kept ...string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // another time
	}
	for _, e := range entries {
		if name := e.Name(); strings.HasPrefix(name, "..") && name != current && !slices.Contains(kept, name) {
			_ = os.RemoveAll(filepath.Join(dir, name)) // another time
		}
	}
}

// sameBundle reports whether two bundles hold the same certificates in the same order.
func sameBundle(a, b []byte) bool {
	x, y := Certificates(a), Certificates(b)
	if len(x) != len(y) {
		return false
	}
	for i := range x {
		if !bytes.Equal(x[i].Raw, y[i].Raw) {
			return false
		}
	}
	return true
}
