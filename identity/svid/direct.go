package svid

import (
	"context"
	"log/slog"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/identity/ca"
)

// Direct is an issuer ([Issuer]) that uses an authority in the same process.
type Direct struct {
	Authority *ca.Authority
	ID        spiffeid.ID
	Lifetime  time.Duration
}

// Issue signs the request (PEM) with the authority.
func (d Direct) Issue(_ context.Context, request []byte) (chain, bundle []byte, err error) {
	parsed, err := ParseRequest(request)
	if err != nil {
		return nil, nil, err
	}
	chain, err = d.Authority.Sign(parsed, d.ID, d.Lifetime)
	return chain, d.Authority.Bundle(), err
}

// Trust returns the authority's trust bundle and the digest of the root that signs.
func (d Direct) Trust(context.Context) (bundle []byte, signer string, err error) {
	return d.Authority.Bundle(), d.Authority.Signer(), nil
}

// DirectKeeper returns a [Keeper] of the identity in dir, whose certificates an authority in this process signs.
func DirectKeeper(a *ca.Authority, dir string, id spiffeid.ID, lifetime time.Duration) *Keeper {
	return &Keeper{
		ID: id, Directory: dir, Key: ir.KeyECDSAP256, Issuer: Direct{a, id, lifetime}, Digest: ca.Digest,
		Log: slog.New(slog.DiscardHandler),
	}
}
