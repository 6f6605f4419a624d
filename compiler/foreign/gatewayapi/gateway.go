package gatewayapi

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/meshc/meshc/compiler/foreign"
	"github.com/meshc/meshc/compiler/spec"
)

var gatewayReasons = map[string]string{
	"addresses":                       "the address is that of the gateway's Service in Kubernetes",
	"infrastructure":                  "the gateway's Deployment and Service are meshc's",
	"allowedListeners":                "a gateway has its listeners in one place",
	"defaultScope":                    "a route names its gateways",
	"tls.backend":                     "a gateway shows the certificate of its identity in the mesh",
	"tls.frontend":                    "roots are in a Secret: tls: clientCertificates",
	"listeners[].tls.options":         "the language has minVersion and clientCertificates",
	"listeners[].tls.certificateRefs": "a listener has one certificate; name a listener for each host",
	"listeners[].allowedRoutes.kinds": "a listener's protocol says which routes it takes",
}

// gateway is a Gateway.
type gateway struct {
	object    *foreign.Object
	listeners []*listener
}

// listener is where a Gateway takes connections, with the routes that are attached to it.
type listener struct {
	object *foreign.Object
	index  int
	name   string
	host   string
	from   gatewayv1.RouteNamespaces
	spec   *spec.Listener
	routes []attached
	more   []*spec.Listener // for other names in the handshake
}

// attached is a route of HTTP at a listener, for the hosts of both.
type attached struct {
	object *foreign.Object
	hosts  []string
}

func (m *importer) readGateways() {
	for _, o := range m.of("Gateway") {
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
			m.listener(g, i, &d.Listeners[i], roots)
		}
		m.Left(o, "spec", &d, gatewayReasons)
	}
}

func frontend(d *gatewayv1.GatewaySpec) *gatewayv1.FrontendTLSConfig {
	if d.TLS == nil {
		return nil
	}
	return d.TLS.Frontend
}

func (m *importer) listener(g *gateway, i int, d *gatewayv1.Listener, roots map[gatewayv1.PortNumber]*gatewayv1.FrontendTLSValidation) {
	at := []string{"spec", "listeners", strconv.Itoa(i)}
	port := foreign.Take(&d.Port)
	l := &listener{object: g.object, index: i, name: string(foreign.Take(&d.Name)), host: string(or(foreign.Take(&d.Hostname), "")), spec: &spec.Listener{Port: spec.Written(int(port))}}
	if l.host != "" {
		l.spec.Hosts = spec.WrittenAll(l.host)
	}
	if d.AllowedRoutes != nil {
		if namespaces := foreign.Take(&d.AllowedRoutes.Namespaces); namespaces != nil {
			l.from = *namespaces
		}
	}
	why := ""
	passthrough := d.TLS != nil && or(d.TLS.Mode, gatewayv1.TLSModeTerminate) == gatewayv1.TLSModePassthrough
	switch protocol := foreign.Take(&d.Protocol); {
	case protocol == gatewayv1.HTTPProtocolType:
	case protocol == gatewayv1.HTTPSProtocolType && !passthrough:
		why = m.terminates(g, d, l, roots[port])
	case protocol == gatewayv1.TLSProtocolType && passthrough:
		l.spec.Protocol = spec.Written("tls")
	case protocol == gatewayv1.TLSProtocolType:
		l.spec.Protocol = spec.Written("tcp")
		why = m.terminates(g, d, l, roots[port])
	case protocol == gatewayv1.TCPProtocolType:
		l.spec.Protocol = spec.Written("tcp")
	default:
		why = fmt.Sprintf("meshc does not know the protocol %q", protocol)
	}
	if d.TLS != nil {
		d.TLS.Mode = nil
	}
	if why != "" {
		m.NotCarried(g.object, why+", and the listener is left out", at...)
		*d = gatewayv1.Listener{}
		return
	}
	g.listeners = append(g.listeners, l)
}

