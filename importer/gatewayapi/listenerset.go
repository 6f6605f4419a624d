package gatewayapi

import (
	"encoding/json"
	"slices"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/meshc/meshc/importer"
)

// listenerSets reads the listeners that ListenerSets add to a Gateway, where it lets them. Of two for the same port and
// host the Gateway's own holds, then that of the older set, then that of the set whose name comes first (ListenerSet,
// "Listener precedence").
func (m *reader) listenerSets(g *gateway, allowed *gatewayv1.AllowedListeners,
	roots map[gatewayv1.PortNumber]*gatewayv1.FrontendTLSValidation,
) {
	objects := slices.Clone(m.objectsOf("ListenerSet"))
	slices.SortStableFunc(objects, func(a, b *importer.Object) int {
		if c := a.Metadata.CreationTimestamp.Compare(b.Metadata.CreationTimestamp.Time); c != 0 {
			return c
		}
		return strings.Compare(a.Metadata.Namespace+"/"+a.Metadata.Name, b.Metadata.Namespace+"/"+b.Metadata.Name)
	})
	for _, o := range objects {
		var d gatewayv1.ListenerSetSpec
		if !(&importer.Mesh{}).DecodePart(o, "spec", &d) || parentOf(o, d) != g.object.Metadata.Namespace+"/"+
			g.object.Metadata.Name {
			continue
		}
		m.Decode(o, "spec", &d)
		d.ParentRef = gatewayv1.ParentGatewayReference{}
		if allowed == nil || allowed.Namespaces == nil || !m.inNamespaces(
			string(valueOr(allowed.Namespaces.From, gatewayv1.NamespacesFromNone)), allowed.Namespaces.Selector,
			g.object.Metadata.Namespace, o.Metadata.Namespace) {
			m.NotCarried(o, g.object.String()+" does not allow it: spec.allowedListeners")
			continue
		}
		for i := range d.Listeners {
			var one gatewayv1.Listener // has the same fields
			if text, err := json.Marshal(d.Listeners[i]); err != nil || json.Unmarshal(text, &one) != nil {
				continue
			}
			m.listener(g, o, i, &one, roots)
			d.Listeners[i] = gatewayv1.ListenerEntry{}
		}
		m.Left(o, "spec", &d, gatewayReasons)
	}
}

// parentOf is the Gateway of a ListenerSet, NAMESPACE/NAME.
func parentOf(o *importer.Object, d gatewayv1.ListenerSetSpec) string {
	namespace := string(valueOr(d.ParentRef.Namespace, gatewayv1.Namespace(o.Metadata.Namespace)))
	return namespace + "/" + string(d.ParentRef.Name)
}

// ofSet is the gateway of the listeners of a ListenerSet, NAMESPACE/NAME; nil for none.
func (m *reader) ofSet(name string) *gateway {
	for _, g := range m.gateways {
		if slices.ContainsFunc(g.listeners, func(l *listener) bool { return l.owner() == "ListenerSet "+name }) {
			return g
		}
	}
	return nil
}

// owner is the kind and the name of the object that a listener stands in.
func (l *listener) owner() string {
	return l.object.Kind + " " + l.object.Metadata.Namespace + "/" + l.object.Metadata.Name
}
