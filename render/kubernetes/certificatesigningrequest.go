package kubernetes

import (
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/certificates"
	"github.com/meshc/meshc/render/manifest"
)

const (
	approverName = "meshc-approver"
	approverBase = "approver.yaml"
)

// parametersOfServer has what the control plane asks for.
func parametersOfServer() corev1.Volume {
	return corev1.Volume{
		Name: parametersVolume,
		VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: parametersName},
		}},
	}
}

const parametersName = ir.ServerName + ".certificate"

// approval lets the pods of the mesh ask, and runs who approves what is their own identity: it stands
// apart from meshc serve, which needs a certificate itself.
func approval(m *ir.Mesh) ([]any, error) {
	system := m.SystemNamespace()
	parameters, err := certificates.ServerParameters(&m.Settings)
	if err != nil {
		return nil, err
	}
	requests := func(resource string) []string { return []string{"certificatesigningrequests" + resource} }
	group := []string{certificatesv1.GroupName}
	ask := []rbacv1.PolicyRule{{APIGroups: group, Resources: requests(""), Verbs: []string{"create", "get"}}}
	approve := []rbacv1.PolicyRule{
		{APIGroups: group, Resources: requests(""), Verbs: []string{"get", "list", "watch"}},
		{APIGroups: group, Resources: requests("/approval"), Verbs: []string{"update"}},
		{
			APIGroups: group, Resources: []string{"signers"}, ResourceNames: []string{m.Certificates.Issuer.Signer},
			Verbs: []string{"approve"},
		},
	}
	own := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: approverName, Namespace: system}}
	no := false
	account := &corev1.ServiceAccount{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"},
		ObjectMeta: approverMeta(m), AutomountServiceAccountToken: &no,
	}
	configs := []rbacv1.PolicyRule{{
		APIGroups: []string{""}, Resources: []string{"configmaps"},
		Verbs: []string{"list"},
	}}
	return []any{
		manifest.Object(&corev1.ConfigMap{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, ObjectMeta: meshMeta(&m.Settings, system,
				parametersName),
			Data: map[string]string{parametersFile: string(parameters)},
		}),
		manifest.Object(account),
		clusterRole(m, "requests", ask), clusterRoleBinding(m, "requests", askers(m)),
		clusterRole(m, "approval", approve), clusterRoleBinding(m, "approval", own),
		manifest.Object(&rbacv1.Role{
			TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "Role"},
			ObjectMeta: approverMeta(m), Rules: configs,
		}),
		manifest.Object(&rbacv1.RoleBinding{
			TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "RoleBinding"},
			ObjectMeta: approverMeta(m),
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: approverName}, Subjects: own,
		}),
		manifest.Object(approver(m)),
		manifest.Object(policy(approverMeta(m), approverPods(), nil, serverEgressRules(&m.Settings))),
	}, nil
}

// askers are the accounts of the mesh's pods.
func askers(m *ir.Mesh) []rbacv1.Subject {
	out := serverAccount(m)
	add := func(namespace, account string) {
		s := rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: account}
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	for _, s := range m.Services {
		if s.Workload.InCluster() {
			add(s.Namespace, s.Account)
		}
	}
	for _, g := range m.Gateways {
		add(g.Namespace, g.Account)
	}
	return out
}

func approverPods() map[string]string { return map[string]string{labelName: approverName} }

func approverMeta(m *ir.Mesh) metav1.ObjectMeta {
	meta := meshMeta(&m.Settings, m.SystemNamespace(), approverName)
	meta.Labels = merged(meta.Labels, approverPods())
	return meta
}

func clusterRole(m *ir.Mesh, name string, rules []rbacv1.PolicyRule) any {
	return manifest.Object(&rbacv1.ClusterRole{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRole"},
		ObjectMeta: meshMeta(&m.Settings, "", m.SystemNamespace()+"-certificate-"+name),
		Rules:      rules,
	})
}

func clusterRoleBinding(m *ir.Mesh, name string, subjects []rbacv1.Subject) any {
	name = m.SystemNamespace() + "-certificate-" + name
	return manifest.Object(&rbacv1.ClusterRoleBinding{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRoleBinding"},
		ObjectMeta: meshMeta(&m.Settings, "", name),
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects:   subjects,
	})
}

// approver is the Deployment that approves.
func approver(m *ir.Mesh) *appsv1.Deployment {
	d := replicated(approverMeta(m), approverPods(), serverUser, &m.Server.Pods)
	yes := true
	d.Spec.Template.Spec.ServiceAccountName, d.Spec.Template.Spec.AutomountServiceAccountToken = approverName, &yes
	d.Spec.Template.Spec.Containers = []corev1.Container{{
		Name:  "approver",
		Image: m.Images.Meshc,
		Args: []string{
			"certs", "approve",
			"--signer=" + m.Certificates.Issuer.Signer,
			"--kubernetes-api=" + apiServer,
			fmt.Sprintf("--kubernetes-namespace=%s", m.SystemNamespace()),
		},
		Resources:       resources("10m", "64Mi", "1Gi"),
		SecurityContext: unprivileged(serverUser),
	}}
	return d
}
