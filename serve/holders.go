package serve

import (
	"cmp"
	"maps"
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

// holderGone is how long a holder that renewed its certificate by itself stays in the list after its last request.
// Other holders stay until their certificates expire.
const holderGone = 10 * time.Minute

// holders are the hosts with certificates of the embedded authority, by identity and name. No other part is called
// while its lock is held.
type holders struct {
	mu sync.Mutex
	of map[spiffeid.ID]map[string]Holder
}

func newHolders() *holders { return &holders{of: map[spiffeid.ID]map[string]Holder{}} }

// seen records what the server learned about a holder. An identity has at most a number of records. When it has more,
// the certificate with the most of them loses one, and seen returns false: so a certificate that uses many names does
// not push out other holders.
func (h *holders) seen(at enroll.Sighting, most int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	of := h.of[at.ID]
	if of == nil {
		of = map[string]Holder{}
		h.of[at.ID] = of
	}
	before, known := of[at.Holder]
	of[at.Holder] = Holder{
		Identity: at.ID.String(), Name: at.Holder, Trust: at.Bundle, Seen: time.Now(), Until: at.Until,
		Keeps:          at.Keeps || before.Keeps,
		RenewableUntil: at.Proof.RenewableUntil, Chain: at.Proof.Chain, proof: at.Proof,
	}
	if known || len(of) <= most {
		return true
	}
	delete(of, oneTooMany(of))
	return false
}

// oneTooMany returns the name of the oldest record of the certificate that has the most.
func oneTooMany(of map[string]Holder) (name string) {
	records := map[string]int{}
	for _, held := range of {
		records[held.Chain]++
	}
	var worst Holder
	for _, held := range of {
		more := cmp.Compare(records[held.Chain], records[worst.Chain])
		if worst.Seen.IsZero() || more > 0 || more == 0 && held.Seen.Before(worst.Seen) {
			worst = held
		}
	}
	return worst.Name
}

// forget removes the holders that are gone.
func (h *holders) forget(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, of := range h.of {
		maps.DeleteFunc(of, func(_ string, held Holder) bool { return held.isGone(now) })
		if len(of) == 0 {
			delete(h.of, id)
		}
	}
}

func (h Holder) isGone(now time.Time) bool {
	return h.Keeps && now.Sub(h.Seen) > holderGone || now.After(h.Until)
}

// list returns the holders, sorted by identity and name, without those that are gone.
func (h *holders) list(now time.Time) (out []Holder) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, of := range h.of {
		for _, held := range of {
			if !held.isGone(now) {
				held.EndsSoon = held.proof.EndsSoon(now)
				out = append(out, held)
			}
		}
	}
	slices.SortFunc(out, func(a, b Holder) int {
		return cmp.Or(strings.Compare(a.Identity, b.Identity), strings.Compare(a.Name, b.Name))
	})
	return out
}
