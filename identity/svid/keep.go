package svid

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/identity/ca"
)

// Issuer signs certificates for a holder.
type Issuer interface {
	// Issue signs a certificate signing request (PEM). It returns the leaf with its intermediates, and the trust
	// bundle, both in PEM.
	Issue(ctx context.Context, request []byte) (chain, bundle []byte, err error)
	// Trust returns the present trust bundle in PEM, and the digest of the root that signs; the digest is empty if it
	// is not known.
	Trust(ctx context.Context) (bundle []byte, signer string, err error)
}

// Keeper maintains the certificate of one identity in one directory.
type Keeper struct {
	ID        spiffeid.ID
	Directory string
	Key       ir.KeyKind
	// RenewBefore is the time before its expiry at which a leaf is renewed; 0 means a third of its lifetime.
	RenewBefore time.Duration
	Issuer      Issuer
	// Digest returns the digest of a trust bundle, in the form that the issuer uses.
	Digest func(bundle []byte) string
	Log    *slog.Logger

	warned *x509.Certificate // of which it was told that it is soon not renewed any more
}

const (
	// The issuer is asked for the trust bundle as often as this, and at least twenty times in
	// the life of a leaf.
	maxPoll = time.Minute
	minPoll = 200 * time.Millisecond
	// urgent is the share of its life below which a leaf that cannot be renewed is an
	// error, and no longer a warning.
	urgent = 1.0 / 6
)

// Obtain creates a key, gets it signed by the issuer, and writes both to the directory.
func (k *Keeper) Obtain(ctx context.Context) (*Held, error) {
	key, err := NewKey(k.Key)
	if err != nil {
		return nil, err
	}
	request, err := Request(key, k.ID)
	if err != nil {
		return nil, err
	}
	chain, bundle, err := k.Issuer.Issue(ctx, request)
	if err != nil {
		return nil, err
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	return k.publish(chain, keyPEM, bundle)
}

func (k *Keeper) publish(chain, key, bundle []byte) (*Held, error) {
	if err := Publish(k.Directory, chain, key, bundle); err != nil {
		return nil, err
	}
	held, err := Read(k.Directory)
	if err == nil && held.ID != k.ID {
		err = fmt.Errorf("the issued certificate is that of %s, and %s was requested", held.ID, k.ID)
	}
	return held, err
}

// Run keeps the certificate valid until the context ends. It renews the certificate in time, renews it at once when
// another root signs, and updates the trust bundle. If this fails, it logs warnings, which become more severe as the
// remaining time gets shorter.
func (k *Keeper) Run(ctx context.Context) {
	wait := time.Duration(0)
	for {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		wait = k.Step(ctx, time.Now())
	}
}

// Step checks the certificate once and renews it if that is due. It returns the time until the next check.
func (k *Keeper) Step(ctx context.Context, now time.Time) time.Duration {
	held, err := Read(k.Directory)
	if err != nil || held.ID != k.ID {
		if held, err = k.Obtain(ctx); err != nil {
			k.say(ctx, slog.LevelError, "there is no certificate, and none can be had", "identity", k.ID, "error", err)
			return minPoll * 5
		}
		k.say(ctx, slog.LevelInfo, "a certificate was issued", "identity", k.ID, "until", held.Leaf().NotAfter)
	}
	if from := held.Leaf().NotBefore; now.Before(from) { // as the issuer's clock has it
		now = from
	}
	life := held.Leaf().NotAfter.Sub(held.Leaf().NotBefore)
	poll := min(maxPoll, max(minPoll, life/20))
	bundle, signer, err := k.Issuer.Trust(ctx)
	if err == nil && !sameBundle(bundle, held.Bundle) {
		held, err = k.trust(held, bundle)
	}
	due := !now.Before(k.renewal(held))
	if err == nil {
		root := held.Root(now)
		due = due || root == nil || k.Digest(PEM(root)) != signer
	}
	k.warnOfEnd(ctx, held, now)
	if due {
		renewed, renewErr := k.Obtain(ctx)
		if renewErr == nil {
			k.say(ctx, slog.LevelInfo, "the certificate was renewed", "identity", k.ID, "until", renewed.Leaf().
				NotAfter)
			return poll
		}
		err = renewErr
	}
	if err != nil {
		k.complain(ctx, held, now, due, err)
	}
	if due { // the sooner again, the less time is left
		return min(poll, max(minPoll, held.Leaf().NotAfter.Sub(now)/20))
	}
	return min(poll, max(minPoll, k.renewal(held).Sub(now)))
}

// warnOfEnd logs that a new token is needed, if the certificate can be renewed without one only for a short time.
func (k *Keeper) warnOfEnd(ctx context.Context, held *Held, now time.Time) {
	proof, ok := ca.ProofOf(held.Leaf())
	if !ok || held.Leaf().Equal(k.warned) {
		return
	}
	if proof.EndsSoon(now) {
		k.warned = held.Leaf()
		k.say(ctx, slog.LevelWarn,
			"the certificate is soon not renewed any more: run meshc certs request here with a new join token (meshc certs token); it may be run beside what keeps the certificate",
			"identity", k.ID, "directory", k.Directory, "renewableUntil", proof.RenewableUntil, "left",
			proof.RenewableUntil.Sub(now).Round(time.Second))
	}
}

// renewal returns when a leaf must be renewed because of its age.
func (k *Keeper) renewal(h *Held) time.Time {
	l := h.Leaf()
	before := k.RenewBefore
	if before == 0 || before >= l.NotAfter.Sub(l.NotBefore) {
		before = l.NotAfter.Sub(l.NotBefore) / 3
	}
	return l.NotAfter.Add(-before)
}

// trust stores a trust bundle beside the present certificate.
func (k *Keeper) trust(held *Held, bundle []byte) (*Held, error) {
	key, err := os.ReadFile(filepath.Join(k.Directory, KeyFile))
	if err != nil {
		return held, err
	}
	var chain []byte
	for _, c := range held.Chain {
		chain = append(chain, PEM(c)...)
	}
	next, err := k.publish(chain, key, bundle)
	if err != nil {
		return held, err
	}
	k.Log.Info("the trust bundle has changed", "identity", k.ID, "roots", len(Certificates(bundle)))
	return next, nil
}

// complain logs what failed, and how much time is left.
func (k *Keeper) complain(ctx context.Context, held *Held, now time.Time, due bool, err error) {
	if ctx.Err() != nil {
		return
	}
	left := held.Leaf().NotAfter.Sub(now).Round(time.Second)
	switch {
	case left <= 0:
		k.say(ctx, slog.LevelError, "the certificate has expired, and cannot be renewed: nobody believes it any more",
			"identity", k.ID, "expired", -left, "error", err)
	case due && held.Remaining(now) < urgent:
		k.say(ctx, slog.LevelError, "the certificate ends soon, and cannot be renewed", "identity", k.ID, "left", left,
			"error", err)
	case due:
		k.say(ctx, slog.LevelWarn, "the certificate cannot be renewed", "identity", k.ID, "left", left, "error", err)
	default:
		k.say(ctx, slog.LevelWarn, "the issuer does not return a trust bundle", "identity", k.ID, "left", left, "error",
			err)
	}
}

func (k *Keeper) say(ctx context.Context, level slog.Level, message string, args ...any) {
	if ctx.Err() == nil {
		k.Log.Log(ctx, level, message, args...)
	}
}
