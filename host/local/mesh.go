package local

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/host/app"
	"github.com/meshc/meshc/identity/ca"
	"github.com/meshc/meshc/render/envoy"
)

// Options say what runs.
type Options struct {
	// Mesh is the linked mesh, as it came from the compiler.
	Mesh *ir.Mesh
	// Envoy is the binary; empty for what [Envoy] finds.
	Envoy string
	// Directory keeps the bootstraps, certificates and logs, one directory for
	// each member. Empty for a temporary one, which goes with the mesh.
	Directory string
	// Spec is the directory of the spec's module, under which [ServerOf] and [Find] find the mesh; empty to be found by
	// nobody.
	Spec string
	// Endpoints is the directory of endpoints files; empty for none.
	Endpoints string
	// Outside is a reviewed tree, of which no program is run; empty for none.
	Outside string
	// Log is told what meshc serve has to say; nil for nobody.
	Log *slog.Logger
	// Authority signs the members' certificates; nil for one that ends with the mesh.
	Authority *ca.Authority
	// SignTokens has issuers of tokens stand in for those of the mesh, for [Running.Token] to sign what is good.
	SignTokens bool
	// Build renders what meshc serve sends a proxy; nil for [envoy.Build].
	Build func(ir.Scope, envoy.Options) (*envoy.Resources, error)
}

// Mesh is a mesh that runs on this machine.
type Mesh struct {
	envoy     string
	outside   string
	directory string
	endpoints string
	spec      string
	temporary *temporary // nil for a directory that stays, of a mesh that nobody finds

	loopback     *Loopback
	placement    *Placement
	authority    *ca.Authority
	applications *applications
	certificates *certificates
	spawner      *spawner
	control      *control          // nil under delivery static
	http         *http.Client      // to Envoys and gateways
	tokenKey     *ecdsa.PrivateKey // nil where no tokens are signed
	log          *slog.Logger
	build        func(ir.Scope, envoy.Options) (*envoy.Resources, error)

	change  sync.Mutex // held while the mesh is changed
	mu      sync.Mutex // guards what follows
	placed  *ir.Mesh
	source  *ir.Mesh // the mesh that runs, as it was before it was placed
	failure string
	proxies map[string]*proxy
}

// Start runs the mesh, and returns when every Envoy is ready and, under delivery
// xds, has taken all that meshc serve had for it. Whatever was started is gone
// when it fails. The mesh then runs until Stop; the context bounds the start
// alone.
func Start(ctx context.Context, o Options) (*Mesh, error) {
	m := &Mesh{
		authority: o.Authority, envoy: o.Envoy, outside: o.Outside, directory: o.Directory,
		endpoints: o.Endpoints, spec: o.Spec, log: o.Log, build: o.Build, proxies: map[string]*proxy{},
		spawner: newSpawner(), http: &http.Client{Transport: &http.Transport{}},
	}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	err := m.prepare()
	if err == nil && o.SignTokens {
		m.tokenKey, err = newTokenKey()
	}
	if err != nil {
		return nil, errors.Join(err, m.Stop())
	}
	if err := m.Update(ctx, o.Mesh); err != nil {
		return nil, errors.Join(err, m.Stop())
	}
	if err := m.announce(); err != nil {
		return nil, errors.Join(err, m.Stop())
	}
	return m, nil
}

// prepare makes what every mesh needs, whatever is in it.
func (m *Mesh) prepare() (err error) {
	if m.directory == "" || m.spec != "" {
		if m.temporary, err = newTemporary(); err != nil {
			return err
		}
		m.directory = cmp.Or(m.directory, m.temporary.dir)
	}
	if m.envoy, err = Envoy(m.envoy, m.outside); err != nil {
		return err
	}
	if m.directory, err = filepath.Abs(m.directory); err != nil {
		return err
	}
	if err := os.MkdirAll(m.directory, 0o700); err != nil {
		return err
	}
	if m.loopback, err = Reserve(); err != nil {
		return err
	}
	roots := filepath.Join(m.directory, "externals.crt")
	stubs, err := newStubAuthority(roots)
	if err != nil {
		return err
	}
	if m.authority == nil {
		if m.authority, err = ca.InMemory(); err != nil {
			return err
		}
	}
	m.placement = NewPlacement(m.loopback, m.directory, roots)
	m.applications = &applications{stubs: stubs, running: map[string]*application{}}
	m.certificates = newCertificates(m.authority, m.log)
	return nil
}

