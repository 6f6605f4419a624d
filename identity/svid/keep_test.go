package svid_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/identity/ca"
	"github.com/meshc/meshc/identity/svid"
)

var cart = spiffeid.RequireFromString("spiffe://shop.example/ns/shop/sa/cart")

func authority(t *testing.T) *ca.Authority {
	t.Helper()
	a, err := ca.InMemory()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// gone is an issuer that cannot be reached.
type gone struct{}

func (gone) Issue(context.Context, []byte) (chain, bundle []byte, err error) {
	return nil, nil, errors.New("nobody answers")
}

func (gone) Trust(context.Context) (bundle []byte, signer string, err error) {
	return nil, "", errors.New("nobody answers")
}

// TestWarningsRise has a certificate that nobody renews any more: the keeper says so,
// the louder the less time is left, and keeps what it has.
func TestWarningsRise(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cart")
	k := svid.DirectKeeper(authority(t), dir, cart, 6*time.Hour)
	held, err := k.Obtain(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	k.Log, k.Issuer = slog.New(slog.NewTextHandler(&log, nil)), gone{}
	begin, life := held.Leaf().NotBefore, held.Leaf().NotAfter.Sub(held.Leaf().NotBefore)
	for _, c := range []struct {
		at   float64
		want string
	}{
		{0.5, `level=WARN msg="the issuer does not return a trust bundle"`},
		{0.7, `level=WARN msg="the certificate cannot be renewed"`},
		{0.9, `level=ERROR msg="the certificate ends soon, and cannot be renewed"`},
		{1.1, `level=ERROR msg="the certificate has expired, and cannot be renewed: nobody believes it any more"`},
	} {
		log.Reset()
		k.Step(t.Context(), begin.Add(time.Duration(c.at*float64(life))))
		if !strings.Contains(log.String(), c.want) {
			t.Errorf("at %v of its life: %s", c.at, log.String())
		}
	}
	if still, err := svid.Read(dir); err != nil || !still.Leaf().Equal(held.Leaf()) {
		t.Errorf("what was held is gone: %v", err)
	}
}

// TestRenewedInTime is renewed when two thirds of its life are over, and not before.
func TestRenewedInTime(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cart")
	k := svid.DirectKeeper(authority(t), dir, cart, 3*time.Hour)
	first, err := k.Obtain(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	life := first.Leaf().NotAfter.Sub(first.Leaf().NotBefore)
	for share, renewed := range map[float64]bool{0.66: false, 0.67: true} {
		if _, err := k.Obtain(t.Context()); err != nil {
			t.Fatal(err)
		}
		before, err := svid.Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		k.Step(t.Context(), before.Leaf().NotBefore.Add(time.Duration(share*float64(life))))
		after, err := svid.Read(dir)
		if err != nil || after.Leaf().Equal(before.Leaf()) == renewed {
			t.Errorf("at %v of its life: renewed %t, %v", share, !after.Leaf().Equal(before.Leaf()), err)
		}
	}
}

// TestPublishIsOneStep leaves no moment at which key and certificate do not belong
// together, nothing but the one before, and nothing that others can read.
func TestPublishIsOneStep(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cart")
	k := svid.DirectKeeper(authority(t), dir, cart, time.Hour)
	if _, err := k.Obtain(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	broken := make(chan error, 1)
	go func() {
		defer close(broken)
		for ctx.Err() == nil {
			// As Envoy does: the file that holds both.
			data, err := os.ReadFile(filepath.Join(dir, "identity.yaml"))
			if errors.Is(err, os.ErrNotExist) {
				continue // two changes came between the finding and the opening
			}
			if err != nil || !bytes.Contains(data, []byte("certificate_chain")) ||
				!bytes.Contains(data, []byte("private_key")) {
				broken <- err
				return
			}
		}
	}()
	for range 200 {
		if _, err := k.Obtain(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	if err, ok := <-broken; ok {
		t.Errorf("a reader saw less than all: %v", err)
	}
	count := 0
	err := filepath.WalkDir(dir, func(name string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if info.Mode().IsRegular() {
			count++
		}
		if info.Mode()&os.ModeSymlink == 0 && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v", name, info.Mode())
		}
		return nil
	})
	if err != nil || count != 10 {
		t.Errorf("%d files, %v", count, err)
	}
}

// TestSomebodyElseSigns takes the request to another authority by hand.
func TestSomebodyElseSigns(t *testing.T) {
	dir, a := filepath.Join(t.TempDir(), "cart"), authority(t)
	now := time.Now()
	if _, err := svid.Install(dir, cart, nil, a.Bundle(), now); err == nil ||
		!strings.Contains(err.Error(), "no key without a certificate") {
		t.Errorf("got %v", err)
	}
	file, err := svid.Prepare(dir, ir.KeyECDSAP256, cart)
	if err != nil {
		t.Fatal(err)
	}
	request, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(id spiffeid.ID) []byte {
		parsed, err := svid.ParseRequest(request)
		if err != nil {
			t.Fatal(err)
		}
		parsed.URIs = nil
		chain, err := a.Sign(parsed, id, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		return chain
	}
	secretKey := []byte("-----BEGIN PRIVATE " + "KEY-----\nMAA=\n-----END PRIVATE " + "KEY-----\n")
	other, err := a.Certificate(cart, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		chain, bundle []byte
		want          string
	}{
		"another identity": {
			sign(spiffeid.RequireFromString("spiffe://shop.example/ns/shop/sa/payment")), a.Bundle(),
			"must be that of " + cart.String(),
		},
		"another key":        {svid.PEM(other.Leaf), a.Bundle(), "does not match the key"},
		"another authority":  {sign(cart), authority(t).Bundle(), "does not lead to one of the roots"},
		"a key among roots":  {sign(cart), append(a.Bundle(), secretKey...), "a private key besides certificates"},
		"a key in the chain": {append(sign(cart), secretKey...), a.Bundle(), "a private key besides certificates"},
		"nobody to trust":    {sign(cart), nil, "the roots to trust: it has no certificate in PEM"},
		"nothing":            {nil, a.Bundle(), "the chain: it has no certificate in PEM"},
	} {
		if _, err := svid.Install(dir, cart, c.chain, c.bundle, now); err == nil ||
			!strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := svid.Read(dir); err == nil {
			t.Errorf("%s: it is in use", name)
		}
	}
	held, err := svid.Install(dir, cart, sign(cart), a.Bundle(), now)
	if err != nil || held.ID != cart {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "request")); !os.IsNotExist(err) {
		t.Errorf("the key still waits: %v", err)
	}
	var out strings.Builder
	if err := svid.Inspect(&out, append(held.Chain, svid.Certificates(held.Bundle)...), now); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{cart.String(), "leaf", "ecdsa-p256", "meshc intermediate 1", "root", "days"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, out.String())
		}
	}
}

// proved is an issuer whose leaves say that their holder proved who it is at that time.
type proved struct {
	svid.Direct
	proof ca.Proof
}

func (p proved) Issue(_ context.Context, request []byte) (chain, bundle []byte, err error) {
	parsed, err := svid.ParseRequest(request)
	if err != nil {
		return nil, nil, err
	}
	chain, err = p.Authority.SignProved(parsed, p.ID, p.Lifetime, p.proof)
	return chain, p.Authority.Bundle(), err
}

// TestEndOfRenewalsIsTold has a certificate that is soon not renewed any more: the keeper says so once, with what to
// do.
func TestEndOfRenewalsIsTold(t *testing.T) {
	now, dir := time.Now(), filepath.Join(t.TempDir(), "cart")
	a := authority(t)
	k := svid.DirectKeeper(a, dir, cart, 3*time.Hour)
	var log bytes.Buffer
	k.Log = slog.New(slog.NewTextHandler(&log, nil))
	const said = `msg="the certificate is soon not renewed any more: run meshc certs request here with a new join token`
	for _, c := range []struct {
		left time.Duration
		told int
	}{{6 * 24 * time.Hour, 0}, {4 * 24 * time.Hour, 1}, {time.Hour, 1}} {
		k.Issuer = proved{
			svid.Direct{Authority: a, ID: cart, Lifetime: 3 * time.Hour},
			ca.NewProof(now.Add(c.left-30*24*time.Hour), 30*24*time.Hour),
		}
		log.Reset()
		if _, err := k.Obtain(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			k.Step(t.Context(), now)
		}
		if told := strings.Count(log.String(), said); told != c.told {
			t.Errorf("%s before the end it is told %d times, want %d: %s", c.left, told, c.told, log.String())
		}
	}
}
