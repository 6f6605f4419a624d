package svid

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/meshc/meshc/compiler/publickey"
)

// PEM returns the certificate in PEM.
func PEM(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

// Inspect writes a description of certificates for people: their identity, their issuer and the time until they
// expire.
func Inspect(w io.Writer, list []*x509.Certificate, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "NAME\tKIND\tKEY\tSIGNED BY\tENDS\tLEFT")
	for _, c := range list {
		kind := "leaf"
		switch {
		case c.IsCA && publickey.Check(c.PublicKey) == nil && c.CheckSignatureFrom(c) == nil:
			kind = "root"
		case c.IsCA:
			kind = "intermediate"
		}
		key := string(KindOf(c.PublicKey))
		if key == "" {
			key = strings.ToLower(c.PublicKeyAlgorithm.String())
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", nameOf(c), kind, key, c.Issuer.CommonName, c.NotAfter.UTC().
			Format(time.RFC3339), left(c, now))
	}
	return t.Flush()
}

func nameOf(c *x509.Certificate) string {
	var names []string
	for _, u := range c.URIs {
		names = append(names, u.String())
	}
	names = append(names, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return c.Subject.CommonName
	}
	return strings.Join(names, " ")
}

func left(c *x509.Certificate, now time.Time) string {
	switch d := c.NotAfter.Sub(now).Round(time.Second); {
	case now.Before(c.NotBefore):
		return "not yet valid"
	case d <= 0:
		return "expired"
	case d > 48*time.Hour:
		return fmt.Sprintf("%d days", int(d/(24*time.Hour)))
	default:
		return d.String()
	}
}
