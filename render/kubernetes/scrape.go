package kubernetes

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshc/meshc/compiler/ir"
)

// scraperIngress lets the scraper in on the port where metrics are read, of a member's proxy or of the control plane.
func scraperIngress(settings *ir.Settings, port uint16) []networkingv1.NetworkPolicyIngressRule {
	s := settings.ReadFrom()
	if s == nil {
		return nil
	}
	return []networkingv1.NetworkPolicyIngressRule{{
		From: scraperPeers(s), Ports: []networkingv1.NetworkPolicyPort{tcp(port)},
	}}
}

// scraperPeers are where the scraper may be; nil for anywhere.
func scraperPeers(s *ir.Scraper) []networkingv1.NetworkPolicyPeer {
	if s.Namespace != "" { // a peer has no range besides; proxies hold to it
		return []networkingv1.NetworkPolicyPeer{{
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{labelNamespace: s.Namespace}},
			PodSelector:       podSelector(s.Pods),
		}}
	}
	var out []networkingv1.NetworkPolicyPeer
	for _, prefix := range s.IPRanges {
		out = append(out, networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: prefix.String()}})
	}
	return out
}

func podSelector(labels map[string]string) *metav1.LabelSelector {
	if len(labels) == 0 {
		return nil
	}
	return &metav1.LabelSelector{MatchLabels: labels}
}

// metricsPorts are the port of the proxy's container where the scraper finds its metrics, by its name.
func metricsPorts(scope ir.Scope) []corev1.ContainerPort {
	if scope.Settings.ReadFrom() == nil {
		return nil
	}
	return []corev1.ContainerPort{{
		Name: ir.MetricsPortName, ContainerPort: int32(scope.Member().Proxy.MetricsPort), Protocol: corev1.ProtocolTCP,
	}}
}
