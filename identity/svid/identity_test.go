package svid_test

import (
	"crypto/x509"
	"net/url"
	"testing"

	"github.com/meshc/meshc/identity/svid"
)

// One leaf has one identity and signs nothing.
func TestIdentity(t *testing.T) {
	id := &url.URL{Scheme: "spiffe", Host: "shop.example", Path: "/ns/shop/sa/cart"}
	for name, c := range map[string]struct {
		leaf x509.Certificate
		good bool
	}{
		"one":                 {x509.Certificate{URIs: []*url.URL{id}, KeyUsage: x509.KeyUsageDigitalSignature}, true},
		"a DNS name too":      {x509.Certificate{URIs: []*url.URL{id}, DNSNames: []string{"cart"}}, true},
		"two, one by DNS":     {x509.Certificate{URIs: []*url.URL{id}, DNSNames: []string{"SPIFFE://a/b"}}, false},
		"none, but by DNS":    {x509.Certificate{DNSNames: []string{id.String()}}, false},
		"two":                 {x509.Certificate{URIs: []*url.URL{id, id}}, false},
		"no SPIFFE ID":        {x509.Certificate{URIs: []*url.URL{{Scheme: "https", Host: "shop.example"}}}, false},
		"an authority's":      {x509.Certificate{URIs: []*url.URL{id}, IsCA: true}, false},
		"signs certificates":  {x509.Certificate{URIs: []*url.URL{id}, KeyUsage: x509.KeyUsageCertSign}, false},
		"signs lists of them": {x509.Certificate{URIs: []*url.URL{id}, KeyUsage: x509.KeyUsageCRLSign}, false},
	} {
		if got, err := svid.Identity(&c.leaf); (err == nil) != c.good {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
