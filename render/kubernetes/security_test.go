package kubernetes

import (
	"testing"

	"github.com/meshc/meshc/compiler/ir"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/meshc/meshc/render/manifest/manifesttest"
)

// TestPodSecurity holds each container, whoever issues, to the Pod Security Standard "restricted"; the
// one that redirects is the only exception, and of the least.
func TestPodSecurity(t *testing.T) {
	for _, c := range []struct {
		tags              []string
		checked, redirect int
	}{
		// fruit and kustomization redirect, spices is explicit; then the gateway and the control plane.
		{nil, 7, 2},
		{[]string{"issuer=embedded"}, 11, 2},
		{[]string{"issuer=file", "delivery=static"}, 6, 2},
	} {
		checked, redirects := 0, 0
		for _, o := range objects(t, render(t, manifesttest.Mesh(t, c.tags...))) {
			pod, name := workloadPod(o)
			if pod == nil {
				continue
			}
			for _, v := range pod.Volumes {
				if v.ConfigMap == nil && v.Secret == nil && v.Projected == nil && (v.EmptyDir == nil ||
					v.EmptyDir.Medium != corev1.StorageMediumMemory) {
					t.Errorf("%s: volume %s is %+v", name, v.Name, v)
				}
			}
			if pod.HostNetwork || pod.HostPID || pod.HostIPC {
				t.Errorf("%s is in the host's namespaces", name)
			}
			for _, container := range append(pod.InitContainers, pod.Containers...) {
				checked++
				if restricted(t, name, container) {
					redirects++
				}
			}
		}
		if checked != c.checked || redirects != c.redirect {
			t.Errorf("%v: %d containers, %d of them redirect", c.tags, checked, redirects)
		}
	}
}

// workloadPod is the pod of a workload, or of a patch of one; nil for other objects.
func workloadPod(o any) (*corev1.PodSpec, string) {
	switch w := o.(type) {
	case *appsv1.Deployment:
		return &w.Spec.Template.Spec, w.Name
	case *appsv1.StatefulSet:
		return &w.Spec.Template.Spec, w.Name
	case *appsv1.DaemonSet:
		return &w.Spec.Template.Spec, w.Name
	case *batchv1.Job:
		return &w.Spec.Template.Spec, w.Name
	case *batchv1.CronJob:
		return &w.Spec.JobTemplate.Spec.Template.Spec, w.Name
	}
	return nil, ""
}

// restricted reports whether the container is the one that redirects.
func restricted(t *testing.T, name string, c corev1.Container) (redirects bool) {
	t.Helper()
	s := c.SecurityContext
	if s == nil {
		t.Errorf("%s %s has no security context", name, c.Name)
		return false
	}
	if *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || s.Privileged != nil ||
		s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault ||
		len(s.Capabilities.Drop) != 1 || s.Capabilities.Drop[0] != "ALL" {
		t.Errorf("%s %s: %+v", name, c.Name, s)
	}
	if c.Resources.Requests.Cpu().IsZero() || c.Resources.Limits.Memory().IsZero() {
		t.Errorf("%s %s has no resources", name, c.Name)
	}
	if c.Name == redirectName {
		if len(s.Capabilities.Add) != 1 || s.Capabilities.Add[0] != "NET_ADMIN" || c.Args[0] != "redirect" ||
			c.RestartPolicy != nil {
			t.Errorf("%s %s: %+v", name, c.Name, c)
		}
		return true
	}
	if len(s.Capabilities.Add) != 0 || !*s.RunAsNonRoot || *s.RunAsUser == 0 {
		t.Errorf("%s %s: %+v", name, c.Name, s)
	}
	return false
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
		if token := d.Spec.Template.Spec.AutomountServiceAccountToken; token == nil ||
			*token != (d.Name == ir.ServerName) {
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
