package importer

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/membername"
	"github.com/meshc/meshc/compiler/spec"
)

// Options are settings that objects do not contain.
type Options struct {
	// Name is the name of the mesh, TrustDomain its SPIFFE trust domain.
	Name, TrustDomain string
	// ClusterDomain is the DNS domain of the cluster; empty for the one in which objects name services.
	ClusterDomain string
	// Calls are the callees of each service, by the names of the services; nil if they are not known.
	Calls map[string][]string
	// OnlyRead leaves out Services whose pods no workload that was read has. Otherwise a Deployment is taken for them.
	OnlyRead bool
	// DefaultIntentions is what holds in Consul without an intention, "allow" or "deny"; empty if that is not known.
	DefaultIntentions string
}

// Mesh is a mesh while it is imported.
type Mesh struct {
	Options
	Repository spec.Repository
	// Found are the findings: what could not be carried over.
	Found diag.List
	// Services are the services by name.
	Services map[string]*Service
	// Workloads are the Deployments, StatefulSets and DaemonSets, in the order in which they were read.
	Workloads []*Workload
	// Hosts are the hosts of those externals that services may call, by the names of the externals.
	Hosts map[string]Host
	// Aliases are services by other hosts under which they can be reached.
	Aliases map[string]*Service
	// parts are the Services that are versions of others, by NAMESPACE/NAME.
	versionParts map[string]*Part
	// origins are the objects that gateways and externals are made of, by "gateways/NAME" and "external/NAME".
	origins map[string]*Object
	// Sees says, by the name of a service, which hosts it can see; a service that is not in the map can see all.
	Sees map[string]func(h Host) bool
}

// Host is a DNS name in a namespace.
type Host struct{ Namespace, Name string }

// New returns a mesh with the objects of kind Service and the workloads that they select.
func New(objects []*Object, o Options) *Mesh {
	m := &Mesh{
		Options: o, Services: map[string]*Service{}, Hosts: map[string]Host{}, Aliases: map[string]*Service{},
		origins: map[string]*Object{},
		Sees:    map[string]func(Host) bool{},
	}
	m.Repository = spec.Repository{
		Mesh:     &spec.Mesh{Name: spec.Written(o.Name), TrustDomain: spec.Written(o.TrustDomain)},
		Services: map[string]*spec.Service{}, Gateways: map[string]*spec.Gateway{},
		External: map[string]*spec.External{},
	}
	objects = m.outsideCluster(objects)
	m.readServices(objects)
	m.readClusterDomain(objects)
	m.nameParts()
	return m
}

// OfCluster is why what is in a namespace of the cluster itself is not carried over.
const OfCluster = "its namespace belongs to the cluster itself"

// outsideCluster are the objects but for Services and workloads of the cluster itself, which are not members.
func (m *Mesh) outsideCluster(objects []*Object) (out []*Object) {
	for _, o := range objects {
		switch {
		case !membername.OfCluster(o.Metadata.Namespace):
			out = append(out, o)
		case o.Group() == "" && o.Kind == "Service", o.Group() == "apps":
			m.NotCarried(o, OfCluster)
		default:
			out = append(out, o)
		}
	}
	return out
}

// MadeFrom says which object a gateway or an external is made of: its kind is the directory that it is written in.
func (m *Mesh) MadeFrom(kind, name string, o *Object) { m.origins[kind+"/"+name] = o }

// Origin is the object of which a file of the repository is made; nil for none.
func (m *Mesh) Origin(file string) *Object {
	kind, rest, _ := strings.Cut(file, "/")
	name, _, _ := strings.Cut(rest, "/")
	if s := m.Services[name]; kind == "services" && s != nil {
		return s.Object
	}
	return m.origins[kind+"/"+name]
}

// Service returns the service with this namespace and name; nil if there is none.
func (m *Mesh) Service(namespace, name string) *Service {
	if s := m.Services[name]; s != nil && s.Namespace == namespace {
		return s
	}
	return m.Services[name+"."+namespace]
}

// Lookup returns the service that a host means in the namespace from. The host has the form "cart", "cart.shop" or
// "cart.shop.svc.cluster.local", with the domain of the cluster. It returns nil if there is no such service.
func (m *Mesh) Lookup(host, from string) *Service {
	if s := m.Aliases[host]; s != nil {
		return s
	}
	name, rest, dotted := strings.Cut(host, ".")
	if !dotted {
		return m.Service(from, name)
	}
	namespace, rest, dotted := strings.Cut(rest, ".")
	if !dotted || rest == "svc" || rest == "svc."+m.ClusterDomain {
		return m.Service(namespace, name)
	}
	return nil
}

// Sorted returns the services, sorted by name.
func (m *Mesh) Sorted() []*Service {
	var out []*Service
	for _, name := range slices.Sorted(maps.Keys(m.Services)) {
		out = append(out, m.Services[name])
	}
	return out
}

// AddExternal adds an external that services of the namespace may call. It returns the name of the external, which is
// the wanted one or similar to it.
func (m *Mesh) AddExternal(wanted, namespace string, e *spec.External) string {
	name := NameOf(wanted)
	for taken := true; taken; { // services and externals share their names
		name = Free(m.Repository.External, name)
		if taken = m.Names()[name]; taken {
			name += "-external"
		}
	}
	m.Repository.External[name] = e
	m.Hosts[name] = Host{namespace, e.Hosts[0].Value}
	return name
}

