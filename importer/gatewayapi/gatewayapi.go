// Package gatewayapi reads objects of the Gateway API: Gateway, HTTPRoute, GRPCRoute, TLSRoute, TCPRoute, ListenerSet,
// BackendTLSPolicy and ReferenceGrant, as described in https://gateway-api.sigs.k8s.io/reference/spec/. The parent of a
// route may be a Gateway or a Service (GAMMA).
package gatewayapi

import (
	"maps"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
	"github.com/meshc/meshc/importer/ingress"
)

const group = "gateway.networking.k8s.io"

// reader is a mesh that is being read.
type reader struct {
	*importer.Mesh
	objects  []*importer.Object
	gateways map[string]*gateway // by NAMESPACE/NAME
	grants   []grant
	habits   Habits
}

// Import returns the mesh that the objects describe. Parts that are not carried over are findings in the mesh.
func Import(objects []*importer.Object, o importer.Options) *importer.Mesh {
	m := importer.New(objects, o)
	// as its implementations have it
	m.Repository.Mesh.Defaults = &spec.TrafficDefaults{Timeout: spec.Written(spec.NoLimit)}
	m.AddCallers(objects, func(w *importer.Workload) bool { return strings.HasPrefix(w.Namespace, "kube-") })
	r := read(m, objects, Habits{})
	ingress.Read(m, objects)
	kinds := maps.Clone(Kinds)
	maps.Copy(kinds, ingress.Kinds)
	m.Others(objects, kinds, map[string]string{
		"networking.istio.io": "meshc import, of all sources together,",
		"security.istio.io":   "meshc import, of all sources together,",
	})
	r.probes()
	r.allow()
	m.Finish()
	return m
}

// Habits are in what an implementation goes beyond the Gateway API. The zero value is for none.
type Habits struct {
	// OnRoute is called with each route of HTTP and the object that it is made of, if it is not nil.
	OnRoute func(o *importer.Object, r *spec.Route)
	// ToParent has requests go to the Service that is the parent of a route without backends.
	ToParent bool
}

// Read adds the gateways and routes that the objects say to a mesh. Rules are the caller's.
func Read(mesh *importer.Mesh, objects []*importer.Object, h Habits) { read(mesh, objects, h) }

func read(mesh *importer.Mesh, objects []*importer.Object, h Habits) *reader {
	m := &reader{Mesh: mesh, objects: objects, gateways: map[string]*gateway{}, habits: h}
	m.readGrants()
	m.backendTLS()
	m.readGateways()
	m.toServices()
	m.finishGateways()
	return m
}

// objectsOf are the objects of a kind.
func (m *reader) objectsOf(kind string) []*importer.Object {
	return importer.Of(m.objects, group, kind)
}

// routeKinds are the kinds of routes for HTTP.
var routeKinds = []string{"HTTPRoute", "GRPCRoute"}

// Kinds are those that are read, and their group.
var Kinds = map[string]string{
	"Gateway": group, "GatewayClass": group, "HTTPRoute": group, "GRPCRoute": group, "TLSRoute": group,
	"TCPRoute":         group,
	"BackendTLSPolicy": group, "ReferenceGrant": group, "ListenerSet": group,
}

// allow writes the allow rules of services: for the gateways whose routes lead to a service and for its callers. Where
// calls are not known every member may call it, as today.
func (m *reader) allow() {
	for _, s := range m.Sorted() {
		from := m.Callers(s)
		if m.Calls == nil { // nothing says who may not call it
			from = &spec.Peers{Anyone: spec.Written(true)}
		}
		if len(s.Spec.Ports) > 0 && from != nil {
			s.Spec.Allow = []*spec.Rule{{From: from}}
		}
	}
}

// backendTLS reports each BackendTLSPolicy, because the mesh itself encrypts connections to backends. The ports that it
// is for speak TLS: nothing is sent there without.
func (m *reader) backendTLS() {
	for _, o := range m.objectsOf("BackendTLSPolicy") {
		var d gatewayv1.BackendTLSPolicySpec
		if m.Decode(o, "spec", &d) {
			for _, ref := range d.TargetRefs {
				s := m.Service(o.Metadata.Namespace, string(ref.Name))
				if s == nil || ref.Kind != "Service" {
					continue
				}
				for name, p := range s.Spec.Ports {
					of := ref.SectionName == nil || name == importer.NameOf(string(*ref.SectionName))
					if of && p.Protocol.Value != "tls" {
						s.Secures(name)
					}
				}
			}
			m.NotCarried(o, "a member is reached by mutual TLS, with the certificates of the mesh: its own TLS would be within that")
		}
	}
}

// probes adds the probes of the kubelet, which strict mutual TLS refuses.
func (m *reader) probes() {
	for _, s := range m.Sorted() {
		own := map[int]importer.OwnPort{}
		for _, p := range s.Spec.Ports {
			own[p.Target.Or(p.Port.Value)] = importer.Strict
			if p.Protocol.Value == "http" {
				own[p.Target.Or(p.Port.Value)] = importer.StrictHTTP
			}
		}
		m.AddProbes(s, own)
	}
}
