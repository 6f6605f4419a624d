package kubernetes

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/meshc/meshc/compiler/ir"
)

// networkPolicy is the mesh's edges once more, one layer below the proxies: it
// holds even for what gets around them. Whatever it does not name is refused.
//
// The cluster enforces it outside the pod, before a connection is redirected, so
// it names the applications' ports and never the proxy's own. Kubelet's probes
// are let in by Kubernetes itself.
func networkPolicy(scope ir.Scope) *networkingv1.NetworkPolicy {
	ingress := gatewayIngress(scope.Gateway)
	if scope.Service != nil {
		ingress = serviceIngress(scope)
	}
	ingress = append(ingress, scraperIngress(scope.Settings, scope.Member().Proxy.MetricsPort)...)
	return policy(meta(scope, policyName(scope.Member().Name)), podsOf(scope), ingress, egress(scope))
}

// policyName has a dot, which keeps it apart from the NetworkPolicies that teams name.
func policyName(member string) string { return ir.PlainName(member) + ".mesh" }

func policy(m metav1.ObjectMeta, pods map[string]string, in []networkingv1.NetworkPolicyIngressRule,
	out []networkingv1.NetworkPolicyEgressRule,
) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy"},
		ObjectMeta: m,
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: pods},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
			Ingress:     in, Egress: out,
		},
	}
}

func podPeer(namespace string, pods map[string]string) networkingv1.NetworkPolicyPeer {
	return networkingv1.NetworkPolicyPeer{
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{labelNamespace: namespace}},
		PodSelector:       &metav1.LabelSelector{MatchLabels: pods},
	}
}

func addressPeer(address string) networkingv1.NetworkPolicyPeer {
	ip := netip.MustParseAddr(address)
	return networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: netip.PrefixFrom(ip, ip.BitLen()).
		String()}}
}

// policyPort is where callers reach a port of instances that are pods.
func policyPort(u *ir.Upstream, p *ir.Port) networkingv1.NetworkPolicyPort {
	if p.Protocol == ir.UDP {
		return port(corev1.ProtocolUDP, p.Target)
	}
	return tcp(u.InstancePort(p))
}

func tcp(number uint16) networkingv1.NetworkPolicyPort { return port(corev1.ProtocolTCP, number) }

func port(protocol corev1.Protocol, number uint16) networkingv1.NetworkPolicyPort {
	p := intstr.FromInt32(int32(number))
	return networkingv1.NetworkPolicyPort{Protocol: &protocol, Port: &p}
}
