package svid

import (
	"crypto/x509"
	"errors"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

// Identity is the one SPIFFE ID of a leaf whose chain was verified. A leaf with several, and one that is an authority
// or may sign for one, is an error (SPIFFE X.509-SVID, sections 2 and 4).
func Identity(leaf *x509.Certificate) (spiffeid.ID, error) {
	if leaf.IsCA || leaf.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0 {
		return spiffeid.ID{}, errors.New("the certificate is one of an authority, and no member's")
	}
	return x509svid.IDFromCert(leaf)
}
