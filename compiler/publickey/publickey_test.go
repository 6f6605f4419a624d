package publickey_test

import (
	"crypto"
	"crypto/dsa" //lint:ignore SA1019 a key of a kind that is refused
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/publickey"
	"github.com/meshc/meshc/compiler/publickey/wrongkey"
)

func TestCheck(t *testing.T) {
	curve := func(c elliptic.Curve) crypto.PublicKey {
		key, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key.Public()
	}
	for name, c := range map[string]struct {
		key  crypto.PublicKey
		good bool
	}{
		"P-256":               {curve(elliptic.P256()), true},
		"P-384":               {curve(elliptic.P384()), true},
		"P-521":               {curve(elliptic.P521()), true},
		"P-224":               {curve(elliptic.P224()), false},
		"Ed25519":             {ed25519.PublicKey(make([]byte, ed25519.PublicKeySize)), true},
		"half an Ed25519":     {ed25519.PublicKey(make([]byte, 16)), false},
		"RSA 1024":            {wrongkey.RSA(1024, 65537), false},
		"RSA 2047":            {wrongkey.RSA(2047, 65537), false},
		"RSA 2048":            {wrongkey.RSA(2048, 65537), true},
		"RSA 3072":            {wrongkey.RSA(3072, 65537), true},
		"RSA 4096":            {wrongkey.RSA(4096, 65537), true},
		"RSA 4097":            {wrongkey.RSA(4097, 65537), false},
		"RSA 8192":            {wrongkey.RSA(8192, 65537), false},
		"RSA 200000":          {wrongkey.RSA(200_000, 65537), false},
		"the exponent 1":      {wrongkey.RSA(2048, 1), false},
		"an even exponent":    {wrongkey.RSA(2048, 65536), false},
		"a negative exponent": {wrongkey.RSA(2048, -3), false},
		"a huge exponent":     {wrongkey.RSA(2048, 1<<40+1), false},
		"DSA":                 {&dsa.PublicKey{}, false},
		"none":                {nil, false},
	} {
		err := publickey.Check(c.key)
		if (err == nil) != c.good || err != nil && !errors.Is(err, publickey.ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// tooLong is a certificate whose key has 16384 bits, signed by an authority with a good one.
func tooLong(t *testing.T, ca *x509.Certificate, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}, ca, wrongkey.RSA(16384, 65537), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func authority(t *testing.T) (*x509.Certificate, crypto.Signer) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c, key
}

// TestPeersWithHugeKeys wants every certificate of a chain to be looked at before a signature is verified: the refusal
// is that of the key, though the chain would not verify either.
func TestPeersWithHugeKeys(t *testing.T) {
	ca, key := authority(t)
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	leaf, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(3),
		NotAfter:     time.Now().Add(time.Hour),
	}, ca, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	huge := tooLong(t, ca, key)
	if chain, err := publickey.VerifyPeer([][]byte{leaf}, roots, x509.ExtKeyUsageAny); err != nil || len(chain) != 2 {
		t.Errorf("a good chain: %v", err)
	}
	for name, shown := range map[string][][]byte{"the leaf": {huge}, "one between": {leaf, huge}} {
		if _, err := publickey.VerifyPeer(shown, roots, x509.ExtKeyUsageAny); !errors.Is(err, publickey.ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, shown := range map[string][][]byte{"none": {}, "nine": {
		leaf, leaf, leaf, leaf, leaf, leaf, leaf, leaf,
		leaf,
	}, "one that is too long": {make([]byte, publickey.MaxDER+1)}} {
		if _, err := publickey.VerifyPeer(shown, roots, x509.ExtKeyUsageAny); err == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
}

// TestRequestsWithHugeKeys wants no signature of a request to be looked at whose key is of the wrong size: this one's
// is nothing that could be verified.
func TestRequestsWithHugeKeys(t *testing.T) {
	if _, err := publickey.ParseRequest(make([]byte, publickey.MaxDER+1)); err == nil {
		t.Error("it is read, however long it is")
	}
	text, err := wrongkey.Request(100_000)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	if _, err := publickey.ParseRequest(block.Bytes); !errors.Is(err, publickey.ErrKey) {
		t.Errorf("got %v", err)
	}
}

// TestNobodyElseParses wants keys of others to be read by this package and by nothing else in the product. The harness
// of tests, benchmarks and the example's application read their own.
func TestNobodyElseParses(t *testing.T) {
	top := filepath.Join("..", "..")
	err := filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		at, err := filepath.Rel(top, name)
		if err != nil {
			return err
		}
		switch at {
		case filepath.Join("compiler", "publickey"), filepath.Join("host", "local"), filepath.Join("tools", "bench"),
			"examples", ".tools", ".git":
			return fs.SkipDir
		}
		if d.IsDir() || filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for _, call := range []string{
			"x509.ParseCertificate", "AppendCertsFromPEM(", "ClientCAs:",
			"tls.RequireAndVerifyClientCert", "tls.VerifyClientCertIfGiven",
		} {
			if strings.Contains(string(data), call) {
				t.Errorf("%s: %s: keys of others are read by compiler/publickey, which looks at them first", at, call)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
