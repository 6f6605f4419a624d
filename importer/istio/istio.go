// Package istio reads the configuration of Istio: VirtualService, DestinationRule, Gateway, ServiceEntry, Sidecar,
// AuthorizationPolicy, PeerAuthentication and RequestAuthentication, as described in
// https://istio.io/latest/docs/reference/config/.
package istio

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	networkingv1 "istio.io/api/networking/v1alpha3"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

// The API groups of Istio, and the namespace whose policies hold for all.
const (
	networking    = "networking.istio.io"
	security      = "security.istio.io"
	rootNamespace = "istio-system"
)

// reader is a mesh that is being read.
type reader struct {
	*importer.Mesh
	objects  []*importer.Object
	gateways map[string]*gateway // by NAMESPACE/NAME
	// issuers are the token issuers that a service accepts, by the name of the service.
	issuers map[string][]string
	// asked are the issuers that a rule of a service requires, as SERVICE/ISSUER.
	asked map[string]bool
	// edge are the accounts of Istio's gateways, NAMESPACE/ACCOUNT, and the labels of their pods.
	edge map[string][]map[string]string
	// through are the services that gateways send requests to without a version, and where that is said.
	through []through
	// outside are the workloads of services that are no members.
	outside []*importer.Workload
}

// through is a destination of a gateway's route.
type through struct {
	object  *importer.Object
	at      []string
	service *importer.Service
}

// Import returns the mesh that the objects describe. Parts that are not carried over are findings in the mesh.
//
// AuthorizationPolicies determine who may call a service; a service without one allows every member of the mesh.
// Istio does not know which services a service calls. So a service uses every service that its Sidecar makes visible
// and that allows it, unless the options name its calls.
func Import(objects []*importer.Object, o importer.Options) *importer.Mesh {
	m := importer.New(objects, o)
	Read(m, objects, func() {})
	m.Others(objects, Kinds, map[string]string{"gateway.networking.k8s.io": "meshc import, of all sources together,"})
	m.Finish()
	return m
}

// Read adds what the objects say to a mesh. After the routes, and before the rules, it calls between.
func Read(mesh *importer.Mesh, objects []*importer.Object, between func()) {
	m := &reader{
		Mesh: mesh, objects: objects, gateways: map[string]*gateway{},
		issuers: map[string][]string{}, asked: map[string]bool{}, edge: map[string][]map[string]string{},
	}
	m.defaults()
	m.meshConfig()
	m.takeGateways()
	m.withoutProxies()
	m.AddCallers(objects, m.notMember)
	m.serviceEntries()
	m.destinationRules()
	m.readGateways()
	m.virtualServices()
	m.finishGateways()
	m.throughRoutes()
	between()
	m.requestAuthentications()
	permissive := m.peerAuthentications()
	m.authorizationPolicies(permissive)
	m.unasked()
	m.sidecars()
	m.upgradesAndProbes(permissive)
}

// objectsOf are the objects of a kind.
func (m *reader) objectsOf(group, kind string) []*importer.Object {
	return importer.Of(m.objects, group, kind)
}

// defaults writes the defaults of Istio that differ from those of the language: a request may take any time, and one
// that no connection accepted is sent again, twice (HTTPRetry: "The default ... retry policy").
func (m *reader) defaults() {
	m.Repository.Mesh.Defaults = &spec.TrafficDefaults{Timeout: spec.Written(spec.NoLimit), Retries: &spec.Retries{
		Attempts: spec.Written(2), On: spec.WrittenAll("connect-failure", "refused-stream", "unavailable", "cancelled"),
	}}
}

// Kinds are those that are read, and their groups.
var Kinds = map[string]string{
	"VirtualService": networking, "DestinationRule": networking, "Gateway": networking, "ServiceEntry": networking,
	"Sidecar":             networking,
	"AuthorizationPolicy": security, "PeerAuthentication": security, "RequestAuthentication": security,
}

// takeGateways removes the services of Istio's own gateways, because each Gateway becomes a gateway of the mesh.
func (m *reader) takeGateways() {
	// As Istio's own installation has them, which need not have been read.
	for account, label := range map[string]string{
		rootNamespace + "/istio-ingressgateway-service-account": "ingressgateway",
		rootNamespace + "/istio-ingressgateway":                 "ingressgateway",
		"istio-ingress/istio-ingress":                           "ingress",
	} {
		m.edge[account] = []map[string]string{{"istio": label, "app": "istio-" + label}}
	}
	for _, o := range m.objectsOf(networking, "Gateway") {
		var d networkingv1.Gateway
		if !(&importer.Mesh{}).Decode(o, "spec", &d) || len(d.Selector) == 0 {
			continue
		}
		for _, s := range m.Sorted() {
			if some, _, _ := s.Select(d.Selector); !some {
				continue
			}
			for _, w := range s.Workloads {
				m.edge[w.Namespace+"/"+w.Account] = append(m.edge[w.Namespace+"/"+w.Account], w.Labels)
			}
			m.NotCarried(s.Object, o.String()+" is for its pods: a gateway of the mesh has proxies of its own")
			delete(m.Services, s.Name)
			delete(m.Repository.Services, s.Name)
		}
	}
}

// throughRoutes reports the services whose own routes apply to a gateway's requests in meshc.
func (m *reader) throughRoutes() {
	for _, t := range m.through {
		if len(t.service.Spec.Routes) > 0 && !goesAnywhere(t.service) {
			m.NotCarried(t.object, "requests of a gateway go on through the routes of "+t.service.Name+
				" here, which hold within the mesh alone in Istio: name a version to go round them", t.at...)
		}
	}
}

// goesAnywhere reports whether a service's routes send all requests to its only version, which is any instance.
func goesAnywhere(s *importer.Service) bool {
	if len(s.Spec.Routes) != 1 || len(s.Spec.Versions) != 1 || len(s.Workloads) > 1 {
		return false
	}
	rest := *s.Spec.Routes[0]
	to := rest.To
	rest.To = nil
	return reflect.DeepEqual(rest, spec.Route{}) && len(to) == 1 && !to[0].Service.IsSet()
}

// selected are the services whose pods a policy of the namespace is for, with whether it is for all of their
// pods. Without a selector it is for all of its namespace, and in the root namespace for all of the mesh.
func (m *reader) selected(o *importer.Object, labels map[string]string) map[*importer.Service]bool {
	out := map[*importer.Service]bool{}
	for _, s := range m.Sorted() {
		if s.Namespace != o.Metadata.Namespace && o.Metadata.Namespace != rootNamespace {
			continue
		}
		some, all, known := true, true, true
		if len(labels) > 0 {
			some, all, known = s.Select(labels)
		}
		if !known {
			m.LetsMore(o, "whether it is for the pods of "+s.Name+" cannot be told, as they were not read", "spec",
				"selector")
		}
		if some && !all {
			m.NotCarried(o, "it is for some of the pods of "+s.Name+" alone, and holds for all of them here", "spec",
				"selector")
		}
		if some {
			out[s] = all
		}
	}
	return out
}

// nearness ranks policies of one kind: a policy for workloads comes before that of their namespace, which comes
// before that of the mesh.
func nearness(o *importer.Object, labels map[string]string) int {
	switch {
	case len(labels) > 0:
		return 3
	case o.Metadata.Namespace != rootNamespace:
		return 2
	}
	return 1
}

// byName are the services of a selection, by name.
func byName(selection map[*importer.Service]bool) []*importer.Service {
	return slices.SortedFunc(maps.Keys(selection), func(a, b *importer.Service) int {
		return strings.Compare(a.Name, b.Name)
	})
}
