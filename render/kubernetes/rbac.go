package kubernetes

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/manifest"
)

// serverRoles let meshc serve read what it serves: in its own namespace the parts of
// the compiled mesh, in those of members the EndpointSlices, and the Services where connections are told apart by their
// addresses; and write its report. With the embedded
// authority it keeps that, and publishes the trust bundle.
func serverRoles(m *ir.Mesh, namespaces []string) []any {
	own := m.SystemNamespace()
	out := []any{
		role(m, own, slices.Concat([]rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"list", "watch"}},
			{
				APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{RolloutName},
				Verbs: []string{"get", "patch"},
			},
			{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: []string{"list"}},
		}, authorityRules(&m.Settings), trustRules(&m.Settings))),
		roleBinding(m, own),
	}
	addressed := m.Addressed()
	for _, namespace := range namespaces {
		rules := []rbacv1.PolicyRule{{
			APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"},
			Verbs: []string{"list", "watch"},
		}}
		if addressed[namespace] {
			rules = append(rules, rbacv1.PolicyRule{
				APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"list", "watch"},
			})
		}
		out = append(out, role(m, namespace, append(rules, trustRules(&m.Settings)...)), roleBinding(m, namespace))
	}
	return out
}

// roleName tells the Roles of several meshes in one namespace apart.
func roleName(m *ir.Mesh) string { return m.SystemNamespace() + "-" + ir.ServerName }

func role(m *ir.Mesh, namespace string, rules []rbacv1.PolicyRule) any {
	return manifest.Object(&rbacv1.Role{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "Role"},
		ObjectMeta: meshMeta(&m.Settings, namespace, roleName(m)),
		Rules:      rules,
	})
}

func roleBinding(m *ir.Mesh, namespace string) any {
	return manifest.Object(&rbacv1.RoleBinding{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "RoleBinding"},
		ObjectMeta: meshMeta(&m.Settings, namespace, roleName(m)),
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: roleName(m)},
		Subjects:   serverAccount(m),
	})
}

func serverAccount(m *ir.Mesh) []rbacv1.Subject {
	return []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: ir.ServerName, Namespace: m.SystemNamespace()}}
}

// apiServer is the API server's Service, by the only name that is in its certificate
// everywhere.
const apiServer = "https://kubernetes.default.svc"

// serverEgressRules let meshc serve out to the API server.
func serverEgressRules(s *ir.Settings) []networkingv1.NetworkPolicyEgressRule {
	rules := []networkingv1.NetworkPolicyEgressRule{dnsEgress(), apiServerEgress()}
	if asksServer(s) {
		rules = append(rules, networkingv1.NetworkPolicyEgressRule{
			To:    []networkingv1.NetworkPolicyPeer{podPeer(s.SystemNamespace(), serverPods())},
			Ports: []networkingv1.NetworkPolicyPort{tcp(adminPort)},
		})
	}
	return rules
}

// apiServerEgress lets out to the API server. Its address is not known here, so that the
// ports alone bound it: that of its Service, and those that it listens on itself.
func apiServerEgress() networkingv1.NetworkPolicyEgressRule {
	return networkingv1.NetworkPolicyEgressRule{Ports: []networkingv1.NetworkPolicyPort{
		port(corev1.ProtocolTCP, 443), port(corev1.ProtocolTCP, 6443),
	}}
}
