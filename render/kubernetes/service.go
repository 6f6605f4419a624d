package kubernetes

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/meshc/meshc/compiler/ir"
)

// lookedUp reports whether somebody needs the Services of a service. The pods of a Job that nobody calls are of
// interest for their zone alone, where they call a service that prefers near instances.
func lookedUp(scope ir.Scope) bool {
	s := scope.Service
	if k := s.Workload.Pods.Kind; len(s.Ports)+len(s.UDP) > 0 || k != ir.Job && k != ir.CronJob {
		return true
	}
	for _, u := range scope.Upstreams {
		if u.Locality != nil {
			return true
		}
	}
	return false
}

// headless is the Service by which proxies find the pods: all, or those that carry the version's labels. meshc serve
// reads its EndpointSlices, and where there is none its DNS name gives the addresses.
func headless(s *ir.Service, version *ir.Version, scope ir.Scope) *corev1.Service {
	selector, name := podsOf(scope), ""
	if version != nil {
		maps.Copy(selector, version.Labels)
		name = version.Name
	}
	return &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: meta(scope, s.ClusterService(name)),
		Spec: corev1.ServiceSpec{
			ClusterIP: corev1.ClusterIPNone,
			Selector:  selector,
			Ports:     append(servicePorts(&s.Upstream), udpServicePorts(&s.Upstream)...),
		},
	}
}

// outside is the Service by which members in the cluster name one that is
// outside. It has no endpoints: a connection to it is redirected before it would
// need one.
func outside(settings *ir.Settings, u *ir.Upstream) *corev1.Service {
	return &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: meshMeta(settings, u.Namespace, u.PlainName()),
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, Ports: servicePorts(u)},
	}
}

func servicePorts(u *ir.Upstream) []corev1.ServicePort {
	ports := make([]corev1.ServicePort, 0, len(u.Ports))
	for i := range u.Ports {
		p := &u.Ports[i]
		ports = append(ports, corev1.ServicePort{
			Name: p.Name, Protocol: corev1.ProtocolTCP, Port: int32(p.Number),
			TargetPort: intstr.FromInt32(int32(u.InstancePort(p))),
		})
	}
	return ports
}
