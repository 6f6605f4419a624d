package kubernetes

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/meshc/meshc/compiler/ir"
)

// firstPort is one that the gateway listens on.
func firstPort(g *ir.Gateway) uint16 {
	if len(g.Listeners) > 0 {
		return g.Listeners[0].Port
	}
	return g.Egress.Port
}

// egressService is where members reach a gateway's egress: inside the cluster alone.
func egressService(scope ir.Scope) *corev1.Service {
	g := scope.Gateway
	return &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: meta(scope, g.EgressService()),
		Spec: corev1.ServiceSpec{Selector: podsOf(scope), Ports: []corev1.ServicePort{{
			Name: "egress", Protocol: corev1.ProtocolTCP, Port: int32(g.Egress.Port),
			TargetPort: intstr.FromInt32(int32(g.Egress.Port)),
		}}},
	}
}

// egressIngress lets the callers of externals in on a gateway's egress.
func egressIngress(g *ir.Gateway) []networkingv1.NetworkPolicyIngressRule {
	if g.Egress == nil {
		return nil
	}
	var peers []networkingv1.NetworkPolicyPeer
	known := map[ir.Peer]bool{}
	for _, e := range g.Egress.Externals {
		for _, p := range e.Callers {
			if !known[p] {
				known[p] = true
				peers = append(peers, podPeer(p.Namespace, pods(p.Kind, p.Name)))
			}
		}
	}
	if peers == nil {
		return nil
	}
	return []networkingv1.NetworkPolicyIngressRule{{
		From:  peers,
		Ports: []networkingv1.NetworkPolicyPort{tcp(g.Egress.Port)},
	}}
}
