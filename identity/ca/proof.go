package ca

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"time"
)

// Proof says when the holder of a leaf last proved its identity with a token, and until when it may renew its leaves
// without a new token. It is an extension of each leaf and is signed with it, so the holder cannot change it, and it
// does not depend on the memory of a server. The extension is not critical: whoever verifies the certificate ignores
// it.
type Proof struct {
	At             time.Time `asn1:"generalized"`
	RenewableUntil time.Time `asn1:"generalized"`
	// Chain is the name of all leaves of one holder, from its first proof on. It is also the common name of the leaf,
	// by which proxies recognize it; empty for a leaf that belongs to no chain.
	Chain string `asn1:"utf8"`
}

const chainLength = 16 // bytes of the name of a chain

// NewChain returns a new random name of a chain, in hexadecimal.
func NewChain() (string, error) {
	name := make([]byte, chainLength)
	_, err := rand.Read(name)
	return hex.EncodeToString(name), err
}

// proofExtension is in the arc of UUIDs (ITU-T X.667), which needs no registration.
var proofExtension = asn1.ObjectIdentifier{2, 25, 1642087913}

// NewProof returns a proof made at the given time that permits renewals for the duration renewFor. With 0 renewals
// have no end; the proof is then empty.
func NewProof(at time.Time, renewFor time.Duration) Proof {
	if renewFor <= 0 {
		return Proof{}
	}
	at = at.UTC().Truncate(time.Second)
	return Proof{At: at, RenewableUntil: at.Add(renewFor)}
}

// soon is the divisor of the time between two proofs: in the last sixth of it a holder is warned to prove its
// identity again.
const soon = 6

// EndsSoon reports whether less than a sixth of the time remains in which leaves with this proof can be renewed.
func (p Proof) EndsSoon(now time.Time) bool {
	return !p.RenewableUntil.IsZero() && p.RenewableUntil.Sub(now) < p.RenewableUntil.Sub(p.At)/soon
}

// ProofOf returns the proof in a leaf. It returns false if the leaf has none, as leaves that were signed before
// 2026-12 do.
func ProofOf(leaf *x509.Certificate) (Proof, bool) {
	for _, e := range leaf.Extensions {
		if !e.Id.Equal(proofExtension) {
			continue
		}
		var p Proof
		rest, err := asn1.Unmarshal(e.Value, &p)
		return p, err == nil && len(rest) == 0
	}
	return Proof{}, false
}
