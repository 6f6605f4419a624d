package local

import (
	"fmt"

	"github.com/meshc/meshc/serve"
)

// Status is how a mesh stands.
type Status struct {
	// Failure is why the spec on disk is not the mesh that runs; empty when it is.
	Failure string
	// Proxies are sorted by their id.
	Proxies []ProxyStatus
}

// ProxyStatus is how a proxy stands.
type ProxyStatus struct {
	// ID is KIND/NAME/INSTANCE.
	ID string
	// Admin is where its Envoy tells about itself, IP:PORT, and Log is its file.
	Admin, Log string
	// State is one of meshc serve's, [StateExited], or [StateRunning] where there
	// is not meshc serve.
	State string
	// Reasons say what is wrong: why it exited, and what it refused.
	Reasons []string
}

// The states of a proxy that meshc serve does not know.
const (
	StateRunning = "running"
	StateExited  = "exited"
)

// Good reports whether the mesh on disk runs and every proxy has all of it.
func (s Status) Good() bool {
	for _, p := range s.Proxies {
		if p.State != serve.StateCurrent && p.State != StateRunning {
			return false
		}
	}
	return s.Failure == ""
}

// Status is how the mesh stands.
func (m *Mesh) Status() Status {
	m.mu.Lock()
	out := Status{Failure: m.failure}
	m.mu.Unlock()
	served := map[string]*serve.Proxy{}
	if m.control != nil {
		report := m.control.server.Status()
		for i := range report.Proxies {
			served[report.Proxies[i].Node] = &report.Proxies[i]
		}
	}
	for _, p := range m.sortedProxies() {
		status := ProxyStatus{ID: p.id, Admin: p.admin, Log: p.log, State: StateRunning}
		switch known := served[p.id]; {
		case !p.running():
			status.State = StateExited
			status.Reasons = []string{cause(p.err).Error() + "; " + p.log}
		case known != nil:
			status.State = known.State()
			status.Reasons = refusals(known)
		case m.control != nil:
			status.State = serve.StateAbsent
		}
		out.Proxies = append(out.Proxies, status)
	}
	return out
}

func refusals(p *serve.Proxy) []string {
	var out []string
	for _, t := range p.Types {
		for _, r := range t.Refusals {
			reason := fmt.Sprintf("it refused %s %s: %s", r.Type, r.Resource, r.Reason)
			if r.Source.IsValid() {
				reason = r.Source.String() + ": " + reason
			}
			out = append(out, reason)
		}
	}
	return out
}
