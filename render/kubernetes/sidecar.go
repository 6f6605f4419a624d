package kubernetes

import (
	"maps"

	corev1 "k8s.io/api/core/v1"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/manifest"
)

// deploymentPatch is the part of a Deployment that a strategic merge patch of a
// team's own changes. The type of k8s.io/api would also put out the fields that
// it must not touch.
type deploymentPatch struct {
	APIVersion string        `json:"apiVersion"`
	Kind       string        `json:"kind"`
	Metadata   patchMetadata `json:"metadata"`
	Spec       struct {
		Template podPatch `json:"template"`
	} `json:"spec"`
}

type patchMetadata struct {
	Name string `json:"name"`
}

type podPatch struct {
	Metadata struct {
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Spec struct {
		ServiceAccountName string             `json:"serviceAccountName"`
		InitContainers     []corev1.Container `json:"initContainers"`
		Volumes            []corev1.Volume    `json:"volumes"`
	} `json:"spec"`
}

// sidecar adds the proxy to the pods of the team's Deployment: a native sidecar,
// which starts before the team's own containers and ends after them, and before
// it the container that redirects their traffic to it.
func sidecar(scope ir.Scope, proxy Proxy) deploymentPatch {
	s := scope.Service
	patch := deploymentPatch{APIVersion: "apps/v1", Kind: "Deployment", Metadata: patchMetadata{Name: s.Workload.Deployment}}
	pod := &patch.Spec.Template
	pod.Metadata.Labels = podsOf(scope)
	pod.Metadata.Annotations = map[string]string{annotationBootstrap: bootstrapHash(proxy.Bootstrap)}
	pod.Spec.ServiceAccountName = s.Account
	pod.Spec.Volumes = proxyVolumes(scope, proxy, allRead)
	if s.Proxy.Interception == ir.InterceptRedirect {
		pod.Spec.InitContainers = append(pod.Spec.InitContainers, redirect(scope))
	}
	container, always := proxyContainer(scope, firstListener(s)), corev1.ContainerRestartPolicyAlways
	container.RestartPolicy = &always
	pod.Spec.InitContainers = append(pod.Spec.InitContainers, container)
	return patch
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
	proxy := scope.Service.Proxy
	root, no := int64(0), false
	security := unprivileged(root)
	security.RunAsNonRoot = &no
	security.Capabilities.Add = []corev1.Capability{"NET_ADMIN"}
	return corev1.Container{
		Name:            "mesh-redirect",
		Image:           scope.Settings.Images.Meshc,
		Args:            redirectArgs(&proxy),
		Resources:       resources("10m", "32Mi", "64Mi"),
		SecurityContext: security,
	}
}

// sidecarComponent is the Kustomize component of a namespace. Each patch finds
// its Deployment by name, whether or not a namespace is written there.
func sidecarComponent(namespace string, services []*ir.Service) (manifest.File, error) {
	patches := make([]manifest.Patch, 0, len(services))
	for _, s := range services {
		patches = append(patches, manifest.Patch{
			Path:   baseName(s.Name),
			Target: manifest.PatchTarget{Group: "apps", Kind: "Deployment", Name: s.Workload.Deployment},
		})
	}
	return manifest.Component(sidecarDir(namespace), patches)
}

// merged is both maps in one.
func merged(a, b map[string]string) map[string]string {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}
