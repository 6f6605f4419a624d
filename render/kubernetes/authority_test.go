package kubernetes

import (
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/meshc/meshc/render/manifest/manifesttest"
)

// With the embedded authority nothing that pods mount is left for somebody else to make, and meshc
// serve may touch the one Secret and the ConfigMaps of the roots alone.
func TestEmbeddedAuthority(t *testing.T) {
	m := manifesttest.Mesh(t, "issuer=embedded")
	all := objects(t, own(render(t, m)))
	made := map[string]bool{}
	for _, o := range all {
		switch o := o.(type) {
		case *corev1.ConfigMap:
			made[o.Namespace+"/"+o.Name] = true
			if o.Name == trustName(&m.Settings) && len(o.Data) > 0 {
				t.Errorf("the roots in %s are there before there is an authority", o.Namespace)
			}
		case *corev1.Secret:
			if o.Name != AuthorityName || o.Namespace != m.SystemNamespace() || len(o.Data)+len(o.StringData) > 0 ||
				o.Annotations[AnnotationPrune] != "disabled" {
				t.Errorf("there is the Secret %+v", o)
			}
		}
	}
	for namespace := range LayoutOf(m).Members {
		if !made[namespace+"/"+trustName(&m.Settings)] {
			t.Errorf("pods in %s do not learn whom to trust", namespace)
		}
	}
	pods := 0
	for _, o := range all {
		pod, name := workloadPod(o)
		if pod == nil {
			continue
		}
		pods++
		for _, v := range pod.Volumes {
			if v.Secret != nil {
				t.Errorf("%s mounts the Secret %s, which nobody makes", name, v.Secret.SecretName)
			}
			if v.Name == trustVolume && v.ConfigMap.Name != trustName(&m.Settings) {
				t.Errorf("%s finds the roots in %s", name, v.ConfigMap.Name)
			}
			if v.Name == tokenVolume {
				if token := v.Projected.Sources[0].ServiceAccountToken; len(v.Projected.Sources) != 1 ||
					token.Audience != m.ServerIdentity().String() {
					t.Errorf("%s has a token for %q", name, token.Audience)
				}
			}
		}
		if d, ok := o.(*appsv1.Deployment); ok && d.Namespace == m.SystemNamespace() {
			continue
		}
		asks := slices.IndexFunc(pod.InitContainers, func(c corev1.Container) bool { return c.Name == requesterName })
		if asks < 0 || !slices.Contains(pod.InitContainers[asks].Args,
			"--server=meshc.bazaar-system.svc.cluster.local:15012") {
			t.Errorf("%s does not ask for a certificate", name)
		}
	}
	if pods != 5 {
		t.Errorf("%d pods", pods)
	}
	for _, o := range all {
		for _, rule := range rulesOf(o) {
			if slices.Contains(rule.Resources, "secrets") &&
				(!slices.Equal(rule.ResourceNames, []string{AuthorityName}) || slices.Contains(rule.Verbs, "create")) ||
				strings.Contains(strings.Join(append(append(rule.Verbs, rule.Resources...), rule.APIGroups...), " "),
					"*") {
				t.Errorf("meshc serve may %+v", rule)
			}
		}
	}
}

func rulesOf(o any) []rbacv1.PolicyRule {
	switch o := o.(type) {
	case *rbacv1.Role:
		return o.Rules
	case *rbacv1.ClusterRole:
		return o.Rules
	}
	return nil
}
