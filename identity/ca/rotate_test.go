package ca

import (
	"bytes"
	"crypto/x509"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/meshc/meshc/compiler/secret"
)

// holds reports whether a bundle believes a chain.
func holds(t *testing.T, bundle, chain []byte) bool {
	t.Helper()
	certs := certificates(t, chain)
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	intermediates.AddCert(certs[1])
	_, err := certs[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: intermediates,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return err == nil
}

// TestRotation goes through the stages, kept and in memory. In each a leaf is believed
// by whoever is in that stage or a neighbouring one.
func TestRotation(t *testing.T) {
	cheapPassphrases(t)
	for name, made := range map[string]func() *Authority{
		"kept": func() *Authority {
			a, err := Open(filepath.Join(t.TempDir(), "ca"), secret.New([]byte("open sesame")))
			must(t, err)
			return a
		},
		"in memory": func() *Authority { return authority(t) },
	} {
		t.Run(name, func(t *testing.T) {
			a := made()
			type stage struct {
				Rotation
				bundle, leaf []byte
			}
			now := time.Now()
			var stages []stage
			look := func(want Stage) {
				t.Helper()
				leaf, err := a.Sign(request(t, x509.CertificateRequest{}), cart, time.Minute)
				must(t, err)
				r := a.Rotation()
				if r.Stage != want {
					t.Fatalf("stage %s, want %s", r.Stage, want)
				}
				stages = append(stages, stage{r, a.Bundle(), leaf})
			}
			look(Steady)
			for _, want := range []Stage{TrustBoth, SignNew} {
				_, err := a.Advance(secret.New([]byte("open sesame")), now)
				must(t, err)
				look(want)
			}
			if _, err := a.Advance(secret.Value{}, now); !errors.Is(err, ErrOldLeaves) {
				t.Errorf("the old root is dropped with leaves that hold: %v", err)
			}
			_, err := a.Advance(secret.Value{}, now.Add(2*time.Minute))
			must(t, err)
			look(Steady)
			for i := range stages {
				for _, j := range []int{i - 1, i, i + 1} {
					if j < 0 || j >= len(stages) {
						continue
					}
					if !holds(t, stages[j].bundle, stages[i].leaf) {
						t.Errorf("a leaf of stage %d is not believed in stage %d", i, j)
					}
				}
			}
			if holds(t, stages[3].bundle, stages[0].leaf) || holds(t, stages[0].bundle, stages[3].leaf) {
				t.Error("the old root and the new one believe each other")
			}
			if a.dir == "" {
				return
			}
			again, err := Open(a.dir, secret.Value{})
			must(t, err)
			if again.Rotation() != a.Rotation() {
				t.Errorf("opened again it is %+v, and was %+v", again.Rotation(), a.Rotation())
			}
			entries, err := os.ReadDir(a.dir)
			must(t, err)
			var names []string
			for _, e := range entries {
				names = append(names, e.Name())
			}
			if got := strings.Join(names, " "); got != ".lock 2 authority.json join.key" {
				t.Errorf("the directory has %s", got)
			}
		})
	}
}

// cheapPassphrases makes the passphrases of a test cheap to try; TestRootKeyIsEncrypted wants what they cost otherwise.
func cheapPassphrases(t *testing.T) {
	was := workFactor
	workFactor = 10
	t.Cleanup(func() { workFactor = was })
}

// TestRootKeyIsEncrypted with the passphrase, at the cost of a second for each guess, and with nothing else.
func TestRootKeyIsEncrypted(t *testing.T) {
	dir := t.TempDir()
	_, err := Open(dir, secret.New([]byte("open sesame")))
	must(t, err)
	f, err := os.Open(filepath.Join(dir, "1", rootKeyFile))
	must(t, err)
	defer f.Close()
	identity, err := age.NewScryptIdentity("open sesame")
	must(t, err)
	sealed, err := io.ReadAll(armor.NewReader(f))
	must(t, err)
	if header := regexp.MustCompile(`(?m)^-> scrypt \S+ (\d+)$`).FindSubmatch(sealed); header == nil ||
		string(header[1]) != "18" {
		t.Errorf("a guess costs %q", header)
	}
	r, err := age.Decrypt(bytes.NewReader(sealed), identity)
	must(t, err)
	data, err := io.ReadAll(r)
	must(t, err)
	if !strings.Contains(string(data), "PRIVATE KEY") {
		t.Error("it holds no key")
	}
	raw, err := os.ReadFile(filepath.Join(dir, "1", rootKeyFile))
	must(t, err)
	if strings.Contains(string(raw), "PRIVATE KEY") {
		t.Error("it can be read without the passphrase")
	}
}

func TestAdvanceIsOneAtATime(t *testing.T) {
	a, err := Open(t.TempDir(), secret.Value{})
	must(t, err)
	unlock, err := a.lock()
	must(t, err)
	if _, err := a.Advance(secret.Value{}, time.Now()); err == nil ||
		!strings.Contains(err.Error(), "another process") {
		t.Errorf("got %v", err)
	}
	unlock()
	if _, err := a.Advance(secret.Value{}, time.Now()); err != nil {
		t.Error(err)
	}
}
