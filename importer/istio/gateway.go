package istio

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	networkingv1 "istio.io/api/networking/v1alpha3"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

var gatewayReasons = map[string]string{
	"servers[].bind":                   "a listener takes connections at all addresses of the gateway",
	"servers[].defaultEndpoint":        "a listener's requests go by the gateway's routes",
	"servers[].tls.minProtocolVersion": "TLS is 1.2 or newer",
	"servers[].tls.maxProtocolVersion": "clients may use the newest TLS that they have",
	"servers[].tls.cipherSuites":       "the cipher suites are Envoy's own",
	"servers[].tls.credentialNames":    "a listener has one certificate; name a listener for each host",
}

// gateway is a gateway of the mesh, and the servers that it is made of.
type gateway struct {
	name     string
	spec     *spec.Gateway
	selector map[string]string
	servers  []*server
	hosts    []importer.Hosted
}

// readGateways makes a gateway of each Gateway, or of those that select the same proxies and that one VirtualService
// is bound to.
func (m *reader) readGateways() {
	together := m.boundTogether()
	made, shared := map[string]*gateway{}, map[string]string{}
	for _, o := range m.objectsOf(networking, "Gateway") {
		var d networkingv1.Gateway
		if !m.Decode(o, "spec", &d) {
			continue
		}
		selector := importer.Take(&d.Selector)
		own := o.Metadata.Namespace + "/" + o.Metadata.Name
		proxies := o.Metadata.Namespace + fmt.Sprint(selector)
		key := together[own] + proxies
		g := made[key]
		if g == nil {
			g = &gateway{selector: selector, spec: &spec.Gateway{
				Namespace: spec.Written(o.Metadata.Namespace),
				Listeners: map[string]*spec.Listener{}, Uses: map[string]*spec.Use{},
			}}
			g.name = m.freeGateway(o.Metadata.Name)
			m.Repository.Gateways[g.name], made[key] = g.spec, g
			m.MadeFrom("gateways", g.name, o)
			if other := shared[proxies]; other != "" {
				m.NotCarried(o, "it shared its proxies with the gateway "+other+", and is a gateway of its own here",
					"spec", "selector")
			}
			shared[proxies] = g.name
		}
		m.gateways[o.Metadata.Namespace+"/"+o.Metadata.Name] = g
		for i, s := range d.Servers {
			m.server(o, g, i, s)
		}
		m.Left(o, "spec", &d, gatewayReasons)
	}
}

func (m *reader) freeGateway(name string) string {
	return importer.Free(m.Names(), importer.NameOf(name))
}

// boundTogether is, for each Gateway, the first of those that VirtualServices bind it together with.
func (m *reader) boundTogether() map[string]string {
	first := map[string]string{}
	find := func(name string) string {
		for first[name] != "" && first[name] != name {
			name = first[name]
		}
		return name
	}
	for _, o := range m.objectsOf(networking, "VirtualService") {
		var d networkingv1.VirtualService
		if !(&importer.Mesh{}).Decode(o, "spec", &d) {
			continue
		}
		before := ""
		for _, name := range d.Gateways {
			if name == mesh {
				continue
			}
			name = find(qualified(name, o.Metadata.Namespace))
			if first[name] = name; before != "" {
				first[name] = before
			}
			before = find(name)
		}
	}
	out := map[string]string{}
	for name := range first {
		out[name] = find(name)
	}
	return out
}

// qualified is the name of a Gateway with its namespace.
func qualified(name, namespace string) string {
	if strings.Contains(name, "/") {
		return name
	}
	return namespace + "/" + name
}

// finishGateways gives the gateways their routes, and their listeners what else they need.
func (m *reader) finishGateways() {
	for _, name := range slices.Sorted(maps.Keys(m.gateways)) {
		g := m.gateways[name]
		for _, s := range g.servers {
			m.finishServer(g, s)
		}
		g.servers = nil // one that several Gateways make is finished once
		if g.spec.Routes == nil {
			g.spec.Routes = importer.Routed(g.hosts)
		}
		if len(g.spec.Listeners) == 0 {
			delete(m.Repository.Gateways, g.name)
		}
	}
}

func (m *reader) finishServer(g *gateway, s *server) {
	at := []string{"spec", "servers", strconv.Itoa(s.index)}
	if s.listener.RedirectTo.IsSet() {
		secure := ""
		for _, other := range slices.Sorted(maps.Keys(g.spec.Listeners)) {
			if l := g.spec.Listeners[other]; l.TLS != nil && !l.Protocol.IsSet() && (secure == "" ||
				l.Port.Value == 443 && g.spec.Listeners[secure].Port.Value != 443) {
				secure = other
			}
		}
		if secure == "" {
			m.NotCarried(s.object, "the gateway has no listener with TLS to redirect to, and this one is left out",
				append(at, "tls", "httpsRedirect")...)
			delete(g.spec.Listeners, s.name)
			return
		}
		s.listener.RedirectTo = spec.Written(secure)
	}
	if s.split {
		delete(g.spec.Listeners, s.name) // others have its connections, by the name in the handshake
		return
	}
	if (s.tcp || s.tls) && s.listener.To == nil {
		m.NotCarried(s.object, "no VirtualService says where its connections go, and the listener is left out", at...)
		delete(g.spec.Listeners, s.name)
	}
}
