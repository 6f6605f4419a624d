package kubernetes

import (
	"testing"

	"github.com/meshc/meshc/compiler/ir"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/meshc/meshc/render/manifest/manifesttest"
)

// TestPodSecurity holds each container to the Pod Security Standard "restricted";
// the one that redirects is the only exception, and of the least.
func TestPodSecurity(t *testing.T) {
	checked, redirects := 0, 0
	for _, o := range objects(t, render(t, manifesttest.Mesh(t))) {
		d, ok := o.(*appsv1.Deployment)
		if !ok {
			continue
		}
		pod := d.Spec.Template.Spec
		for _, v := range pod.Volumes {
			if v.ConfigMap == nil && v.Secret == nil && v.Projected == nil {
				t.Errorf("%s: volume %s is %+v", d.Name, v.Name, v)
			}
		}
		if pod.HostNetwork || pod.HostPID || pod.HostIPC {
			t.Errorf("%s is in the host's namespaces", d.Name)
		}
		for _, c := range append(pod.InitContainers, pod.Containers...) {
			checked++
			s := c.SecurityContext
			if s == nil {
				t.Errorf("%s %s has no security context", d.Name, c.Name)
				continue
			}
			if *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || s.Privileged != nil ||
				s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault ||
				len(s.Capabilities.Drop) != 1 || s.Capabilities.Drop[0] != "ALL" {
				t.Errorf("%s %s: %+v", d.Name, c.Name, s)
			}
			if c.Resources.Requests.Cpu().IsZero() || c.Resources.Limits.Memory().IsZero() {
				t.Errorf("%s %s has no resources", d.Name, c.Name)
			}
			if c.Name == "mesh-redirect" {
				redirects++
				if len(s.Capabilities.Add) != 1 || s.Capabilities.Add[0] != "NET_ADMIN" || c.Args[0] != "redirect" || c.RestartPolicy != nil {
					t.Errorf("%s %s: %+v", d.Name, c.Name, c)
				}
				continue
			}
			if len(s.Capabilities.Add) != 0 || !*s.RunAsNonRoot || *s.RunAsUser == 0 {
				t.Errorf("%s %s: %+v", d.Name, c.Name, s)
			}
		}
	}
	// fruit and kustomization redirect, spices is explicit; then the gateway and
	// the control plane.
	if checked != 7 || redirects != 2 {
		t.Errorf("%d containers, %d of them redirect", checked, redirects)
	}
}

// Of the mesh's own pods the control plane's alone have a token of the API server.
func TestOwnPodsHaveNoToken(t *testing.T) {
	checked := 0
	for _, o := range objects(t, own(render(t, manifesttest.Mesh(t)))) {
		d, ok := o.(*appsv1.Deployment)
		if !ok || d.Spec.Selector == nil { // a sidecar's patch has none
			continue
		}
		checked++
		if token := d.Spec.Template.Spec.AutomountServiceAccountToken; token == nil || *token != (d.Name == ir.ServerName) {
			t.Errorf("%s: has it a token of the API server?", d.Name)
		}
		for key, value := range d.Spec.Selector.MatchLabels {
			if d.Spec.Template.Labels[key] != value {
				t.Errorf("%s does not select its own pods", d.Name)
			}
		}
	}
	if checked != 2 {
		t.Errorf("%d Deployments", checked)
	}
}
