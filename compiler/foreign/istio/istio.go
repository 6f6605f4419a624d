// Package istio reads the configuration of Istio: VirtualService, DestinationRule, Gateway,
// ServiceEntry, Sidecar, AuthorizationPolicy, PeerAuthentication and RequestAuthentication, as
// https://istio.io/latest/docs/reference/config/ describes them.
package istio

import (
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/foreign"
	"github.com/meshc/meshc/compiler/spec"
)

// The API groups of Istio, and the namespace whose policies hold for all.
const (
	networking    = "networking.istio.io"
	security      = "security.istio.io"
	rootNamespace = "istio-system"
)

// importer is a mesh that is being read.
type importer struct {
	*foreign.Mesh
	objects  []*foreign.Object
	gateways map[string]*gateway // by NAMESPACE/NAME
	// asked are the issuers that some rule asks for, by name.
	asked map[string]bool
}

// Import is the mesh that the objects make.
//
// Who may call whom is by AuthorizationPolicy; a service that none is for lets everyone of the mesh
// in. Whom a service calls Istio does not know: it is given all that its Sidecar shows it and that
// let it in, unless the options say more.
func Import(objects []*foreign.Object, o foreign.Options) *foreign.Mesh {
	m := &importer{Mesh: foreign.New(objects, o), objects: objects, gateways: map[string]*gateway{}, asked: map[string]bool{}}
	m.defaults()
	m.serviceEntries()
	m.destinationRules()
	m.readGateways()
	m.virtualServices()
	m.finishGateways()
	m.requestAuthentications()
	permissive := m.peerAuthentications()
	m.authorizationPolicies(permissive)
	m.unasked()
	m.sidecars()
	m.others()
	m.Finish()
	return m.Mesh
}

// of are the objects of a kind.
func (m *importer) of(group, kind string) []*foreign.Object {
	return foreign.Of(m.objects, group, kind)
}

// defaults are Istio's own, where they differ from those of the language: a request that no
// connection took is sent again, twice (HTTPRetry: "The default ... retry policy").
func (m *importer) defaults() {
	m.Repository.Mesh.Defaults = &spec.TrafficDefaults{Retries: &spec.Retries{
		Attempts: spec.Written(2), On: spec.WrittenAll("connect-failure", "refused-stream", "unavailable", "cancelled"),
	}}
}

var known = []string{
	"VirtualService", "DestinationRule", "Gateway", "ServiceEntry", "Sidecar", "AuthorizationPolicy", "PeerAuthentication", "RequestAuthentication",
}

// others tells of kinds that are not read, and configure a mesh.
func (m *importer) others() {
	for _, o := range m.objects {
		switch group := o.Group(); {
		case group == "gateway.networking.k8s.io":
			m.NotCarried(o, "meshc import gateway-api reads it")
		case strings.HasSuffix(group, "istio.io") && !slices.Contains(known, o.Kind):
			m.NotCarried(o, "meshc does not read this kind")
		}
	}
}

// selected are the services whose pods a policy of the namespace is for. Without a selector it is for
// all of its namespace, and in the root namespace for all of the mesh.
func (m *importer) selected(o *foreign.Object, labels map[string]string) []*foreign.Service {
	var out []*foreign.Service
	for _, s := range m.Sorted() {
		if s.Namespace != o.Metadata.Namespace && o.Metadata.Namespace != rootNamespace {
			continue
		}
		some, all := true, true
		if len(labels) > 0 {
			some, all = s.Select(labels)
		}
		if some && !all {
			m.NotCarried(o, "it is for some of the pods of "+s.Name+" alone, and holds for all of them here", "spec", "selector")
		}
		if some {
			out = append(out, s)
		}
	}
	return out
}
