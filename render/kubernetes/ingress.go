package kubernetes

import (
	"fmt"
	"maps"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/meshc/meshc/compiler/ir"
)

// serviceIngress lets the peers of allow in, each on the ports that are open to
// it. Peers with the same ports share a rule.
func serviceIngress(s *ir.Service) []networkingv1.NetworkPolicyIngressRule {
	type caller struct {
		kind            ir.MemberKind
		namespace, name string
	}
	open := map[caller]map[int]bool{} // by the number of the port in s.Ports
	for i := range s.Allow {
		rule := &s.Allow[i]
		for _, peer := range rule.From {
			c := caller{peer.Kind, peer.Namespace, peer.Name}
			if open[c] == nil {
				open[c] = map[int]bool{}
			}
			for n := range s.Ports {
				if rule.Covers(s.Ports[n].Name) {
					open[c][n] = true
				}
			}
		}
	}
	peers := map[string][]networkingv1.NetworkPolicyPeer{}
	ports := map[string][]networkingv1.NetworkPolicyPort{}
	callers := slices.SortedFunc(maps.Keys(open), func(a, b caller) int {
		return slices.Compare([]string{string(a.kind), a.namespace, a.name}, []string{string(b.kind), b.namespace, b.name})
	})
	for _, c := range callers {
		numbers := slices.Sorted(maps.Keys(open[c]))
		key := fmt.Sprint(numbers)
		peers[key] = append(peers[key], podPeer(c.namespace, pods(c.kind, c.name)))
		if ports[key] == nil {
			for _, n := range numbers {
				ports[key] = append(ports[key], tcp(s.InstancePort(&s.Ports[n])))
			}
		}
	}
	var rules []networkingv1.NetworkPolicyIngressRule
	for _, key := range slices.Sorted(maps.Keys(peers)) {
		rules = append(rules, networkingv1.NetworkPolicyIngressRule{From: peers[key], Ports: ports[key]})
	}
	return rules
}

// gatewayIngress lets everybody in on the listeners.
func gatewayIngress(g *ir.Gateway) []networkingv1.NetworkPolicyIngressRule {
	if g == nil {
		return nil
	}
	var ports []networkingv1.NetworkPolicyPort
	for _, p := range gatewayPorts(g) {
		port := tcp(p.number)
		port.Protocol = &p.protocol
		ports = append(ports, port)
	}
	rules := egressIngress(g)
	if ports != nil {
		rules = append(rules, networkingv1.NetworkPolicyIngressRule{Ports: ports})
	}
	return rules
}
