package kubernetes

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/meshc/meshc/compiler/ir"
)

// udpEgress lets the member's datagrams out to the callees whose ports of UDP it uses.
func udpEgress(scope ir.Scope) []networkingv1.NetworkPolicyEgressRule {
	var rules []networkingv1.NetworkPolicyEgressRule
	for _, use := range scope.Member().Uses {
		u := scope.Upstreams[use.To]
		if len(use.UDP) == 0 || use.External || !u.Workload.InCluster() {
			continue
		}
		rule := networkingv1.NetworkPolicyEgressRule{
			To: []networkingv1.NetworkPolicyPeer{podPeer(u.Namespace, pods(ir.KindService, u.Name))},
		}
		for _, name := range use.UDP {
			rule.Ports = append(rule.Ports, policyPort(u, u.UDPPort(name)))
		}
		rules = append(rules, rule)
	}
	for _, path := range scope.UDPSent { // those to pods are known by labels
		if path.Pods {
			continue
		}
		rule := networkingv1.NetworkPolicyEgressRule{
			To:    whereNamesLead(),
			Ports: []networkingv1.NetworkPolicyPort{port(corev1.ProtocolUDP, path.Port)},
		}
		if path.Addresses.IsValid() {
			rule.To = []networkingv1.NetworkPolicyPeer{rangePeer(path.Addresses)}
		}
		rules = append(rules, rule)
	}
	return rules
}

// udpServicePorts are the ports of UDP of a Service that stands for pods. No proxy would lead a datagram elsewhere, so
// a Service without endpoints has none.
func udpServicePorts(u *ir.Upstream) []corev1.ServicePort {
	ports := make([]corev1.ServicePort, 0, len(u.UDP))
	for i := range u.UDP {
		p := &u.UDP[i]
		ports = append(ports, corev1.ServicePort{
			Name: p.Name, Protocol: corev1.ProtocolUDP, Port: int32(p.Number),
			TargetPort: intstr.FromInt32(int32(p.Target)),
		})
	}
	return ports
}
