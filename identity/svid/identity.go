package svid

import (
	"crypto/x509"
	"errors"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

// Identity returns the SPIFFE ID of a leaf whose chain is already verified. It returns an error if the leaf has no or
// several IDs, or if it is a CA or may sign certificates (SPIFFE X.509-SVID, sections 2 and 4).
func Identity(leaf *x509.Certificate) (spiffeid.ID, error) {
	if leaf.IsCA || leaf.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0 {
		return spiffeid.ID{}, errors.New("the certificate is that of an authority, not of a member")
	}
	return x509svid.IDFromCert(leaf)
}
