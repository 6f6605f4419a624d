package kubernetes

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/manifest"
)

// gateway is everything of a gateway, which has no team's Deployment: it is
// Envoy itself.
func gateway(scope ir.Scope, proxy Proxy) ([]manifest.File, error) {
	g := scope.Gateway
	config, err := bootstrapConfig(scope, proxy)
	if err != nil {
		return nil, err
	}
	objects := []any{manifest.Object(serviceAccount(scope)), manifest.Object(config)}
	if len(g.Listeners) > 0 {
		objects = append(objects, manifest.Object(loadBalancer(scope)))
	}
	if g.Egress != nil {
		objects = append(objects, manifest.Object(egressService(scope)))
	}
	objects = append(objects, manifest.Object(scaled(gatewayDeployment(scope, proxy), g.Replicas)))
	if a := autoscaler(scope); a != nil {
		objects = append(objects, manifest.Object(a))
	}
	objects = append(objects, manifest.Object(networkPolicy(scope)), manifest.Object(disruptionBudget(scope)))
	file, err := manifest.YAMLFile(memberFile(g.Namespace, g.Name), objects...)
	return []manifest.File{file}, err
}

// gatewayPort is a port of a gateway's pods.
type gatewayPort struct {
	name     string
	number   uint16
	protocol corev1.Protocol
}

// gatewayPorts are those of the listeners, each once; the name is that of the first
// listener there.
func gatewayPorts(g *ir.Gateway) []gatewayPort {
	var out []gatewayPort
	add := func(p gatewayPort) {
		if !slices.ContainsFunc(out,
			func(o gatewayPort) bool { return o.number == p.number && o.protocol == p.protocol }) {
			out = append(out, p)
		}
	}
	for _, l := range g.Listeners {
		add(gatewayPort{l.Name, l.Port, corev1.ProtocolTCP})
	}
	for _, l := range g.Listeners {
		if l.HTTP3 {
			add(gatewayPort{ir.Label(l.Name + "-udp"), l.Port, corev1.ProtocolUDP})
		}
	}
	return out
}

// loadBalancer gives the gateway an address outside the cluster.
func loadBalancer(scope ir.Scope) *corev1.Service {
	g := scope.Gateway
	service := &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: meta(scope, g.PlainName()),
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Selector: podsOf(scope)},
	}
	service.Annotations = g.Pods.ServiceAnnotations
	for _, p := range gatewayPorts(g) {
		service.Spec.Ports = append(service.Spec.Ports, corev1.ServicePort{
			Name: p.name, Protocol: p.protocol, Port: int32(p.number), TargetPort: intstr.FromInt32(int32(p.number)),
		})
	}
	return service
}

func gatewayDeployment(scope ir.Scope, proxy Proxy) *appsv1.Deployment {
	g := scope.Gateway
	container := proxyContainer(scope, firstPort(g))
	for _, p := range gatewayPorts(g) {
		container.Ports = append(container.Ports, corev1.ContainerPort{
			ContainerPort: int32(p.number),
			Protocol:      p.protocol,
		})
	}
	if g.Egress != nil {
		container.Ports = append(container.Ports, corev1.ContainerPort{
			ContainerPort: int32(g.Egress.Port),
			Protocol:      corev1.ProtocolTCP,
		})
	}
	// Envoy ends at once when it is told to. Until then it goes on serving those
	// who have not heard yet that this pod is going.
	container.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 15}}}

	settings := g.Pods
	settings.Labels = merged(g.Proxy.PodLabels, settings.Labels)
	settings.Annotations = merged(g.Proxy.PodAnnotations, settings.Annotations)
	d := replicated(meta(scope, g.PlainName()), podsOf(scope), proxyUser, &settings)
	pod := &d.Spec.Template
	pod.Annotations[annotationBootstrap] = bootstrapHash(proxy.Bootstrap)
	pod.Spec.ServiceAccountName = g.Account
	if asksForCertificates(scope.Settings) {
		pod.Spec.InitContainers = []corev1.Container{requester(scope.Settings, g.Proxy.Server,
			g.Proxy.CertificateDirectory, bootstrapVolume, bootstrapDir, proxyUser)}
	}
	pod.Spec.Containers = []corev1.Container{container}
	pod.Spec.Volumes = proxyVolumes(scope, proxy, groupReads)
	for _, l := range g.Listeners {
		if l.Port < 1024 {
			// A safe sysctl (Kubernetes, Pod Security Standards): no capability is
			// needed for a low port then.
			pod.Spec.SecurityContext.Sysctls = []corev1.Sysctl{{
				Name:  "net.ipv4.ip_unprivileged_port_start",
				Value: "0",
			}}
		}
	}
	return d
}

// replicated is a Deployment of two pods, which never has fewer while it is renewed. Its pods run as the user and where
// the settings say, and have no token.
func replicated(m metav1.ObjectMeta, pods map[string]string, user int64, p *ir.PodSettings) *appsv1.Deployment {
	replicas, none, one, no, yes := int32(2), intstr.FromInt32(0), intstr.FromInt32(1), false, true
	d := &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: m,
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: pods},
			Strategy: appsv1.DeploymentStrategy{
				Type:          appsv1.RollingUpdateDeploymentStrategyType,
				RollingUpdate: &appsv1.RollingUpdateDeployment{MaxUnavailable: &none, MaxSurge: &one},
			},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: m.Labels},
				Spec: corev1.PodSpec{
					AutomountServiceAccountToken: &no,
					SecurityContext: &corev1.PodSecurityContext{
						RunAsNonRoot:   &yes,
						FSGroup:        &user,
						SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
					},
				},
			},
		},
	}
	place(&d.Spec.Template, pods, p)
	return d
}
