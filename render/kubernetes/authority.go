package kubernetes

import (
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/manifest"
)

const (
	// AuthorityName is the Secret, in the control plane's namespace, in which all servers keep the
	// embedded authority.
	AuthorityName = "meshc-authority"
	// secretType tells it from Secrets that pods mount.
	secretType = "meshc.dev/authority" // #nosec G101 -- a type
)

// trustName is the ConfigMap, in each namespace of the mesh, with the roots of the embedded authority
// under the key ca.crt. The dot keeps it apart from the ConfigMaps that teams name.
func trustName(s *ir.Settings) string { return s.Name + ".trust" }

// embedded is what the embedded authority needs in a cluster. The Secret and the ConfigMaps are
// applied empty: meshc serve fills them, as it may then change these and make none.
func embedded(m *ir.Mesh, namespaces []string) []any {
	own := m.SystemNamespace()
	secret := &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: meshMeta(&m.Settings, own, AuthorityName),
		Type:       secretType,
	}
	secret.Annotations = map[string]string{AnnotationPrune: "disabled"}
	out := []any{manifest.Object(secret)}
	for _, namespace := range append([]string{own}, namespaces...) {
		out = append(out, manifest.Object(&corev1.ConfigMap{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
			ObjectMeta: meshMeta(&m.Settings, namespace, trustName(&m.Settings)),
		}))
	}
	review := []rbacv1.PolicyRule{{
		APIGroups: []string{"authentication.k8s.io"}, Resources: []string{"tokenreviews"},
		Verbs: []string{"create"},
	}}
	return append(out, clusterRole(m, "review", review), clusterRoleBinding(m, "review", serverAccount(m)))
}

// authorityRules let meshc serve keep the authority; of Secrets it sees that one alone.
func authorityRules(s *ir.Settings) []rbacv1.PolicyRule {
	if !asksServer(s) {
		return nil
	}
	return []rbacv1.PolicyRule{{
		APIGroups: []string{""}, Resources: []string{"secrets"},
		ResourceNames: []string{AuthorityName}, Verbs: []string{"get", "list", "watch", "update"},
	}}
}

// trustRules let meshc serve publish the trust bundle.
func trustRules(s *ir.Settings) []rbacv1.PolicyRule {
	if !asksServer(s) {
		return nil
	}
	return []rbacv1.PolicyRule{{
		APIGroups: []string{""}, Resources: []string{"configmaps"},
		ResourceNames: []string{trustName(s)}, Verbs: []string{"get", "patch"},
	}}
}
