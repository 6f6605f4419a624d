package ca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/meshc/meshc/compiler/secret"
)

var cart = spiffeid.RequireFromString("spiffe://shop.example/ns/default/sa/cart")

func authority(t *testing.T) *Authority {
	t.Helper()
	a, err := InMemory()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// request asks for a certificate and proves its key.
func request(t *testing.T, template x509.CertificateRequest) *x509.CertificateRequest {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &template, key)
	if err != nil {
		t.Fatal(err)
	}
	r, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// certificates parses a chain in PEM.
func certificates(t *testing.T, chain []byte) []*x509.Certificate {
	t.Helper()
	var out []*x509.Certificate
	for {
		var block *pem.Block
		if block, chain = pem.Decode(chain); block == nil {
			return out
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
}

func TestSignMakesAnSVID(t *testing.T) {
	a := authority(t)
	for name, r := range map[string]*x509.CertificateRequest{
		"asked for by name": request(t, x509.CertificateRequest{URIs: []*url.URL{cart.URL()}}),
		"asked for by none": request(t, x509.CertificateRequest{}),
	} {
		t.Run(name, func(t *testing.T) {
			chain, err := a.Sign(r, cart, time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			certs := certificates(t, chain)
			if len(certs) != 2 {
				t.Fatalf("a chain of %d certificates", len(certs))
			}
			leaf := certs[0]
			roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
			roots.AppendCertsFromPEM(a.Bundle())
			intermediates.AddCert(certs[1])
			if _, err := leaf.Verify(x509.VerifyOptions{
				Roots: roots, Intermediates: intermediates, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
			}); err != nil {
				t.Error(err)
			}
			// Section 4 and 5.2 of the X.509-SVID specification.
			if id, err := x509svid.IDFromCert(leaf); err != nil || id != cart {
				t.Errorf("identity %s, %v", id, err)
			}
			if leaf.IsCA || leaf.KeyUsage != x509.KeyUsageDigitalSignature {
				t.Errorf("authority %t, key usage %b", leaf.IsCA, leaf.KeyUsage)
			}
			if len(leaf.URIs) != 1 || len(leaf.DNSNames) != 0 || len(leaf.IPAddresses) != 0 ||
				leaf.Subject.String() != "" {
				t.Errorf("it names more than the identity: %v %v %v %q", leaf.URIs, leaf.DNSNames, leaf.IPAddresses,
					leaf.Subject)
			}
			if until := time.Until(leaf.NotAfter); until > time.Hour || until < 59*time.Minute {
				t.Errorf("valid for %s", until)
			}
		})
	}
}

func TestSignRefuses(t *testing.T) {
	a := authority(t)
	other := spiffeid.RequireFromString("spiffe://shop.example/ns/default/sa/checkout")
	forged := request(t, x509.CertificateRequest{URIs: []*url.URL{cart.URL()}})
	forged.Signature[len(forged.Signature)-1] ^= 1
	swapped := request(t, x509.CertificateRequest{URIs: []*url.URL{cart.URL()}})
	swapped.PublicKey = request(t, x509.CertificateRequest{}).PublicKey
	for name, c := range map[string]struct {
		request *x509.CertificateRequest
		life    time.Duration
		want    string
	}{
		"another identity": {
			request(t, x509.CertificateRequest{URIs: []*url.URL{other.URL()}}), time.Hour,
			"other names",
		},
		"two identities": {
			request(t, x509.CertificateRequest{URIs: []*url.URL{cart.URL(), other.URL()}}), time.Hour,
			"other names",
		},
		"a DNS name": {
			request(t, x509.CertificateRequest{DNSNames: []string{"bank.example"}}), time.Hour,
			"other names",
		},
		"an address": {
			request(t, x509.CertificateRequest{IPAddresses: []net.IP{{10, 0, 0, 1}}}), time.Hour,
			"other names",
		},
		"an e-mail address": {
			request(t, x509.CertificateRequest{EmailAddresses: []string{"a@b.example"}}), time.Hour,
			"other names",
		},
		"a bad signature": {forged, time.Hour, "does not prove its key"},
		"somebody's key":  {swapped, time.Hour, "does not prove its key"},
		"no lifetime":     {request(t, x509.CertificateRequest{}), 0, "too short"},
	} {
		t.Run(name, func(t *testing.T) {
			chain, err := a.Sign(c.request, cart, c.life)
			if err == nil || !strings.Contains(err.Error(), c.want) || chain != nil {
				t.Errorf("got %q, %v", chain, err)
			}
		})
	}
}

func TestCertificateCarriesHosts(t *testing.T) {
	c, err := authority(t).Certificate(cart, time.Hour, "127.0.0.1", "localhost")
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"127.0.0.1", "localhost"} {
		if err := c.Leaf.VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenKeepsTheAuthority(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ca")
	first, err := Open(dir, secret.Value{})
	if err != nil {
		t.Fatal(err)
	}
	again, err := Open(dir, secret.Value{})
	if err != nil {
		t.Fatal(err)
	}
	if string(first.Bundle()) != string(again.Bundle()) || first.Signer() != again.Signer() {
		t.Error("the second time it is another authority")
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory: %v %v", info.Mode(), err)
	}
	files := 0
	must(t, filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		must(t, err)
		info, err := e.Info()
		must(t, err)
		if want := map[bool]fs.FileMode{true: fs.ModeDir | 0o700, false: 0o600}[e.IsDir()]; info.Mode() != want {
			t.Errorf("%s: %v", name, info.Mode())
		}
		if !e.IsDir() {
			files++
		}
		return nil
	}))
	if files != 6 { // a generation of four, the key of join tokens, and what is in force
		t.Errorf("there are %d files", files)
	}
}

func TestOpenRefuses(t *testing.T) {
	other := filepath.Join(t.TempDir(), "other")
	if _, err := Open(other, secret.Value{}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		spoil func(t *testing.T, dir string)
		want  string
	}{
		"a key that others can read": {func(t *testing.T, dir string) {
			must(t, os.Chmod(filepath.Join(dir, "1", keyFile), 0o640))
		}, "can be read by others: its mode is 0640 and must be 0600"},
		"the key of another": {func(t *testing.T, dir string) {
			must(t, os.Rename(filepath.Join(other, "1", keyFile), filepath.Join(dir, "1", keyFile)))
		}, "the key is not that of intermediate.crt"},
		"the root of another": {func(t *testing.T, dir string) {
			must(t, os.Rename(filepath.Join(other, "1", rootFile), filepath.Join(dir, "1", rootFile)))
		}, "root.crt did not sign intermediate.crt"},
		"no root": {func(t *testing.T, dir string) {
			must(t, os.Remove(filepath.Join(dir, "1", rootFile)))
		}, "root.crt"},
		"a key that is none": {func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, "1", keyFile), []byte("very secret"), 0o600))
		}, "intermediate.key holds no key"},
		"a certificate that is none": {func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, "1", rootFile), nil, 0o600))
		}, "root.crt holds no certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if _, err := Open(dir, secret.Value{}); err != nil {
				t.Fatal(err)
			}
			c.spoil(t, dir)
			_, err := Open(dir, secret.Value{})
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestOpenHalfMade: while an authority is being made, the process ended.
func TestOpenHalfMade(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(dir, secret.Value{}); err != nil {
		t.Fatal(err)
	}
	must(t, os.Remove(filepath.Join(dir, stateFile)))
	if _, err := Open(dir, secret.Value{}); err == nil || !strings.Contains(err.Error(), "has keys of an authority") {
		t.Errorf("an authority whose state was lost is made anew: %v", err)
	}
	must(t, os.WriteFile(filepath.Join(dir, makingFile), nil, 0o600))
	must(t, os.Remove(filepath.Join(dir, "1", keyFile)))
	if _, err := Open(dir, secret.Value{}); err != nil {
		t.Error(err)
	}
}
