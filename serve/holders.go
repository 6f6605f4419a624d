package serve

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/identity/ca"
	"github.com/meshc/meshc/identity/enroll"
)

// Holder is a host with a certificate of the embedded authority.
type Holder struct {
	Identity string `json:"identity"`
	// Name distinguishes holders with the same identity.
	Name string `json:"name,omitempty"`
	// Trust is the digest of the trust bundle that it uses.
	Trust string    `json:"trust"`
	Seen  time.Time `json:"seen"`
	// Until is when its certificate expires. Keeps is true if it renews the certificate and updates the trust bundle
	// by itself.
	Until time.Time `json:"until"`
	Keeps bool      `json:"keeps,omitempty"`
	// RenewableUntil is the time until which it can renew its certificate without a new token; zero if its
	// certificate does not contain this. EndsSoon is true if little of that time remains.
	RenewableUntil time.Time `json:"renewableUntil,omitzero"`
	EndsSoon       bool      `json:"endsSoon,omitempty"`
	// Chain is the chain of its certificates, by which they can be revoked; empty if they have none.
	Chain string `json:"chain,omitempty"`
	proof ca.Proof
}

const (
	// holderGone is how long a holder that renewed its certificate by itself stays in the list after its last
	// request. Other holders stay until their certificates expire.
	holderGone = 10 * time.Minute
	maxHolders = 100_000
)

type holderKey struct {
	id   spiffeid.ID
	name string
}

// holders are the hosts with certificates of the embedded authority. No other part is called while its lock is held.
type holders struct {
	mu sync.Mutex
	of map[holderKey]Holder
}

func newHolders() *holders { return &holders{of: map[holderKey]Holder{}} }

// seen records what the server learned about a holder.
func (h *holders) seen(at enroll.Sighting) {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := holderKey{at.ID, at.Holder}
	before, known := h.of[key]
	if !known && len(h.of) >= maxHolders {
		return
	}
	h.of[key] = Holder{
		Identity: at.ID.String(), Name: at.Holder, Trust: at.Bundle, Seen: time.Now(), Until: at.Until, Keeps: at.Keeps || before.Keeps,
		RenewableUntil: at.Proof.RenewableUntil, Chain: at.Proof.Chain, proof: at.Proof,
	}
}

// list returns the holders, sorted by identity and name, without those that are gone.
func (h *holders) list(now time.Time) (out []Holder) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for key, held := range h.of {
		if held.Keeps && now.Sub(held.Seen) > holderGone || now.After(held.Until) {
			delete(h.of, key)
			continue
		}
		held.EndsSoon = held.proof.EndsSoon(now)
		out = append(out, held)
	}
	slices.SortFunc(out, func(a, b Holder) int {
		return cmp.Or(strings.Compare(a.Identity, b.Identity), strings.Compare(a.Name, b.Name))
	})
	return out
}
