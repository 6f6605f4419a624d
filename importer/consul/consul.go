// Package consul reads the configuration of Consul's service mesh: config entries in HCL and JSON, their custom
// resources, service definitions, and the annotations of pods, as described in
// https://developer.hashicorp.com/consul/docs/reference/config-entry.
package consul

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/meshc/meshc/compiler/membername"
	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
	"github.com/meshc/meshc/importer/gatewayapi"
	"github.com/meshc/meshc/importer/ingress"
)

// reader is a mesh that is being read.
type reader struct {
	*importer.Mesh
	objects []*importer.Object
	// services are those of Consul by their names there, and upstreams what each of them calls, by the name in the
	// mesh.
	services  map[string]*importer.Service
	upstreams map[string][]upstream
	// protocol is that of services of which nothing is said.
	protocol  string
	defaults  map[string]*entry[serviceDefaults]
	routers   map[string]*entry[serviceRouter]
	splitters map[string]*entry[serviceSplitter]
	resolvers map[string]*entry[serviceResolver]
	gateways  map[string]string // of the mesh by their names in Consul
	settings  map[string]*callSettings
	issuers   map[string]string // of the mesh by the names of their providers
	told      map[string]bool
	// destinations are externals of Consul by their first hosts.
	destinations map[string]string
	outside      map[string]bool // externals by their names in Consul
}

// entry is a config entry as it was read.
type entry[T any] struct {
	object *importer.Object
	spec   T
}

// Import returns the mesh that the objects describe. Parts that are not carried over are findings in the mesh.
func Import(objects []*importer.Object, o importer.Options) *importer.Mesh {
	mesh := importer.New(objects, o)
	mesh.Repository.Mesh.Defaults = &spec.TrafficDefaults{ // as the Envoys of Consul have it
		Timeout:     spec.Written("15s"),
		Connections: &spec.Connections{ConnectTimeout: spec.Written("5s")},
	}
	m := &reader{
		Mesh: mesh, objects: objects, services: map[string]*importer.Service{}, upstreams: map[string][]upstream{},
		protocol: "tcp", gateways: map[string]string{}, told: map[string]bool{}, destinations: map[string]string{}, outside: map[string]bool{},
		settings: map[string]*callSettings{}, issuers: map[string]string{},
	}
	m.membership()
	m.definitions()
	m.defaults = read[serviceDefaults](m, "ServiceDefaults")
	m.routers = read[serviceRouter](m, "ServiceRouter")
	m.splitters = read[serviceSplitter](m, "ServiceSplitter")
	m.resolvers = read[serviceResolver](m, "ServiceResolver")
	m.proxyDefaults()
	m.serviceDefaults()
	m.names()
	m.subsets()
	for _, name := range slices.Sorted(maps.Keys(m.services)) {
		m.routes(name, m.services[name])
	}
	m.ingressGateways()
	gatewayapi.Read(m.Mesh, objects, gatewayapi.Habits{})
	ingress.Read(m.Mesh, objects)
	m.jwtProviders()
	m.intentions()
	m.probes()
	m.unread()
	m.Finish()
	m.calls()
	m.bound()
	m.Found.Sort()
	return m.Mesh
}

// read are the config entries of a kind by their names.
func read[T any](m *reader, kind string) map[string]*entry[T] {
	out := map[string]*entry[T]{}
	for _, o := range importer.Of(m.objects, group, kind) {
		e := &entry[T]{object: o}
		if !m.Decode(o, "spec", &e.spec) {
			continue
		}
		if out[o.Metadata.Name] != nil {
			m.NotCarried(o, "it stands here twice")
			continue
		}
		out[o.Metadata.Name] = e
	}
	return out
}

// service is a service by its name in Consul; nil, which is told, for one that was not read.
func (m *reader) service(o *importer.Object, name string, at ...string) *importer.Service {
	s := m.services[name]
	if s == nil {
		m.NotCarried(o, "no service "+name+" was read", at...)
	}
	return s
}

// calls leaves services that name their upstreams, and whose other calls are not redirected, with these, where the
// intentions let them call.
func (m *reader) calls() {
	if m.Calls != nil {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(m.upstreams)) {
		s := m.Services[name]
		if s == nil {
			continue
		}
		uses := map[string]*spec.Use{}
		if isTransparent(s) {
			uses = maps.Clone(s.Spec.Uses)
		}
		for _, u := range m.upstreams[name] {
			callee := u.DestinationName
			if of := m.services[u.DestinationName]; of != nil {
				callee = of.Name
			}
			switch before := s.Spec.Uses[callee]; {
			case callee == s.Name:
				m.NotCarried(s.Object, "it is its own upstream, and no service of the mesh calls itself")
			case before == nil:
				m.NotCarried(s.Object, fmt.Sprintf("its upstream %s was not read, or no intention lets it call that",
					u.DestinationName))
			default:
				if u.LocalBindPort > 0 {
					before.Bind = spec.Written(fmt.Sprintf("%s:%d", cmp.Or(u.LocalBindAddress, "127.0.0.1"), u.LocalBindPort))
				}
				uses[callee] = before
			}
		}
		s.Spec.Uses = uses
		if len(uses) == 0 {
			s.Spec.Uses = nil
		}
	}
}

// probes adds the probes of the kubelet.
func (m *reader) probes() {
	for _, s := range m.Sorted() {
		own := map[int]importer.OwnPort{}
		for _, p := range s.Spec.Ports {
			kind := importer.Strict
			switch {
			case s.Spec.MTLS.Value == "permissive":
				kind = importer.Ruled
			case p.Protocol.Value == "http":
				kind = importer.StrictHTTP
			}
			own[p.Target.Or(p.Port.Value)] = kind
		}
		m.AddProbes(s, own)
	}
}

// closing are kinds that kept something out.
var closing = map[string]bool{
	"APIGateway": true, "ConsulHTTPRoute": true, "RouteAuthFilter": true, "GatewayPolicy": true,
}

// unread tells the objects that are not read.
func (m *reader) unread() {
	kinds := maps.Clone(gatewayapi.Kinds)
	maps.Copy(kinds, ingress.Kinds)
	for kind, of := range Kinds {
		if known := kinds[kind]; known != "" {
			of += "," + known
		}
		kinds[kind] = of
	}
	var rest []*importer.Object
	for _, o := range m.objects {
		switch {
		case o.Group() != group || Kinds[o.Kind] != "":
			rest = append(rest, o)
		case closing[o.Kind]:
			m.LetsMore(o, "meshc does not read this kind: write a gateway")
		default:
			m.NotCarried(o, "meshc does not read this kind")
		}
	}
	m.Others(rest, kinds, map[string]string{
		"networking.istio.io": "meshc import istio", "security.istio.io": "meshc import istio",
		"policy.linkerd.io": "meshc import linkerd", "linkerd.io": "meshc import linkerd",
	})
	for _, o := range importer.Of(m.objects, group, "ServiceRouter", "ServiceSplitter", "ServiceResolver") {
		if m.services[o.Metadata.Name] == nil {
			m.NotCarried(o, "no service "+o.Metadata.Name+" was read", "metadata", "name")
		}
	}
}

// plainName is the name of a service of the mesh without its namespace.
func plainName(s *importer.Service) string { return membername.Plain(s.Name) }
