// Package kubernetes makes a first mesh of workloads that have none: of Services, workloads, their probes, Ingresses
// and NetworkPolicies. Its services are permissive, so that callers without a proxy reach them as before, but for those
// whom NetworkPolicies keep out.
package kubernetes

import (
	"maps"
	"slices"

	"github.com/meshc/meshc/compiler/membername"
	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
	"github.com/meshc/meshc/importer/ingress"
)

// reader is a mesh that is being read.
type reader struct {
	*importer.Mesh
	objects []*importer.Object
	// access has the services whose pods NetworkPolicies select, by name. Others take whoever comes.
	access map[string]*access
	// confined are the services whose pods some NetworkPolicy selects for egress.
	confined map[string]bool
}

// kinds are those that are read, and their group.
var kinds = map[string]string{"NetworkPolicy": networking, "Ingress": networking, "IngressClass": networking}

// Why permissive services, and calls that pass, are silenced in a first mesh.
const (
	why      = "adoption: callers without a proxy are let in until all of them are members"
	whyCalls = "adoption: calls pass until all of them are declared"
)

// Import returns the mesh that the objects describe. Parts that are not carried over are findings in the mesh.
func Import(objects []*importer.Object, o importer.Options) *importer.Mesh {
	o.Calls = maps.Clone(o.Calls)
	if o.Calls == nil {
		o.Calls = map[string][]string{}
	}
	o.OnlyRead = true
	objects, system := members(objects)
	m := &reader{
		Mesh: importer.New(objects, o), objects: objects, access: map[string]*access{}, confined: map[string]bool{},
	}
	for _, o := range system {
		m.NotCarried(o, importer.OfCluster)
	}
	m.AddCallers(objects, nil)
	m.otherWorkloads()
	m.onNodes()
	m.networkPolicies()
	ingress.Read(m.Mesh, objects)
	gateways := m.gatewaysOf()
	uses := map[string]map[string]*spec.Use{}
	for _, s := range m.Sorted() {
		m.lets(s, uses)
		m.letsGateways(s, gateways[s.Name])
		m.AddProbes(s, m.ownPorts(s))
	}
	for _, s := range m.Sorted() {
		switch {
		case !m.confined[s.Name]:
			s.PassUndeclared(whyCalls)
		case len(uses[s.Name])+len(m.Calls[s.Name]) == 0:
			m.NotCarried(s.Object,
				"nothing says whom "+s.Name+" calls, and a proxy refuses calls that uses does not have: "+
					"name them with --calls", "metadata", "name")
		}
		if s.Account == "default" {
			m.NotCarried(s.Object,
				"its pods have the service account default, and a member has an identity of its own: "+
					"their account becomes "+membername.Plain(s.Name), "spec", "template", "spec", "serviceAccountName")
		}
	}
	m.Others(objects, kinds, map[string]string{
		"networking.istio.io": "meshc import istio", "security.istio.io": "meshc import istio",
		"gateway.networking.k8s.io": "meshc import gateway-api",
	})
	m.Finish()
	for _, s := range m.Sorted() {
		if len(uses[s.Name]) > 0 && s.Spec.Uses == nil {
			s.Spec.Uses = map[string]*spec.Use{}
		}
		maps.Copy(s.Spec.Uses, uses[s.Name])
	}
	return m.Mesh
}

// lets lets in the callers that are known, and whoever has no identity: where NetworkPolicies select the pods of the
// service, only from the addresses that they name. It adds to uses what the callers use of the service.
func (m *reader) lets(s *importer.Service, uses map[string]map[string]*spec.Use) {
	if len(s.Spec.Ports) == 0 {
		return
	}
	a := m.access[s.Name]
	callers := m.callersOf(s, a)
	callers.rules(s, func(names []string, ports []spec.Field[string]) {
		s.Spec.Allow = append(s.Spec.Allow, &spec.Rule{
			From: &spec.Peers{Services: spec.WrittenAll(names...)}, Ports: ports,
		})
		for _, name := range names {
			if uses[name] == nil {
				uses[name] = map[string]*spec.Use{}
			}
			uses[name][s.Name] = &spec.Use{Ports: ports}
		}
	})
	plaintext := reach{everywhere: all(s)}
	if a != nil {
		plaintext = a.ranges
		a.namespaces.rules(s, func(names []string, ports []spec.Field[string]) {
			s.Spec.Allow = append(s.Spec.Allow, &spec.Rule{
				From: &spec.Peers{Namespaces: spec.WrittenAll(names...)}, Ports: ports,
			})
		})
	}
	plaintext.rules(s, func(ranges []string, ports []spec.Field[string]) {
		from := &spec.Peers{Plaintext: spec.Written(true)}
		if !slices.Contains(ranges, everywhere) {
			from.IPRanges = spec.WrittenAll(ranges...)
		}
		s.Spec.Allow = append(s.Spec.Allow, &spec.Rule{From: from, Ports: ports})
	})
	if len(plaintext) > 0 {
		s.Permissive(why)
	}
}

// gatewaysOf are the gateways that send requests to services, by the names of these.
func (m *reader) gatewaysOf() map[string][]string {
	out := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(m.Repository.Gateways)) {
		for callee := range m.Repository.Gateways[name].Uses {
			out[callee] = append(out[callee], name)
		}
	}
	return out
}

// letsGateways lets in the gateways that Ingresses became.
func (m *reader) letsGateways(s *importer.Service, gateways []string) {
	if len(gateways) == 0 {
		return
	}
	s.Spec.Allow = append(s.Spec.Allow, &spec.Rule{From: &spec.Peers{Gateways: spec.WrittenAll(gateways...)}})
	if m.access[s.Name] != nil {
		m.Note(s.Object, "an Ingress leads to "+s.Name+", whose callers NetworkPolicies bound: its gateway is let in, and they "+
			"have to let in the gateway's pods", "metadata", "name")
	}
}
