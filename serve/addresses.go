package serve

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/live"
)

// SetServices sets the cluster IPs of the Services in a Kubernetes namespace, by the names of these. Callers in the
// cluster that ask for one of them below HTTP are led to an instance of the service that has the name. Until it is
// called, nobody's address is one of a Service.
func (s *Server) SetServices(namespace string, addresses map[string][]string) {
	s.proxies.reassign(s.live.setServices(namespace, addresses))
}

// ChangeServices sets the cluster IPs of some Services of a namespace, none for one that is gone; those of the others
// stay.
func (s *Server) ChangeServices(namespace string, addresses map[string][]string) {
	s.proxies.reassign(s.live.changeServices(namespace, addresses))
}

// setServices takes over the Services of a namespace. It returns the services of the mesh whose addresses have changed.
func (l *liveMesh) setServices(namespace string, addresses map[string][]string) (changed map[string]bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var after *table[[]string]
	before := l.view.services[namespace]
	after = after.replace(addresses)
	l.putServices(namespace, after)
	changed = map[string]bool{}
	if l.view.mesh == nil {
		return changed
	}
	for _, s := range l.view.mesh.Services {
		if name := s.PlainName(); s.Namespace == namespace && !slices.Equal(before.get(name), after.get(name)) {
			changed[s.Name] = true
		}
	}
	return changed
}

// changeServices takes over some Services of a namespace. It returns the services of the mesh whose addresses have
// changed. The work is in proportion to what is told.
func (l *liveMesh) changeServices(namespace string, addresses map[string][]string) (changed map[string]bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, there, gone := l.view.services[namespace], map[string][]string{}, []string{}
	changed = map[string]bool{}
	for name, list := range addresses {
		if len(list) == 0 {
			gone = append(gone, name)
		} else {
			there[name] = list
		}
		if l.view.mesh == nil || slices.Equal(before.get(name), list) {
			continue
		}
		if s := l.view.mesh.Service(ir.QualifiedName(name, namespace)); s != nil {
			changed[s.Name] = true
		}
	}
	l.putServices(namespace, before.replace(there, gone...))
	return changed
}

// putServices makes the next view, with these Services of a namespace. It is called with the lock held.
func (l *liveMesh) putServices(namespace string, services *table[[]string]) {
	next := *l.view
	if next.services = maps.Clone(next.services); next.services == nil {
		next.services = map[string]*table[[]string]{}
	}
	next.services[namespace] = services
	l.view = &next
}

// addresses are those of a member's callees that its proxy is told; see [envoy.Options].
func (v *view) addresses(scope *ir.Scope) map[string]live.Addresses {
	if scope.Service == nil || !scope.Service.Workload.InCluster() {
		return nil
	}
	out := map[string]live.Addresses{}
	for i := range scope.Service.Uses {
		use := &scope.Service.Uses[i]
		if use.External {
			continue
		}
		u, a, asked := scope.Upstreams[use.To], live.Addresses{}, false
		for _, name := range use.Ports {
			if !byAddress(use, u, name) {
				continue
			}
			if asked = true; scope.Crowded(use, name) && v.known(u) {
				a.Instances = addressesOf(v.pods[u.Namespace].get(u.PlainName()))
			}
		}
		if !asked {
			continue
		}
		if a.Services = v.services[u.Namespace].get(u.PlainName()); a.Services != nil || a.Instances != nil {
			out[use.To] = a
		}
	}
	return out
}

// addressed are the callees whose addresses may be among those of [view.addresses].
func addressed(scope *ir.Scope) map[string]bool {
	out := map[string]bool{}
	if scope.Service == nil || !scope.Service.Workload.InCluster() {
		return out
	}
	for i := range scope.Service.Uses {
		use := &scope.Service.Uses[i]
		for _, name := range use.Ports {
			if !use.External && byAddress(use, scope.Upstreams[use.To], name) {
				out[use.To] = true
			}
		}
	}
	return out
}

// byAddress reports whether callers in the cluster tell the port of a callee by the address that they ask for.
func byAddress(use *ir.Use, callee *ir.Upstream, port string) bool {
	return callee.Port(port).Protocol == ir.TCP && use.Binds[port] == ""
}

// addressesOf are all addresses of pods, sorted.
func addressesOf(pods []live.Endpoint) []string {
	var out []string
	for i := range pods {
		out = append(append(out, pods[i].Address), pods[i].Others...)
	}
	slices.SortFunc(out, func(a, b string) int {
		one, _ := netip.ParseAddr(a) // who told of the pods has parsed them
		two, _ := netip.ParseAddr(b)
		return one.Compare(two)
	})
	return slices.Compact(out)
}
