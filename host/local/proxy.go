package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/envoy"
)

// proxy is the Envoy of an instance.
type proxy struct {
	id        string // the xDS node id: KIND/NAME/INSTANCE
	admin     string // IP:PORT
	bootstrap []byte
	flags     flags
	identity  spiffeid.ID // in the certificate that it connects with
	begun     time.Time
	*process
}

// keepProxies starts the Envoys of the placed mesh that are not there yet, and
// waits until they are ready. One whose bootstrap changed is started anew.
func (m *Mesh) keepProxies(ctx context.Context, placed *ir.Mesh) error {
	var fresh []*proxy
	for _, scope := range placed.Scopes() {
		for _, instance := range instances(&scope) {
			p, err := m.keepProxy(scope, instance)
			if err != nil {
				return err
			}
			if p.process == nil {
				fresh = append(fresh, p)
			}
		}
	}
	for _, p := range fresh {
		if err := m.startProxy(p); err != nil {
			return fmt.Errorf("%s: %w", p.id, err)
		}
	}
	return m.ready(ctx, fresh)
}

// instances are the names of a member's.
func instances(scope *ir.Scope) []string {
	if scope.Gateway != nil {
		return []string{onlyInstance}
	}
	var names []string
	for i := range scope.Service.Workload.Endpoints {
		names = append(names, scope.Service.Workload.Endpoints[i].Name)
	}
	return names
}

// keepProxy is the proxy that runs for the instance, or one to be started.
func (m *Mesh) keepProxy(scope ir.Scope, instance string) (*proxy, error) {
	member := scope.Member()
	id := envoy.NodeID(member.Kind, member.Name, instance)
	boot, err := envoy.Bootstrap(scope, envoy.Options{Instance: instance})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", id, err)
	}
	text, err := envoy.YAML(boot)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", id, err)
	}
	flags := flagsOf(&member.Proxy)
	m.mu.Lock()
	running := m.proxies[id]
	m.mu.Unlock()
	if running != nil && running.running() && bytes.Equal(running.bootstrap, text) && running.flags == flags &&
		running.identity == member.Identity {
		return running, nil
	}
	// The good one runs on when the next one would not.
	if running != nil && scope.Settings.Delivery == ir.DeliveryStatic {
		if err := m.validate(id, text); err != nil {
			return nil, err
		}
	}
	m.stopProxies(func(other string) bool { return other == id })
	return &proxy{
		id: id, admin: join(scope.Loopback(instance), member.Proxy.AdminPort), bootstrap: text, flags: flags,
		identity: member.Identity,
	}, nil
}

// validate has Envoy look at a bootstrap without running it.
func (m *Mesh) validate(id string, bootstrap []byte) error {
	file := filepath.Join(m.directory, filepath.FromSlash(id), "next.yaml")
	if err := os.WriteFile(file, bootstrap, 0o600); err != nil {
		return err
	}
	defer os.Remove(file)
	out, err := exec.Command(m.envoy, "--mode", "validate", "-c", file, "--log-level", "error").
		CombinedOutput() // #nosec G204 -- the Envoy that the caller names
	if err != nil {
		return fmt.Errorf("Envoy refuses the configuration of %s: %s", id, strings.TrimSpace(string(out)))
	}
	return nil
}

// reviveAfter is how long a proxy that ended by itself is left alone.
const reviveAfter = 2 * time.Second

// revive starts the proxies anew that have ended by themselves.
func (m *Mesh) revive() error {
	if !m.change.TryLock() {
		return nil // they are looked after
	}
	defer m.change.Unlock()
	for _, p := range m.sortedProxies() {
		if p.running() || time.Since(p.begun) < reviveAfter {
			continue
		}
		again := *p
		again.process = nil
		if err := m.startProxy(&again); err != nil {
			return fmt.Errorf("%s: %w", p.id, err)
		}
	}
	return nil
}

func (m *Mesh) startProxy(p *proxy) error {
	directory := filepath.Join(m.directory, filepath.FromSlash(p.id))
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return err
	}
	file := filepath.Join(directory, "envoy.yaml")
	if err := os.WriteFile(file, p.bootstrap, 0o600); err != nil {
		return err
	}
	var err error
	p.begun = time.Now()
	p.process, err = m.spawner.run(m.envoy, file, filepath.Join(directory, "envoy.log"), p.admin, p.flags)
	if err != nil {
		return err
	}
	m.mu.Lock()
	m.proxies[p.id] = p
	m.mu.Unlock()
	return nil
}

// ready waits until the proxies are, all at once.
func (m *Mesh) ready(ctx context.Context, list []*proxy) error {
	errs := make([]error, len(list))
	var wait sync.WaitGroup
	for i, p := range list {
		wait.Go(func() {
			if err := p.ready(ctx, m.http); err != nil {
				errs[i] = fmt.Errorf("the proxy of %s: %w", p.id, err)
			}
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

// stopProxies ends those that are chosen, all at once, and forgets them.
func (m *Mesh) stopProxies(chosen func(id string) bool) {
	m.mu.Lock()
	var list []*proxy
	for id, p := range m.proxies {
		if chosen(id) {
			list = append(list, p)
			delete(m.proxies, id)
		}
	}
	m.mu.Unlock()
	var wait sync.WaitGroup
	for _, p := range list {
		wait.Go(p.stop)
	}
	wait.Wait()
}

// sortedProxies are those that were started, by id.
func (m *Mesh) sortedProxies() []*proxy {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]*proxy, 0, len(m.proxies))
	for _, p := range m.proxies {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b *proxy) int { return strings.Compare(a.id, b.id) })
	return list
}
