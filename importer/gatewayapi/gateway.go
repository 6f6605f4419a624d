package gatewayapi

import (
	"maps"
	"slices"
	"strconv"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

var gatewayReasons = map[string]string{
	"addresses":                       "the address is that of the gateway's Service in Kubernetes",
	"infrastructure":                  "the gateway's Deployment and Service are meshc's",
	"defaultScope":                    "a route names its gateways",
	"tls.backend":                     "a gateway shows the certificate of its identity in the mesh",
	"tls.frontend":                    "roots are in a Secret: tls: clientCertificates",
	"listeners[].tls.options":         "the language has minVersion and clientCertificates",
	"listeners[].tls.certificateRefs": "a listener has one certificate; name a listener for each host",
	"listeners[].allowedRoutes.kinds": "a listener's protocol says which routes it takes",
}

// gateway is a Gateway.
type gateway struct {
	object    *importer.Object
	listeners []*listener
}

func (m *reader) readGateways() {
	for _, o := range m.objectsOf("Gateway") {
		var d gatewayv1.GatewaySpec
		if !m.Decode(o, "spec", &d) {
			continue
		}
		g := &gateway{object: o}
		m.gateways[o.Metadata.Namespace+"/"+o.Metadata.Name] = g
		d.GatewayClassName = "" // it is meshc's from now on
		roots := map[gatewayv1.PortNumber]*gatewayv1.FrontendTLSValidation{}
		if f := frontend(&d); f != nil {
			for _, p := range f.PerPort {
				roots[p.Port] = p.TLS.Validation
			}
			for _, l := range d.Listeners {
				if _, own := roots[l.Port]; !own {
					roots[l.Port] = f.Default.Validation
				}
			}
			d.TLS.Frontend = nil
		}
		for i := range d.Listeners {
			m.listener(g, o, i, &d.Listeners[i], roots)
		}
		m.listenerSets(g, importer.Take(&d.AllowedListeners), roots)
		m.Left(o, "spec", &d, gatewayReasons)
	}
}

// finishGateways attaches the routes, and makes a gateway of each Gateway.
func (m *reader) finishGateways() {
	for _, kind := range routeKinds {
		for _, o := range m.objectsOf(kind) {
			m.attach(o)
		}
	}
	for _, kind := range []string{"TLSRoute", "TCPRoute"} {
		for _, o := range m.objectsOf(kind) {
			m.attachStream(o)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.gateways)) {
		g := m.gateways[name]
		for _, l := range g.listeners {
			m.redirectListener(g, l)
		}
		g.share()
		m.gateway(g)
	}
}

// gateway is a gateway of the mesh for a Gateway.
func (m *reader) gateway(g *gateway) {
	out := &spec.Gateway{
		Namespace: spec.Written(g.object.Metadata.Namespace), Listeners: map[string]*spec.Listener{},
		Uses: map[string]*spec.Use{},
	}
	var serving []*listener // by routes
	var unused []string     // whose requests others must not take
	for _, l := range g.listeners {
		at := []string{"spec", "listeners", strconv.Itoa(l.index)}
		byRoutes := !l.spec.Protocol.IsSet() && !l.spec.RedirectTo.IsSet()
		switch {
		case l.spec.Protocol.IsSet() && l.spec.To == nil:
			m.NotCarried(l.object, "no route says where its connections go, and the listener is left out", at...)
			continue
		case byRoutes && len(l.routes) == 0:
			m.NotCarried(l.object, "no route is attached to it, and the listener is left out", at...)
			unused = append(unused, l.host)
			continue
		case byRoutes:
			serving = append(serving, l)
		}
		for n, one := range append([]*spec.Listener{l.spec}, l.more...) {
			name := l.called
			if out.Listeners[name] != nil && n == 0 {
				continue // it is one with another
			}
			if n > 0 {
				name = importer.Free(out.Listeners, name)
			}
			out.Listeners[name] = one
			if one.To != nil {
				out.Uses[one.To.Service.Value] = &spec.Use{}
			}
		}
	}
	if len(out.Listeners) == 0 {
		return
	}
	out.Routes = m.routes(serving, unused)
	for _, r := range out.Routes {
		for _, d := range r.To {
			out.Uses[d.Service.Value] = &spec.Use{}
		}
		if r.Mirror != nil {
			out.Uses[r.Mirror.Service.Value] = &spec.Use{}
		}
	}
	name := importer.Free(m.Names(), importer.NameOf(g.object.Metadata.Name))
	m.Repository.Gateways[name] = out
	m.MadeFrom("gateways", name, g.object)
}

// routes are those of listeners, each for the hosts and the listeners that it is attached to.
func (m *reader) routes(listeners []*listener, unused []string) []*spec.Route {
	at := map[*importer.Object]map[string][]*listener{} // by host
	var objects []*importer.Object
	for _, l := range listeners {
		for _, a := range l.routes {
			if at[a.object] == nil {
				at[a.object] = map[string][]*listener{}
				objects = append(objects, a.object)
			}
			for _, host := range a.hosts {
				if !slices.ContainsFunc(listeners, func(other *listener) bool { return other.hides(l, host) }) {
					at[a.object][host] = append(at[a.object][host], l)
				}
			}
		}
	}
	byHost := map[string][]*candidate{}
	for _, o := range objects {
		for _, host := range slices.Sorted(maps.Keys(at[o])) {
			for _, e := range edgesOf(at[o][host], listeners, host, m.redirects(o)) {
				byHost[host] = append(byHost[host], m.candidates(o, nil, e)...)
			}
		}
	}
	var hosts []importer.Hosted
	for _, host := range slices.Sorted(maps.Keys(byHost)) {
		hosts = append(hosts, importer.Hosted{Host: host, Routes: m.ordered(byHost[host])})
	}
	for _, l := range listeners { // what their own routes do not take is for no wider listener
		if !slices.Contains(unused, l.host) {
			unused = append(unused, l.host)
		}
	}
	for _, host := range unused {
		if host != "" && byHost[host] == nil {
			hosts = append(hosts, importer.Hosted{Host: host})
		}
	}
	return importer.Routed(hosts)
}