// Update makes the running mesh that of the spec: what is new is started, what
// is gone is stopped, and meshc serve sends the rest. It returns when all of it
// has arrived. The delivery cannot change.
func (m *Mesh) Update(ctx context.Context, linked *ir.Mesh) error {
	m.change.Lock()
	defer m.change.Unlock()
	if had := m.Placed(); had != nil && had.Delivery != linked.Delivery {
		return fmt.Errorf("the delivery was %q when the mesh was started and is now %q: start it again", had.Delivery,
			linked.Delivery)
	}
	before := m.Placed()
	issued := linked
	if m.tokenKey != nil {
		var err error
		if issued, err = withIssuers(linked, m.tokenKey); err != nil {
			return err
		}
	}
	placed, err := m.placement.Place(issued)
	if err != nil {
		return err
	}
	if err := m.applications.keep(placed); err != nil {
		return err
	}
	if err := m.certificates.keep(placed); err != nil {
		return err
	}
	if err := m.applications.stubs.secrets(placed); err != nil {
		return err
	}
	since := time.Now()
	if placed.Delivery != ir.DeliveryStatic {
		if err := m.serve(m.coming(before, placed)); err != nil {
			return err
		}
	}
	if err := m.keepProxies(ctx, placed); err != nil {
		return err
	}
	m.mu.Lock()
	m.placed = placed
	m.mu.Unlock()
	if m.control != nil {
		if err := m.serve(placed, nil); err != nil {
			return err
		}
		if err := m.control.settle(ctx, m.wanted(placed), since); err != nil {
			return err
		}
	}
	m.leave(ctx, placed)
	m.applications.end(placed)
	m.mu.Lock()
	m.source = linked
	m.mu.Unlock()
	return m.keepState()
}

// runs reports whether a mesh is the one that runs, and nothing was wrong since.
func (m *Mesh) runs(linked *ir.Mesh) bool {
	m.mu.Lock()
	source, failure := m.source, m.failure
	m.mu.Unlock()
	if source == nil || failure != "" {
		return false
	}
	had, hadErr := ir.Marshal(source)
	has, err := ir.Marshal(linked)
	return hadErr == nil && err == nil && bytes.Equal(had, has)
}

// Placed is the mesh as it runs: with its addresses on this machine.
func (m *Mesh) Placed() *ir.Mesh {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.placed
}

// Directory is where the mesh keeps its files.
func (m *Mesh) Directory() string { return m.directory }

// Stop ends the mesh, and returns when nothing of it is left.
func (m *Mesh) Stop() error {
	m.change.Lock()
	defer m.change.Unlock()
	if m.certificates != nil {
		m.certificates.stop()
	}
	m.stopProxies(func(string) bool { return true })
	m.spawner.close()
	var errs []error
	if m.control != nil {
		errs = append(errs, m.control.stop())
	}
	if m.applications != nil {
		m.applications.close()
	}
	m.http.CloseIdleConnections()
	if m.loopback != nil {
		errs = append(errs, m.loopback.Close())
	}
	if m.temporary != nil {
		errs = append(errs, m.temporary.remove())
	}
	return errors.Join(errs...)
}

// Gateway is where a gateway takes requests.
type Gateway struct {
	// URL is that of its first listener by name, "http://IP:PORT".
	URL string
	// Listeners are the URLs of all, by name.
	Listeners map[string]string
	// TLS checks the certificates of those that end TLS, and shows one of its own to those that ask for it.
	TLS *tls.Config
}

// Gateway is the gateway of that name, which the mesh must have.
func (m *Mesh) Gateway(name string) Gateway {
	g := m.Placed().Gateway(name)
	if g == nil {
		panic("local: the mesh has no gateway " + name)
	}
	out := Gateway{Listeners: map[string]string{}, TLS: m.applications.stubs.client()}
	for _, l := range g.Listeners {
		scheme := "http"
		switch {
		case l.To != nil:
			scheme = "tcp"
		case l.TLS != nil:
			scheme = "https"
		}
		out.Listeners[l.Name] = scheme + "://" + join(g.Address, l.Port)
	}
	if len(g.Listeners) > 0 {
		out.URL = out.Listeners[g.Listeners[0].Name]
	}
	return out
}

// Backend is the application of a service's instance, which the mesh must have:
// the instance is a version's name, or "a" for a service without versions.
func (m *Mesh) Backend(service, instance string) *app.App {
	return m.applications.named(ir.ServiceRef(service).ID() + "/" + instance)
}

// External is what stands in for an external, which the mesh must have.
func (m *Mesh) External(name string) *app.App {
	return m.applications.named(ir.ExternalRef(name).ID() + "/" + onlyInstance)
}

// As calls as a service's first instance does: through its own proxy.
func (m *Mesh) As(service string) *app.Caller {
	s := m.Placed().Service(service)
	if s == nil {
		panic("local: the mesh has no service " + service)
	}
	return m.Backend(service, s.Workload.Endpoints[0].Name).Caller()
}
