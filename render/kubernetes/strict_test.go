package kubernetes

import (
	"bytes"
	"path"
	"regexp"
	"strings"
	"testing"

	certmanager "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/meshc/meshc/render/manifest"
	"github.com/meshc/meshc/render/manifest/manifesttest"
)

// objects reads every document into its own Go type, which must know all of its
// fields.
func objects(t *testing.T, files []manifest.File) []any {
	t.Helper()
	kinds := map[string]any{
		"v1 Namespace":                                    &corev1.Namespace{},
		"v1 ServiceAccount":                               &corev1.ServiceAccount{},
		"v1 Service":                                      &corev1.Service{},
		"v1 ConfigMap":                                    &corev1.ConfigMap{},
		"apps/v1 Deployment":                              &appsv1.Deployment{},
		"networking.k8s.io/v1 NetworkPolicy":              &networkingv1.NetworkPolicy{},
		"policy/v1 PodDisruptionBudget":                   &policyv1.PodDisruptionBudget{},
		"v1 Secret":                                       &corev1.Secret{},
		"rbac.authorization.k8s.io/v1 ClusterRole":        &rbacv1.ClusterRole{},
		"rbac.authorization.k8s.io/v1 Role":               &rbacv1.Role{},
		"rbac.authorization.k8s.io/v1 RoleBinding":        &rbacv1.RoleBinding{},
		"rbac.authorization.k8s.io/v1 ClusterRoleBinding": &rbacv1.ClusterRoleBinding{},
		"autoscaling/v2 HorizontalPodAutoscaler":          &autoscalingv2.HorizontalPodAutoscaler{},
		"cert-manager.io/v1 Certificate":                  &certmanager.Certificate{},
		"kustomize.config.k8s.io/v1beta1 Kustomization":   &manifest.Kustomization{},
		"kustomize.config.k8s.io/v1alpha1 Component":      &manifest.Kustomization{},
		"meshc.dev/v1 CertificateParameters":              nil,
	}
	var out []any
	for _, f := range files {
		for _, document := range manifesttest.Documents(t, f) {
			kind := manifesttest.Kind(t, document)
			into, known := kinds[kind]
			if !known {
				t.Errorf("%s has a %s", f.Path, kind)
				continue
			}
			if into != nil {
				out = append(out, manifesttest.Decode(t, document, into))
			}
		}
	}
	return out
}

func TestEveryFieldIsKnown(t *testing.T) {
	for _, tags := range [][]string{nil, {"delivery=static", "issuer=file"}, {"issuer=embedded"}} {
		if n := len(objects(t, render(t, manifesttest.Mesh(t, tags...)))); n < 30 {
			t.Errorf("%v: only %d objects", tags, n)
		}
	}
}

// TestNoNoise: fields that the cluster writes, and secrets, are in no file.
func TestNoNoise(t *testing.T) {
	noise := regexp.MustCompile(`(?m)^( *status:|.*creationTimestamp|.*: null$|.*PRIVATE KEY|kind: Secret$)`)
	for _, f := range render(t, manifesttest.Mesh(t)) {
		if found := noise.Find(f.Data); found != nil {
			t.Errorf("%s has %q", f.Path, found)
		}
		if !bytes.HasPrefix(f.Data, []byte(manifest.Header)) {
			t.Errorf("%s has no header", f.Path)
		}
		if path.Clean(f.Path) != f.Path || strings.HasPrefix(f.Path, "/") || strings.HasPrefix(f.Path, "..") {
			t.Errorf("path %q", f.Path)
		}
	}
}

func TestNamesAreValid(t *testing.T) {
	label := regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	subdomain := regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
	long := 0
	for _, o := range objects(t, own(render(t, manifesttest.Mesh(t)))) {
		switch o := o.(type) {
		case *corev1.Service:
			if !label.MatchString(o.Name) {
				t.Errorf("Service %q", o.Name)
			}
			if len(o.Name) == 63 {
				long++
			}
		case interface{ GetName() string }:
			if name := o.GetName(); !subdomain.MatchString(name) || len(name) > 253 {
				t.Errorf("%T %q", o, name)
			}
		}
	}
	if long != 1 {
		t.Errorf("%d names were shortened", long)
	}
}
