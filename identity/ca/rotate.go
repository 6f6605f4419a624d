package ca

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/meshc/meshc/compiler/secret"
)

// Stage is a stage of the replacement of a root: [Steady], [TrustBoth] or [SignNew].
type Stage string

// The stages, in their order. A leaf is believed in each by whoever has taken that
// stage or one of its neighbours.
const (
	// Steady is the stage in which one root is trusted, and its intermediate signs.
	Steady Stage = "steady"
	// TrustBoth is the stage in which the new root is trusted too; the intermediate of the old root still signs.
	TrustBoth Stage = "trust-both"
	// SignNew is the stage in which the intermediate of the new root signs; the old root is trusted until its last
	// leaf has expired.
	SignNew Stage = "sign-new"
)

// Rotation is the present state of an authority: its stage, trust bundle and signer.
type Rotation struct {
	Stage Stage     `json:"stage"`
	Since time.Time `json:"since"`
	// Bundle is the digest of the trust bundle, and Signer that of the root whose intermediate signs (see [Digest]).
	Bundle string `json:"bundle"`
	Signer string `json:"signer"`
	// OldLeaves is when the last leaf of the old root expires; it is set in the stage [SignNew] only.
	OldLeaves time.Time `json:"oldLeaves,omitzero"`
}

// Rotation returns the present state of the authority.
func (a *Authority) Rotation() Rotation {
	out := Rotation{Bundle: Digest(a.Bundle()), Signer: a.Signer()}
	a.mu.RLock()
	defer a.mu.RUnlock()
	out.Stage, out.Since = a.state.stage(), a.state.Since
	if out.Stage == SignNew {
		out.OldLeaves = a.known[a.state.Trusted[0]].last
	}
	return out
}

func (s *state) stage() Stage {
	switch {
	case len(s.Trusted) == 1:
		return Steady
	case s.Signing == s.Trusted[0]:
		return TrustBoth
	}
	return SignNew
}

// ErrOldLeaves is returned by [Authority.Advance] while leaves of the old root have not expired.
var ErrOldLeaves = errors.New("certificates that the old root signed are still in use")

// Advance goes on to the next stage: a new root is created and trusted; then its intermediate signs; then the old
// root is removed. Before each call, the caller must make sure that all proxies have the state of the present stage.
// The passphrase is that of the root's key; it may be empty. Advance returns [ErrOldLeaves] instead of removing a
// root whose leaves have not expired.
func (a *Authority) Advance(passphrase secret.Value, now time.Time) (Rotation, error) {
	if a.dir == "" {
		return a.advanceShared(now)
	}
	unlock, err := a.lock()
	if err != nil {
		return Rotation{}, err
	}
	defer unlock()
	if err := a.Reload(); err != nil {
		return Rotation{}, err
	}
	before := a.Rotation()
	a.mu.RLock()
	next, err := a.state.next(a.known, now)
	a.mu.RUnlock()
	if err != nil {
		return before, err
	}
	if next.made != 0 {
		if err := a.mayAdd(passphrase); err != nil {
			return before, err
		}
		if err := writeGeneration(a.dir, next.made, passphrase); err != nil {
			return before, err
		}
	}
	if err := writeState(a.dir, next.state); err != nil {
		return before, err
	}
	if err := a.Reload(); err != nil {
		return before, err
	}
	if next.gone != 0 { // nothing needs it any more
		err = os.RemoveAll(a.generation(next.gone))
	}
	return a.Rotation(), err
}

// step is a change to another stage: the stage, and the generations that are created and removed; 0 for none.
type step struct {
	state      state
	made, gone int
}

// next returns the step to the next stage.
func (s *state) next(known map[int]*generation, now time.Time) (step, error) {
	next := step{state: state{Signing: s.Signing, Trusted: slices.Clone(s.Trusted), Since: now.UTC()}}
	switch s.stage() {
	case Steady:
		next.made = s.Signing + 1
		next.state.Trusted = append(next.state.Trusted, next.made)
	case TrustBoth:
		next.state.Signing = s.Trusted[1]
	case SignNew:
		if last := known[s.Trusted[0]].last; now.Before(last) {
			return next, fmt.Errorf("%w, the last until %s", ErrOldLeaves, last.Format(time.RFC3339))
		}
		next.gone, next.state.Trusted = s.Trusted[0], s.Trusted[1:]
	}
	return next, nil
}

// lock prevents other processes from changing the authority in the meantime.
func (a *Authority) lock() (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(a.dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another process is changing %s", a.dir), f.Close())
	}
	return func() { f.Close() }, nil
}
