package gatewayapi

import (
	"slices"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// grant is a ReferenceGrant: what may be referred to in its namespace, and from where.
type grant struct {
	namespace string
	gatewayv1.ReferenceGrantSpec
}

// readGrants reads the ReferenceGrants. The references that they permit are carried over.
func (m *reader) readGrants() {
	for _, o := range m.objectsOf("ReferenceGrant") {
		g := grant{namespace: o.Metadata.Namespace}
		if m.Decode(o, "spec", &g.ReferenceGrantSpec) {
			m.grants = append(m.grants, g)
		}
	}
}

// granted reports whether an object of the Gateway API may refer to an object of the core in another namespace.
func (m *reader) granted(fromKind, fromNamespace, toKind, toNamespace, toName string) bool {
	return fromNamespace == toNamespace || slices.ContainsFunc(m.grants, func(g grant) bool {
		return g.namespace == toNamespace &&
			slices.ContainsFunc(g.From, func(f gatewayv1.ReferenceGrantFrom) bool {
				return f.Group == group && string(f.Kind) == fromKind && string(f.Namespace) == fromNamespace
			}) &&
			slices.ContainsFunc(g.To, func(t gatewayv1.ReferenceGrantTo) bool {
				return t.Group == "" && string(t.Kind) == toKind && (t.Name == nil || string(*t.Name) == toName)
			})
	})
}

// valueOr is what a pointer points to, or the default.
func valueOr[T any](p *T, value T) T {
	if p != nil {
		return *p
	}
	return value
}
