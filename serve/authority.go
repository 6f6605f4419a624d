package serve

import (
	"context"
	"crypto/tls"
	"net/http"
	"sync"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/identity/ca"
	"github.com/meshc/meshc/identity/enroll"
)

// enrolment is the API by which hosts get their certificates.
func (s *Server) enrolment() *http.Server {
	return enroll.Server(enroll.Config{
		Authority:   s.config.Authority,
		TokenReview: s.config.TokenReview,
		Certificate: func() (*tls.Certificate, error) { return s.identity.certificate() },
		Mesh:        func() *ir.Mesh { return s.live.now().mesh },
		Tap:         http.HandlerFunc(s.tapByToken),
		Lever:       http.HandlerFunc(s.leverByToken),
		Seen:        s.seen, Refused: s.metrics.refused.Inc, Log: s.log,
	})
}

// seen records what a holder of a certificate has, within what its identity may have of the server.
func (s *Server) seen(at enroll.Sighting) {
	most := s.quotas.holders()
	if !s.holders.seen(at, most) {
		s.metrics.limitedHolders.Inc()
		s.quotas.logger(s.log, at.ID).
			Warn("an identity has more holders of certificates than it may (mesh.server.limits.instances): the certificate that goes by most names has one fewer",
				"identity", at.ID, "limit", most, "holder", at.Holder, "chain", at.Proof.Chain)
	}
}

// FollowAuthority watches the authority's directory and applies what another process changes there, until the context
// ends. It returns an error only if the directory cannot be watched.
func (s *Server) FollowAuthority(ctx context.Context, dir string) error {
	return follow(ctx, "the authority", func() []string {
		s.Heard(sourceAuthority, 0)
		s.ReloadAuthority()
		return []string{dir}
	})
}

// ReloadAuthority reads the authority again and applies what another process has changed.
func (s *Server) ReloadAuthority() {
	if err := s.config.Authority.Reload(); err != nil {
		s.log.Error("the authority cannot be read; it goes on as it was", "error", err)
	} else if err := s.AuthorityChanged(); err != nil {
		s.log.Error("the authority has changed, and cannot be used", "error", err)
	}
}

// AuthorityChanged must be called after a change of the authority. If the stage of a rotation has changed, it sends
// every proxy the new trust bundle and renews the server's own certificate. It sends new revocations to the proxies,
// and closes the connections of revoked ones.
func (s *Server) AuthorityChanged() error {
	list := s.config.Authority.Revocations()
	revoked := s.revoked.take(list)
	if revoked {
		s.log.Warn("certificates were revoked, or are good again", "revocations", len(list))
	}
	s.levers.reload()
	now, changed, signs := s.trust.follow(s.config.Authority)
	if changed {
		s.log.Info("the authority has gone on", "stage", now.Stage, "bundle", now.Bundle, "signer", now.Signer)
	}
	if signs {
		if err := s.identity.reissue(); err != nil {
			return err
		}
	}
	if changed || revoked {
		s.proxies.refreshAll()
	}
	return nil
}

// trust is the trust bundle that proxies should have, according to the last known state of the authority.
type trust struct {
	mu       sync.Mutex
	pem      []byte // nil when proxies have it from elsewhere
	rotation ca.Rotation
}

// follow takes over the present state of the authority. It reports whether the state has changed, and whether another
// root's intermediate signs now.
func (t *trust) follow(a *ca.Authority) (now ca.Rotation, changed, signs bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now = a.Rotation()
	signs = now.Signer != t.rotation.Signer
	if changed = signs || now.Bundle != t.rotation.Bundle; changed {
		t.rotation, t.pem = now, a.Bundle()
	}
	return now, changed, signs
}

// bundle returns the trust bundle in PEM.
func (t *trust) bundle() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.pem
}
