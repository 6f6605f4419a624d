package kubernetes

import (
	"maps"

	corev1 "k8s.io/api/core/v1"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/manifest"
)

// workloadPatch is the part of a team's own workload that a strategic merge patch
// changes. The types of k8s.io/api would also put out the fields that it must not
// touch.
type workloadPatch struct {
	APIVersion string        `json:"apiVersion"`
	Kind       ir.PodsKind   `json:"kind"`
	Metadata   patchMetadata `json:"metadata"`
	Spec       workloadSpec  `json:"spec"`
}

type patchMetadata struct {
	Name string `json:"name"`
}

// workloadSpec has the template of the pods, or for a CronJob that of its Jobs.
type workloadSpec struct {
	Template    *podPatch `json:"template,omitempty"`
	JobTemplate *jobPatch `json:"jobTemplate,omitempty"`
}

type jobPatch struct {
	Spec workloadSpec `json:"spec"`
}

type podPatch struct {
	Metadata struct {
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations,omitempty"`
	} `json:"metadata"`
	Spec struct {
		ServiceAccountName string             `json:"serviceAccountName"`
		InitContainers     []corev1.Container `json:"initContainers"`
		Volumes            []corev1.Volume    `json:"volumes"`
	} `json:"spec"`
}

// groups are the API groups of the kinds, each in its version v1.
var groups = map[ir.PodsKind]string{
	ir.Deployment: "apps", ir.StatefulSet: "apps", ir.DaemonSet: "apps", ir.Job: "batch", ir.CronJob: "batch",
}

// sidecar adds the proxy to the pods of the team's workload.
func sidecar(scope ir.Scope, proxy Proxy) workloadPatch {
	w := scope.Service.Workload.Pods
	patch := workloadPatch{APIVersion: groups[w.Kind] + "/v1", Kind: w.Kind, Metadata: patchMetadata{Name: w.Name}}
	pod := sidecarPod(scope, proxy)
	if w.Kind == ir.CronJob {
		patch.Spec.JobTemplate = &jobPatch{Spec: workloadSpec{Template: pod}}
	} else {
		patch.Spec.Template = pod
	}
	return patch
}

// sidecarPod adds the proxy to a pod: a native sidecar, which starts before the
// team's own containers and ends after them, and before it the container that
// redirects their traffic to it.
func sidecarPod(scope ir.Scope, proxy Proxy) *podPatch {
	s, pod := scope.Service, &podPatch{}
	pod.Metadata.Labels = merged(s.Proxy.PodLabels, podsOf(scope))
	pod.Metadata.Annotations = merged(s.Proxy.PodAnnotations, nil)
	if s.Workload.Pods.Kind != ir.Job {
		// The pods of a Job start once, and its template cannot be changed.
		pod.Metadata.Annotations[annotationBootstrap] = bootstrapHash(proxy.Bootstrap)
	}
	pod.Spec.ServiceAccountName = s.Account
	pod.Spec.Volumes = proxyVolumes(scope, proxy, allRead)
	if s.Proxy.Interception == ir.InterceptRedirect {
		pod.Spec.InitContainers = append(pod.Spec.InitContainers, redirect(scope))
	}
	if asksForCertificates(scope.Settings) {
		pod.Spec.InitContainers = append(pod.Spec.InitContainers, requester(scope.Settings, s.Proxy.Server,
			s.Proxy.CertificateDirectory, bootstrapVolume, bootstrapDir, proxyUser))
	}
	container, always := proxyContainer(scope, firstListener(s)), corev1.ContainerRestartPolicyAlways
	container.RestartPolicy = &always
	pod.Spec.InitContainers = append(pod.Spec.InitContainers, container)
	return pod
}

// firstListener is a port where the service's proxy takes connections, or 0 where
// it takes none.
func firstListener(s *ir.Service) uint16 {
	if s.Proxy.Interception == ir.InterceptRedirect {
		return s.Proxy.InboundPort
	}
	if len(s.Ports) == 0 {
		return 0
	}
	return s.Ports[0].Number
}

// redirect sets the rules of the pod's own network and ends. It alone is root,
// as only root's processes keep a capability.
func redirect(scope ir.Scope) corev1.Container {
	root, no := int64(0), false
	security := unprivileged(root)
	security.RunAsNonRoot = &no
	security.Capabilities.Add = []corev1.Capability{"NET_ADMIN"}
	return corev1.Container{
		Name:  redirectName,
		Image: scope.Settings.Images.Meshc,
		Args:  redirectArgs(scope),
		Env: []corev1.EnvVar{
			fieldVariable("POD_IP", "status.podIP"),
			fieldVariable("HOST_IP", "status.hostIP"),
		},
		Resources:       resources("10m", "32Mi", "64Mi"),
		SecurityContext: security,
	}
}

// sidecarComponent is the Kustomize component of a namespace. Each patch finds
// its workload by name, whether or not a namespace is written there.
func sidecarComponent(namespace string, services []*ir.Service) (manifest.File, error) {
	patches := make([]manifest.Patch, 0, len(services))
	for _, s := range services {
		w := s.Workload.Pods
		for _, name := range s.PodsNames() {
			patches = append(patches, manifest.Patch{
				Path:   baseName(s.Name),
				Target: manifest.PatchTarget{Group: groups[w.Kind], Kind: string(w.Kind), Name: name},
			})
		}
	}
	return manifest.Component(sidecarDir(namespace), patches)
}

// merged is both maps in one; of what is in both the second counts.
func merged(a, b map[string]string) map[string]string {
	out := make(map[string]string, len(a)+len(b))
	maps.Copy(out, a)
	maps.Copy(out, b)
	return out
}