// terminates has the listener end TLS; what it says is why it cannot.
func (m *importer) terminates(g *gateway, d *gatewayv1.Listener, l *listener, roots *gatewayv1.FrontendTLSValidation) string {
	namespace := g.object.Metadata.Namespace
	if d.TLS == nil || len(d.TLS.CertificateRefs) == 0 {
		return "it has no certificate"
	}
	ref := d.TLS.CertificateRefs[0]
	if or(ref.Kind, "Secret") != "Secret" || or(ref.Group, "") != "" || string(or(ref.Namespace, gatewayv1.Namespace(namespace))) != namespace {
		return "its certificate is no Secret in the gateway's own namespace"
	}
	if foreign.NameOf(string(ref.Name)) != string(ref.Name) {
		return strconv.Quote(string(ref.Name)) + " is no name of the language"
	}
	d.TLS.CertificateRefs[0] = gatewayv1.SecretObjectReference{}
	l.spec.TLS = &spec.ListenerTLS{Secret: spec.Written(string(ref.Name))}
	if roots == nil {
		return ""
	}
	if len(roots.CACertificateRefs) != 1 || roots.CACertificateRefs[0].Kind != "Secret" || string(or(roots.CACertificateRefs[0].Namespace, gatewayv1.Namespace(namespace))) != namespace {
		return "its clients show certificates, whose roots are no Secret in the gateway's own namespace"
	}
	l.spec.TLS.ClientCertificates = &spec.ClientCertificates{Secret: spec.Written(string(roots.CACertificateRefs[0].Name))}
	if roots.Mode == gatewayv1.AllowInsecureFallback {
		l.spec.TLS.ClientCertificates.Optional = spec.Written(true)
	}
	return ""
}

// takesFrom reports whether routes of a namespace may be attached to the listener.
func (m *importer) takesFrom(l *listener, namespace string) bool {
	switch or(l.from.From, gatewayv1.NamespacesFromSame) {
	case gatewayv1.NamespacesFromAll:
		return true
	case gatewayv1.NamespacesFromSame:
		return namespace == l.object.Metadata.Namespace
	case gatewayv1.NamespacesFromSelector:
		selector, err := metav1.LabelSelectorAsSelector(l.from.Selector)
		if err != nil {
			return false
		}
		own := labels.Set{corev1.LabelMetadataName: namespace}
		for _, o := range foreign.Of(m.objects, "", "Namespace") {
			if o.Metadata.Name == namespace {
				maps.Copy(own, o.Metadata.Labels)
			}
		}
		return selector.Matches(own)
	}
	return false
}

// finishGateways attaches the routes, and makes a gateway of each Gateway.
func (m *importer) finishGateways() {
	for _, kind := range routeKinds {
		for _, o := range m.of(kind) {
			m.attach(o)
		}
	}
	for _, kind := range []string{"TLSRoute", "TCPRoute"} {
		for _, o := range m.of(kind) {
			m.attachStream(o)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.gateways)) {
		g := m.gateways[name]
		for _, l := range g.listeners {
			m.redirectListener(g, l)
		}
		m.gateway(g)
	}
}

// redirectListener makes a listener that does nothing but redirect to https one that redirects to the
// listener with TLS.
func (m *importer) redirectListener(g *gateway, l *listener) {
	secure := slices.IndexFunc(g.listeners, func(other *listener) bool {
		return other.spec.TLS != nil && !other.spec.Protocol.IsSet()
	})
	if secure < 0 || l.spec.TLS != nil || len(l.routes) != 1 || !slices.Equal(l.routes[0].hosts, []string{l.host}) {
		return
	}
	routes := m.candidates(l.routes[0].object, nil)
	if len(routes) != 1 || len(routes[0].routes) != 1 {
		return
	}
	port := g.listeners[secure].spec.Port
	r := *routes[0].routes[0]
	if r.Match != nil || r.Redirect == nil || r.Redirect.Scheme.Value != "https" || r.Redirect.Status.Value != http.StatusMovedPermanently ||
		r.Redirect.Port.IsSet() && r.Redirect.Port.Value != port.Value || !r.Redirect.Port.IsSet() && port.Value != 443 {
		return
	}
	rest := *r.Redirect
	rest.Scheme, rest.Status, rest.Port = spec.Field[string]{}, spec.Field[int]{}, spec.Field[int]{}
	if rest == (spec.Redirect{}) {
		l.spec.RedirectTo, l.routes = spec.Written(foreign.NameOf(g.listeners[secure].name)), nil
	}
}

