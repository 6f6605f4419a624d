package ca

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

const (
	revokedFile = "revoked.json"
	// maxRevocations limits the number of revocations, because proxies and the store must hold all of them.
	maxRevocations = 1000
	// revokedLonger is added to the end of a revocation, for leaves that are signed while the revocation is on its
	// way.
	revokedLonger = time.Hour
)

// Revocation revokes certificates before they expire.
type Revocation struct {
	// Identity is the SPIFFE ID in the revoked certificates.
	Identity spiffeid.ID `json:"identity"`
	// Chain is the chain of one holder whose certificates are revoked ([Proof.Chain]). If it is empty, all
	// certificates of the identity are revoked, and it gets no new ones until the revocation is undone.
	Chain string `json:"chain,omitempty"`
	// Holder is the name of that holder, for display only.
	Holder string `json:"holder,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Drain says that proxies also drain the ports that the identity may call, which ends connections on which it only
	// receives, and all others of these ports.
	Drain bool      `json:"drain,omitempty"`
	At    time.Time `json:"at"`
	// Until is when the last certificate of the chain has expired; the revocation ends then. It is zero for a
	// revocation of a whole identity, which has no end.
	Until time.Time `json:"until,omitzero"`
}

// Is reports whether two revocations are of the same certificates.
func (r *Revocation) Is(other *Revocation) bool {
	return r.Identity == other.Identity && r.Chain == other.Chain
}

// Takes reports whether the revocation covers certificates of the identity and chain.
func (r *Revocation) Takes(id spiffeid.ID, chain string) bool {
	return r.Identity == id && (r.Chain == "" || r.Chain == chain)
}

// Over reports whether all certificates that were revoked have expired.
func (r *Revocation) Over(now time.Time) bool { return !r.Until.IsZero() && now.After(r.Until) }

// ErrRevoked is returned for an identity, or for a holder, whose certificates were revoked.
var ErrRevoked = errors.New("it was revoked (meshc certs revoke)")

// Revocations returns the revocations that are in force, the oldest first.
func (a *Authority) Revocations() []Revocation {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return slices.Clone(a.revoked)
}

// Renews returns [ErrRevoked] if certificates of the identity and chain may not be renewed, and nil otherwise.
func (a *Authority) Renews(id spiffeid.ID, chain string) error {
	for _, r := range a.Revocations() {
		if r.Takes(id, chain) {
			return ErrRevoked
		}
	}
	return nil
}

// admits returns [ErrRevoked] if a token that was issued at this time no longer proves the identity. This is so for
// every token of a revoked identity, and for tokens that were issued before a holder of the identity was revoked,
// because that holder could have them.
func (a *Authority) admits(id spiffeid.ID, made time.Time) error {
	for _, r := range a.Revocations() {
		// A token says when it was made in whole seconds.
		if r.Identity == id && (r.Chain == "" || !made.After(r.At.Truncate(time.Second))) {
			return ErrRevoked
		}
	}
	return nil
}

// Revoke revokes certificates. It replaces an earlier revocation of the same certificates. It sets At and Until, and
// returns the complete revocation.
func (a *Authority) Revoke(r Revocation, now time.Time) (Revocation, error) {
	r.At = now.UTC()
	err := a.changeRevoked(func(list []Revocation, last time.Time) ([]Revocation, error) {
		if r.Chain != "" {
			r.Until = now
			if last.After(now) {
				r.Until = last
			}
			r.Until = r.Until.Add(revokedLonger).UTC().Truncate(time.Second)
		}
		list = slices.DeleteFunc(list, func(old Revocation) bool { return old.Is(&r) || old.Over(now) })
		if len(list) >= maxRevocations {
			return nil, fmt.Errorf(
				"there are %d revocations, which is the limit: undo some, or replace the root (meshc certs rotate-root)", len(list))
		}
		return append(list, r), nil
	})
	return r, err
}

// ErrNotRevoked is returned by [Authority.Unrevoke] if there is no such revocation.
var ErrNotRevoked = errors.New("it was not revoked")

// Unrevoke undoes a revocation. Revoked certificates that have not expired become valid again. It returns
// [ErrNotRevoked] if there is no such revocation.
func (a *Authority) Unrevoke(r Revocation) error {
	return a.changeRevoked(func(list []Revocation, _ time.Time) ([]Revocation, error) {
		rest := slices.DeleteFunc(list, func(old Revocation) bool { return old.Is(&r) })
		if len(rest) == len(list) {
			return nil, ErrNotRevoked
		}
		return rest, nil
	})
}

// changeRevoked calls a function that changes the list. The argument last is when the last leaf expires that was
// signed.
func (a *Authority) changeRevoked(change func(list []Revocation, last time.Time) ([]Revocation, error)) error {
	changed := func(f files) ([]byte, error) {
		_, known, err := readState(f)
		if err != nil {
			return nil, err
		}
		var last time.Time
		for _, g := range known {
			if g.last.After(last) {
				last = g.last
			}
		}
		list, err := readRevoked(f)
		if err != nil {
			return nil, err
		}
		if list, err = change(slices.Clone(list), last); err != nil {
			return nil, err
		}
		return json.MarshalIndent(list, "", "  ")
	}
	return a.changeFile(revokedFile, changed)
}

// readRevoked reads the revocations. It returns an error if they cannot be read, because without them revoked
// certificates would be accepted.
func readRevoked(f files) ([]Revocation, error) {
	data, err := f.read(revokedFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []Revocation
	if err := json.Unmarshal(data, &list); err != nil ||
		slices.ContainsFunc(list, func(r Revocation) bool { return r.Identity.IsZero() }) {
		return nil, fmt.Errorf("%s is incomplete", f.locate(revokedFile))
	}
	return list, nil
}
