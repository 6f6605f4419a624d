package local

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/identity/ca"
	"github.com/meshc/meshc/identity/svid"
)

// certificates are those of the members, renewed while the mesh runs. All
// instances of a member share its directory, since they share its identity.
type certificates struct {
	authority *ca.Authority
	log       *slog.Logger

	mu      sync.Mutex
	keepers map[string]*keeper // by directory
	done    sync.WaitGroup
}

type keeper struct {
	id       spiffeid.ID
	lifetime time.Duration
	before   time.Duration
	cancel   context.CancelFunc
}

func newCertificates(a *ca.Authority, log *slog.Logger) *certificates {
	return &certificates{authority: a, log: log, keepers: map[string]*keeper{}}
}

// keep gives every member of the placed mesh a certificate, and keeps it.
func (c *certificates) keep(m *ir.Mesh) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	wanted := map[string]bool{}
	for _, scope := range m.Scopes() {
		member := scope.Member()
		directory := filepath.Clean(member.Proxy.CertificateDirectory)
		wanted[directory] = true
		next := &keeper{
			id: member.Identity, lifetime: time.Duration(m.Certificates.Lifetime),
			before: time.Duration(m.Certificates.RenewBefore),
		}
		had := c.keepers[directory]
		if had != nil && had.id == next.id && had.lifetime == next.lifetime && had.before == next.before {
			continue
		}
		if had != nil {
			had.cancel()
		}
		if err := c.start(directory, next); err != nil {
			return err
		}
	}
	for directory, k := range c.keepers {
		if !wanted[directory] {
			k.cancel()
			delete(c.keepers, directory)
		}
	}
	return nil
}

// start has the first certificate before anybody asks for it.
func (c *certificates) start(directory string, k *keeper) error {
	s := svid.DirectKeeper(c.authority, directory, k.id, k.lifetime)
	s.RenewBefore, s.Log = k.before, c.log
	ctx, cancel := context.WithCancel(context.Background())
	if _, err := s.Obtain(ctx); err != nil {
		cancel()
		return err
	}
	k.cancel = cancel
	c.keepers[directory] = k
	c.done.Go(func() { s.Run(ctx) })
	return nil
}

func (c *certificates) stop() {
	c.mu.Lock()
	for _, k := range c.keepers {
		k.cancel()
	}
	c.mu.Unlock()
	c.done.Wait()
}