// gateway is a gateway of the mesh for a Gateway.
func (m *importer) gateway(g *gateway) {
	out := &spec.Gateway{Namespace: spec.Written(g.object.Metadata.Namespace), Listeners: map[string]*spec.Listener{}, Uses: map[string]*spec.Use{}}
	var serving []*listener // by routes
	var unused []string     // whose requests others must not take
	for _, l := range g.listeners {
		at := []string{"spec", "listeners", strconv.Itoa(l.index)}
		byRoutes := !l.spec.Protocol.IsSet() && !l.spec.RedirectTo.IsSet()
		switch {
		case l.spec.Protocol.IsSet() && l.spec.To == nil:
			m.NotCarried(g.object, "no route says where its connections go, and the listener is left out", at...)
			continue
		case byRoutes && len(l.routes) == 0:
			m.NotCarried(g.object, "no route is attached to it, and the listener is left out", at...)
			unused = append(unused, l.host)
			continue
		case byRoutes:
			serving = append(serving, l)
		}
		for _, one := range append([]*spec.Listener{l.spec}, l.more...) {
			out.Listeners[foreign.Free(out.Listeners, foreign.NameOf(l.name))] = one
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
	taken := map[string]bool{}
	for name := range m.Repository.Services {
		taken[name] = true
	}
	for name := range m.Repository.Gateways {
		taken[name] = true
	}
	m.Repository.Gateways[foreign.Free(taken, foreign.NameOf(g.object.Metadata.Name))] = out
}

// place is where routes hold: for a host, at listeners, by their names; "" for all.
type place struct{ host, listeners string }

// routes are those of listeners, each for the hosts and the listeners that it is attached to.
func (m *importer) routes(listeners []*listener, unused []string) []*spec.Route {
	byPlace := map[place][]*candidate{}
	at := map[*foreign.Object]map[string][]string{} // listeners by host
	var objects []*foreign.Object
	for _, l := range listeners {
		for _, a := range l.routes {
			if at[a.object] == nil {
				at[a.object] = map[string][]string{}
				objects = append(objects, a.object)
			}
			for _, host := range a.hosts {
				at[a.object][host] = append(at[a.object][host], foreign.NameOf(l.name))
			}
		}
	}
	for _, o := range objects {
		for host, names := range at[o] {
			p := place{host: host}
			for _, l := range listeners { // it need not be said where all that answer for the host have it
				if _, meets := foreign.Intersect(l.host, host); meets && !slices.Contains(names, foreign.NameOf(l.name)) {
					p.listeners = strings.Join(names, " ")
				}
			}
			byPlace[p] = append(byPlace[p], m.candidates(o, nil)...)
		}
	}
	var hosts []foreign.Hosted
	for _, p := range slices.SortedFunc(maps.Keys(byPlace), func(a, b place) int {
		return cmp.Or(strings.Compare(a.host, b.host), strings.Compare(b.listeners, a.listeners))
	}) {
		hosts = append(hosts, foreign.Hosted{Host: p.host, Listeners: strings.Fields(p.listeners), Routes: m.ordered(byPlace[p])})
	}
	for _, host := range unused {
		if host != "" && !slices.ContainsFunc(hosts, func(h foreign.Hosted) bool { return h.Host == host }) {
			hosts = append(hosts, foreign.Hosted{Host: host})
		}
	}
	return foreign.Routed(hosts)
}
