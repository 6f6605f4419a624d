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

// Holder is a host that holds a certificate of the embedded authority.
type Holder struct {
	Identity string `json:"identity"`
	// Name tells holders of one identity apart.
	Name string `json:"name,omitempty"`
	// Trust is the digest of the trust bundle that it has.
	Trust string    `json:"trust"`
	Seen  time.Time `json:"seen"`
	// Until is when its certificate ends, and Keeps whether it renews it and follows
	// whom to trust by itself.
	Until time.Time `json:"until"`
	Keeps bool      `json:"keeps,omitempty"`
	// RenewableUntil is when it must have proved anew who it is, by a token; zero when its certificate does not say. EndsSoon is
	// set while little of that time is left.
	RenewableUntil time.Time `json:"renewableUntil,omitzero"`
	EndsSoon       bool      `json:"endsSoon,omitempty"`
	// Chain is that of its certificates, by which they can be revoked; empty when they are of none.
	Chain string `json:"chain,omitempty"`
	proof ca.Proof
}

const (
	// holderGone is how long a holder is remembered that kept its certificate and says
	// nothing any more; others are as long as their certificates hold.
	holderGone = 10 * time.Minute
	maxHolders = 100_000
)

type holderKey struct {
	id   spiffeid.ID
	name string
}

// holders are the hosts that hold certificates of the embedded authority. Nothing is called under its lock.
type holders struct {
	mu sync.Mutex
	of map[holderKey]Holder
}

func newHolders() *holders { return &holders{of: map[holderKey]Holder{}} }

// seen records what a holder has.
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

// list are the holders, by identity and name, without those that are gone.
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
