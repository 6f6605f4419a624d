package local

import (
	"crypto/tls"
	"fmt"
	"net"
	"reflect"
	"strconv"
	"sync"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/host/app"
	"github.com/meshc/meshc/render/envoy"
)

// applications are those that run beside the proxies, and the stand-ins for
// externals, by instance: "service/cart/v1", "external/stripe-api/a".
type applications struct {
	stubs *stubAuthority

	mu      sync.Mutex
	running map[string]*application
}

type application struct {
	*app.App
	ports []app.Port
}

// keep starts the applications of the placed mesh that are not there yet. One that
// stays is told its new upstreams.
func (a *applications) keep(m *ir.Mesh) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range m.Services {
		for i := range s.Workload.Endpoints {
			e := &s.Workload.Endpoints[i]
			id := envoy.NodeID(ir.KindService, s.Name, e.Name)
			if err := a.start(id, m.Hosts(&s.Upstream, s.Namespace), serviceApplication(m, s, e)); err != nil {
				return err
			}
		}
	}
	for _, e := range m.Externals {
		id := externalID(e)
		names := e.Hosts
		if e.ServerName != "" {
			names = []string{e.ServerName}
		}
		if err := a.start(id, names, externalApplication(e)); err != nil {
			return err
		}
	}
	return nil
}

// end ends the applications that the placed mesh has not.
func (a *applications) end(m *ir.Mesh) {
	a.mu.Lock()
	defer a.mu.Unlock()
	wanted := map[string]bool{}
	for _, s := range m.Services {
		for i := range s.Workload.Endpoints {
			wanted[envoy.NodeID(ir.KindService, s.Name, s.Workload.Endpoints[i].Name)] = true
		}
	}
	for _, e := range m.Externals {
		wanted[externalID(e)] = true
	}
	for id, running := range a.running {
		if !wanted[id] {
			running.Close()
			delete(a.running, id)
		}
	}
}

func externalID(e *ir.External) string {
	return ir.ExternalRef(e.Name).ID() + "/" + e.Endpoints[0].Name
}

func (a *applications) start(id string, hosts []string, config app.Config) error {
	if running := a.running[id]; running != nil {
		if reflect.DeepEqual(running.ports, config.Ports) {
			running.Caller().Set(config.Upstreams)
			return nil
		}
		running.Close()
		delete(a.running, id)
	}
	certificate, err := a.certificate(hosts, config.Ports)
	if err != nil {
		return err
	}
	config.Certificate, config.Roots = certificate, a.stubs.roots
	started, err := app.Start(config)
	if err != nil {
		return fmt.Errorf("the application of %s: %w", id, err)
	}
	a.running[id] = &application{started, config.Ports}
	return nil
}

// certificate is the application's own, when one of its ports wants it.
func (a *applications) certificate(hosts []string, ports []app.Port) (*tls.Certificate, error) {
	for _, p := range ports {
		if p.Protocol == string(ir.TLS) || p.Protocol == string(ir.HTTPS) {
			return a.stubs.issue(hosts)
		}
	}
	return nil, nil
}

// named is the application of an instance, which must run.
func (a *applications) named(id string) *app.App {
	a.mu.Lock()
	defer a.mu.Unlock()
	running := a.running[id]
	if running == nil {
		panic("local: the mesh has no " + id)
	}
	return running.App
}

func (a *applications) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, running := range a.running {
		running.Close()
		delete(a.running, id)
	}
}

func serviceApplication(m *ir.Mesh, s *ir.Service, e *ir.Endpoint) app.Config {
	scope := m.ServiceScope(s)
	loopback := scope.Loopback(e.Name)
	config := app.Config{Service: s.Name, Version: e.Name}
	for _, p := range s.Ports {
		config.Ports = append(config.Ports, app.Port{
			Name: p.Name, Protocol: string(p.Protocol),
			Address: join(loopback, e.Targets[p.Name]),
		})
	}
	for i := range s.Uses {
		use := &s.Uses[i]
		for _, name := range use.Ports {
			port, hosts := callee(m, use, name)
			config.Upstreams = append(config.Upstreams, app.Upstream{
				Service: use.To, Port: name, Number: port.Number, Protocol: string(port.Protocol),
				Hosts: hosts, Address: use.Bind(name, loopback),
			})
		}
	}
	return config
}

func externalApplication(e *ir.External) app.Config {
	config := app.Config{Service: e.Name, Version: e.Endpoints[0].Name}
	for _, p := range e.Ports {
		config.Ports = append(config.Ports, app.Port{
			Name: p.Name, Protocol: string(p.Protocol),
			Address: join(e.Endpoints[0].Address, e.Endpoints[0].Ports[p.Name]),
		})
	}
	return config
}

// callee is the port that a use calls, and the names that it is called by.
func callee(m *ir.Mesh, use *ir.Use, port string) (*ir.Port, []string) {
	if use.External {
		e := m.External(use.To)
		return e.Port(port), e.Hosts
	}
	s := m.Service(use.To)
	return s.Port(port), m.Hosts(&s.Upstream, s.Namespace)
}

func join(address string, port uint16) string {
	return net.JoinHostPort(address, strconv.Itoa(int(port)))
}
