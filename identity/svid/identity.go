package svid

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

// Identity returns the SPIFFE ID of a leaf whose chain is already verified. It returns an error if the leaf has no or
// several IDs, if one of its DNS names spells an ID, if its ID is spelled in another way than IDs are, or if it is a CA
// or may sign certificates (SPIFFE X.509-SVID, sections 2 and 4).
func Identity(leaf *x509.Certificate) (spiffeid.ID, error) {
	if leaf.IsCA || leaf.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0 {
		return spiffeid.ID{}, errors.New("the certificate is that of an authority, not of a member")
	}
	for _, name := range leaf.DNSNames {
		if strings.Contains(strings.ToLower(name), spiffeScheme) {
			return spiffeid.ID{}, errors.New("a DNS name of the certificate spells an identity")
		}
	}
	id, err := x509svid.IDFromCert(leaf)
	if err != nil {
		return spiffeid.ID{}, err
	}
	for _, e := range leaf.Extensions {
		if e.Id.Equal(subjectAlternativeName) && !spells(e.Value, id.String()) {
			return spiffeid.ID{}, errors.New("the certificate does not spell its identity as " + id.String())
		}
	}
	return id, nil
}

const (
	spiffeScheme = "spiffe:"
	uriName      = 6 // the tag of a URI in a GeneralName (RFC 5280, section 4.2.1.6)
)

var subjectAlternativeName = asn1.ObjectIdentifier{2, 5, 29, 17}

// spells reports whether all URIs of the extension are that text, byte by byte. What [x509.Certificate] has of a URI is
// changed: an empty fragment is gone, and the scheme is in lower case.
func spells(extension []byte, id string) bool {
	var names []asn1.RawValue
	if rest, err := asn1.Unmarshal(extension, &names); err != nil || len(rest) > 0 {
		return false
	}
	for _, name := range names {
		if name.Class == asn1.ClassContextSpecific && name.Tag == uriName && string(name.Bytes) != id {
			return false
		}
	}
	return true
}
