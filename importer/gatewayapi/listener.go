package gatewayapi

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

// listener is where a Gateway takes connections, with the routes that are attached to it.
type listener struct {
	object *importer.Object
	index  int
	name   string
	called string // in the mesh
	host   string
	from   gatewayv1.RouteNamespaces
	spec   *spec.Listener
	routes []attached
	more   []*spec.Listener // for other names in the handshake
}

// attached is a route of HTTP at a listener, for the hosts of both.
type attached struct {
	object *importer.Object
	hosts  []string
}

func frontend(d *gatewayv1.GatewaySpec) *gatewayv1.FrontendTLSConfig {
	if d.TLS == nil {
		return nil
	}
	return d.TLS.Frontend
}

// listener reads a listener of a Gateway, or of a ListenerSet of it.
func (m *reader) listener(g *gateway, o *importer.Object, i int, d *gatewayv1.Listener,
	roots map[gatewayv1.PortNumber]*gatewayv1.FrontendTLSValidation,
) {
	at := []string{"spec", "listeners", strconv.Itoa(i)}
	port := importer.Take(&d.Port)
	l := &listener{
		object: o, index: i, name: string(importer.Take(&d.Name)),
		host: string(valueOr(importer.Take(&d.Hostname), "")), spec: &spec.Listener{Port: spec.Written(int(port))},
	}
	if l.host != "" {
		l.spec.Hosts = spec.WrittenAll(l.host)
	}
	if d.AllowedRoutes != nil {
		if namespaces := importer.Take(&d.AllowedRoutes.Namespaces); namespaces != nil {
			l.from = *namespaces
		}
	}
	why := ""
	passthrough := d.TLS != nil && valueOr(d.TLS.Mode, gatewayv1.TLSModeTerminate) == gatewayv1.TLSModePassthrough
	switch protocol := importer.Take(&d.Protocol); {
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
		m.NotCarried(o, why+", and the listener is left out", at...)
		*d = gatewayv1.Listener{}
		return
	}
	for _, other := range g.listeners {
		if other.object != o && other.spec.Port == l.spec.Port && other.host == l.host {
			m.NotCarried(o, "listener "+other.name+" of "+other.object.String()+" has the port and the host already", at...)
			return
		}
	}
	taken := map[string]bool{}
	for _, other := range g.listeners {
		taken[other.called] = true
	}
	l.called = importer.Free(taken, importer.NameOf(l.name))
	g.listeners = append(g.listeners, l)
}

// terminates configures the listener to terminate TLS. It returns the reason if that is not possible.
func (m *reader) terminates(g *gateway, d *gatewayv1.Listener, l *listener,
	roots *gatewayv1.FrontendTLSValidation,
) string {
	namespace := g.object.Metadata.Namespace
	if d.TLS == nil || len(d.TLS.CertificateRefs) == 0 {
		return "it has no certificate"
	}
	ref := d.TLS.CertificateRefs[0]
	if valueOr(ref.Kind, "Secret") != "Secret" || valueOr(ref.Group, "") != "" ||
		string(valueOr(ref.Namespace, gatewayv1.Namespace(namespace))) != namespace {
		return "its certificate is not a Secret in the gateway's own namespace"
	}
	if importer.NameOf(string(ref.Name)) != string(ref.Name) {
		return strconv.Quote(string(ref.Name)) + " is not a valid name in the spec"
	}
	d.TLS.CertificateRefs[0] = gatewayv1.SecretObjectReference{}
	l.spec.TLS = &spec.ListenerTLS{Secret: spec.Written(string(ref.Name))}
	if roots == nil {
		return ""
	}
	if len(roots.CACertificateRefs) != 1 || importer.NameOf(string(roots.CACertificateRefs[0].Name)) !=
		string(roots.CACertificateRefs[0].Name) ||
		string(valueOr(roots.CACertificateRefs[0].Namespace, gatewayv1.Namespace(namespace))) != namespace {
		return "its clients show certificates, whose roots are not in one object in the gateway's own namespace"
	}
	if ref := roots.CACertificateRefs[0]; ref.Kind != "Secret" {
		m.NotCarried(g.object, fmt.Sprintf("the roots of its clients' certificates are in a %s: write a Secret %s with its "+
			"ca.crt", ref.Kind, ref.Name), "spec", "tls", "frontend")
	}
	l.spec.TLS.ClientCertificates = &spec.ClientCertificates{
		Secret: spec.Written(string(roots.CACertificateRefs[0].Name)),
	}
	if roots.Mode == gatewayv1.AllowInsecureFallback {
		l.spec.TLS.ClientCertificates.Optional = spec.Written(true)
		m.NotCarried(g.object, "clients may come without a certificate, and one that shows another is refused", "spec",
			"tls", "frontend")
	}
	return ""
}

// takesFrom reports whether routes of a namespace may be attached to the listener.
func (m *reader) takesFrom(l *listener, namespace string) bool {
	return m.inNamespaces(string(valueOr(l.from.From, gatewayv1.NamespacesFromSame)), l.from.Selector,
		l.object.Metadata.Namespace, namespace)
}

// inNamespaces reports whether a namespace is among those that a Gateway or a listener of the namespace own lets in.
func (m *reader) inNamespaces(from string, selector *metav1.LabelSelector, own, namespace string) bool {
	switch gatewayv1.FromNamespaces(from) {
	case gatewayv1.NamespacesFromAll:
		return true
	case gatewayv1.NamespacesFromSame:
		return namespace == own
	case gatewayv1.NamespacesFromSelector:
		chosen, err := metav1.LabelSelectorAsSelector(selector)
		if err != nil {
			return false
		}
		has := labels.Set{corev1.LabelMetadataName: namespace}
		for _, o := range importer.Of(m.objects, "", "Namespace") {
			if o.Metadata.Name == namespace {
				maps.Copy(has, o.Metadata.Labels)
			}
		}
		return chosen.Matches(has)
	}
	return false
}

// redirectListener converts a listener that only redirects to https into one that redirects to the listener with TLS.
func (m *reader) redirectListener(g *gateway, l *listener) {
	secure := slices.IndexFunc(g.listeners, func(other *listener) bool {
		return other.spec.TLS != nil && !other.spec.Protocol.IsSet()
	})
	if secure < 0 || l.spec.TLS != nil || slices.ContainsFunc(g.listeners, func(other *listener) bool {
		return other != l && other.spec.Port == l.spec.Port // it is one with that
	}) || len(l.routes) != 1 || !slices.Equal(l.routes[0].hosts, []string{l.host}) {
		return
	}
	routes := m.candidates(l.routes[0].object, nil, edge{})
	if len(routes) != 1 || len(routes[0].routes) != 1 {
		return
	}
	port := g.listeners[secure].spec.Port
	r := *routes[0].routes[0]
	if r.Match != nil || r.Redirect == nil || r.Redirect.Scheme.Value != "https" ||
		r.Redirect.Status.Value != http.StatusMovedPermanently ||
		r.Redirect.Port.IsSet() && r.Redirect.Port.Value != port.Value ||
		!r.Redirect.Port.IsSet() && port.Value != 443 {
		return
	}
	rest := *r.Redirect
	rest.Scheme, rest.Status, rest.Port = spec.Field[string]{}, spec.Field[int]{}, spec.Field[int]{}
	if rest == (spec.Redirect{}) {
		l.spec.RedirectTo, l.routes = spec.Written(g.listeners[secure].called), nil
	}
}
