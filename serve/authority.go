package serve

import (
	"context"
	"crypto/tls"
	"net/http"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/ir"
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

// enrolment is the API by which hosts get their certificates.
func (s *Server) enrolment() *http.Server {
	return enroll.Server(enroll.Config{
		Authority:   s.config.Authority,
		TokenReview: s.config.TokenReview,
		Certificate: func() (*tls.Certificate, error) { return s.identity.certificate() },
		Mesh: func() *ir.Mesh {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.mesh
		},
		Seen: s.seen, Refused: s.metrics.refused.Inc, Log: s.log,
	})
}

// seen records what a holder has.
func (s *Server) seen(at enroll.Sighting) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := holderKey{at.ID, at.Holder}
	before, known := s.holders[key]
	if !known && len(s.holders) >= maxHolders {
		return
	}
	s.holders[key] = Holder{
		Identity: at.ID.String(), Name: at.Holder, Trust: at.Bundle, Seen: time.Now(), Until: at.Until, Keeps: at.Keeps || before.Keeps,
		RenewableUntil: at.Proof.RenewableUntil, Chain: at.Proof.Chain, proof: at.Proof,
	}
}

// forgetHolders drops those that are gone.
func (s *Server) forgetHolders(now time.Time) {
	for key, h := range s.holders {
		if h.Keeps && now.Sub(h.Seen) > holderGone || now.After(h.Until) {
			delete(s.holders, key)
		}
	}
}

// FollowAuthority takes what another process does to the authority's directory, until
// the context ends. It returns an error only when that cannot be watched.
func (s *Server) FollowAuthority(ctx context.Context, dir string) error {
	return follow(ctx, "the authority", func() []string {
		s.ReloadAuthority()
		return []string{dir}
	})
}

// ReloadAuthority takes what another process has done to the authority.
func (s *Server) ReloadAuthority() {
	if err := s.config.Authority.Reload(); err != nil {
		s.log.Error("the authority cannot be read; it goes on as it was", "error", err)
	} else if err := s.AuthorityChanged(); err != nil {
		s.log.Error("the authority has changed, and cannot be used", "error", err)
	}
}

// AuthorityChanged tells every proxy whom to trust, and gives the server itself a new certificate, when the authority has gone
// on to another stage. It tells them of what was revoked, and ends the connections of whom that was.
func (s *Server) AuthorityChanged() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.config.Authority.Revocations()
	revoked := s.revoked.take(list)
	if revoked {
		s.log.Warn("certificates were revoked, or are good again", "revocations", len(list))
	}
	now := s.config.Authority.Rotation()
	if now.Bundle == s.rotation.Bundle && now.Signer == s.rotation.Signer {
		if revoked && s.mesh != nil {
			s.refreshAll()
		}
		return nil
	}
	signs := now.Signer != s.rotation.Signer
	s.rotation, s.trust = now, s.config.Authority.Bundle()
	s.log.Info("the authority has gone on", "stage", now.Stage, "bundle", now.Bundle, "signer", now.Signer)
	if s.mesh == nil {
		return nil
	}
	if signs {
		if err := s.identity.take(s.mesh.ServerIdentity(), time.Duration(s.mesh.Certificates.Lifetime)); err != nil {
			return err
		}
	}
	s.refreshAll()
	return nil
}

// trustOf is the digest of the trust bundle that is sent to proxies; empty when they
// have it from files.
func (s *Server) trustOf(n *node) string {
	if n.kind != kindEnvoy || s.mesh.Certificates.Issuer.Kind != ir.IssuerEmbedded {
		return ""
	}
	return ca.Digest(s.trust)
}
