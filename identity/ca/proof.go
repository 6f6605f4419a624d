package ca

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"time"
)

// Proof is when the holder of a leaf last proved who it is by a token, and until when the leaves that follow may be renewed
// by one another alone. It stands in each leaf, signed like the rest, so that neither a holder nor the loss of a server's
// memory can change it. Who verifies certificates takes no notice of it: the extension is not critical.
type Proof struct {
	At             time.Time `asn1:"generalized"`
	RenewableUntil time.Time `asn1:"generalized"`
	// Chain names the leaves that follow one another at one holder, from its first proof on. It is the leaf's common name
	// too, by which proxies know it; empty for a leaf that is of no chain.
	Chain string `asn1:"utf8"`
}

const chainLength = 16 // bytes of the name of a chain

// NewChain is a name of a chain that no other has.
func NewChain() (string, error) {
	name := make([]byte, chainLength)
	_, err := rand.Read(name)
	return hex.EncodeToString(name), err
}

// proofExtension is in the arc of UUIDs (ITU-T X.667), which needs no registration.
var proofExtension = asn1.ObjectIdentifier{2, 25, 1642087913}

// NewProof is a proof that was made at that time, for renewals of that long; 0 is for renewals without an end, of which
// leaves say nothing.
func NewProof(at time.Time, renewFor time.Duration) Proof {
	if renewFor <= 0 {
		return Proof{}
	}
	at = at.UTC().Truncate(time.Second)
	return Proof{At: at, RenewableUntil: at.Add(renewFor)}
}

// soon is the share of the time between two proofs, at its end, in which a holder is told to prove anew.
const soon = 6

// EndsSoon reports whether less than a sixth of the time is left in which leaves of that proof are renewed.
func (p Proof) EndsSoon(now time.Time) bool {
	return !p.RenewableUntil.IsZero() && p.RenewableUntil.Sub(now) < p.RenewableUntil.Sub(p.At)/soon
}

// ProofOf is what a leaf says of its holder's proof; false for one that says nothing, as leaves of authorities before 2026-12
// do.
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