// Finish writes the uses of all services and removes what is empty. Call it when all rules are complete.
//
// A service uses every service that it can see and that allows it, or those in [Options.Calls].
func (m *Mesh) Finish() {
	m.routeParts()
	for _, s := range m.Sorted() {
		s.settlePorts(m)
		s.Spec.Connections = m.Bounds(s.Object, s.Spec.Connections, s.Spec.Ports, false)
	}
	defer m.Found.Sort()
	for _, g := range m.Repository.Gateways {
		if len(g.Uses) == 0 {
			g.Uses = nil
		}
	}
	for _, caller := range m.Sorted() {
		m.calls(caller)
		m.toldApart(caller)
	}
}

// calls writes the uses of a service.
func (m *Mesh) calls(caller *Service) {
	if m.Calls != nil {
		for _, name := range m.Calls[caller.Name] {
			caller.use(name)
		}
		return
	}
	sees := m.Sees[caller.Name]
	if sees == nil {
		sees = func(Host) bool { return true }
	}
	for _, callee := range m.Sorted() {
		if callee != caller && len(callee.Spec.Ports) > 0 && sees(callee.host(m.ClusterDomain)) &&
			callee.lets(caller) &&
			!callee.leadsTo(caller.Name) {
			caller.use(callee.Name)
		}
	}
	for name, host := range m.Hosts {
		if sees(host) {
			caller.use(name)
		}
	}
}

func (s *Service) use(callee string) {
	if s.Spec.Uses == nil {
		s.Spec.Uses = map[string]*spec.Use{}
	}
	s.Spec.Uses[callee] = &spec.Use{}
}

// Callers returns the known callers of a service: those in [Options.Calls], and the gateways whose routes lead to it.
// It returns nil if there are none.
func (m *Mesh) Callers(s *Service) *spec.Peers {
	// Who calls a service whose routes lead to this one calls this one too.
	reached := map[string]bool{s.Name: true}
	for grown := true; grown; {
		grown = false
		for _, other := range m.Sorted() {
			if !reached[other.Name] && slices.ContainsFunc(slices.Collect(maps.Keys(reached)), other.leadsTo) {
				reached[other.Name], grown = true, true
			}
		}
	}
	calls := func(callee string) bool { return reached[callee] }
	p := &spec.Peers{}
	for _, caller := range slices.Sorted(maps.Keys(m.Calls)) {
		if caller != s.Name && slices.ContainsFunc(m.Calls[caller], calls) {
			p.Services = append(p.Services, spec.Written(caller))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.Repository.Gateways)) {
		if slices.ContainsFunc(slices.Collect(maps.Keys(m.Repository.Gateways[name].Uses)), calls) {
			p.Gateways = append(p.Gateways, spec.Written(name))
		}
	}
	if p.Services == nil && p.Gateways == nil {
		return nil
	}
	return p
}

// leadsTo reports whether some route of the service sends requests to another one.
func (s *Service) leadsTo(name string) bool {
	return slices.ContainsFunc(s.Spec.Routes, func(r *spec.Route) bool {
		return slices.ContainsFunc(r.To, func(d *spec.Destination) bool { return d.Service.Value == name }) ||
			r.Mirror != nil && r.Mirror.Service.Value == name
	})
}

// lets reports whether an allow rule of the service is for the caller, and no deny rule revokes all of it.
func (s *Service) lets(caller *Service) bool {
	covers := func(r *spec.Rule) bool {
		has := func(list []spec.Field[string], name string) bool {
			return slices.ContainsFunc(list, func(f spec.Field[string]) bool { return f.Value == name })
		}
		return r.Mode.Value != "audit" && (r.From.Anyone.Value || has(r.From.Services, caller.Name) ||
			has(r.From.Namespaces, caller.Namespace))
	}
	return slices.ContainsFunc(s.Spec.Allow, covers) && !slices.ContainsFunc(s.Spec.Deny, func(r *spec.Rule) bool {
		whole := r.Ports == nil && r.Methods == nil && r.Paths == nil && r.Headers == nil && r.JWT == nil &&
			r.From.IPRanges == nil
		return whole && covers(r)
	})
}

var notInName = regexp.MustCompile(`[^a-z0-9]+`)

// NameOf makes a valid name of the language out of another name; characters that are not allowed are replaced.
func NameOf(text string) string {
	name := strings.Trim(notInName.ReplaceAllString(strings.ToLower(text), "-"), "-")
	if name == "" || name[0] < 'a' {
		name = "x-" + name
	}
	return strings.TrimRight(name[:min(len(name), 63)], "-")
}

// Free returns the name, with a number at its end if it is already taken.
func Free[T any](taken map[string]T, name string) string {
	for n, base := 2, name; ; n++ {
		if _, ok := taken[name]; !ok {
			return name
		}
		name = base[:min(len(base), 60)] + "-" + string(rune('0'+n%10))
		if n > 9 {
			base += "-x"
			n = 1
		}
	}
}
