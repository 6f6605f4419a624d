package local

import (
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/serve/ca"
)

// certificates are those of the members, renewed while the mesh runs. All
// instances of a member share its directory, since they share its identity.
type certificates struct {
	authority *ca.Authority
	log       *slog.Logger

	mu     sync.Mutex
	leaves map[string]leaf // by directory
	timer  *time.Timer
	ended  bool
}

type leaf struct {
	id       spiffeid.ID
	lifetime time.Duration
	renewal  time.Time
	before   time.Duration
}

func newCertificates(a *ca.Authority, log *slog.Logger) *certificates {
	return &certificates{authority: a, log: log, leaves: map[string]leaf{}}
}

// keep gives every member of the placed mesh a certificate.
func (c *certificates) keep(m *ir.Mesh) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	lifetime, before := time.Duration(m.Certificates.Lifetime), time.Duration(m.Certificates.RenewBefore)
	wanted := map[string]bool{}
	for _, scope := range m.Scopes() {
		member := scope.Member()
		directory := filepath.Clean(member.Proxy.CertificateDirectory)
		wanted[directory] = true
		if had, ok := c.leaves[directory]; ok && had.id == member.Identity && had.lifetime == lifetime && had.before == before {
			continue
		}
		if err := c.issue(directory, leaf{id: member.Identity, lifetime: lifetime, before: before}); err != nil {
			return err
		}
	}
	for directory := range c.leaves {
		if !wanted[directory] {
			delete(c.leaves, directory)
		}
	}
	c.schedule()
	return nil
}

func (c *certificates) issue(directory string, l leaf) error {
	if err := ca.Issue(directory, c.authority, l.id, l.lifetime); err != nil {
		return err
	}
	l.renewal = time.Now().Add(l.lifetime - l.before)
	c.leaves[directory] = l
	return nil
}

// again is how long a renewal that failed waits for the next try.
const again = 10 * time.Second

// schedule sets the timer to the next renewal.
func (c *certificates) schedule() {
	if c.timer != nil {
		c.timer.Stop()
	}
	if c.ended || len(c.leaves) == 0 {
		return
	}
	var next time.Time
	for _, l := range c.leaves {
		if next.IsZero() || l.renewal.Before(next) {
			next = l.renewal
		}
	}
	c.timer = time.AfterFunc(time.Until(next), c.renew)
}

func (c *certificates) renew() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	for directory, l := range c.leaves {
		if time.Now().Before(l.renewal) {
			continue
		}
		if err := c.issue(directory, l); err != nil {
			c.log.Error("cannot renew a certificate", "identity", l.id, "error", err)
			l.renewal = time.Now().Add(again)
			c.leaves[directory] = l
		}
	}
	c.schedule()
}

func (c *certificates) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	c.schedule()
}
