package kubernetes

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshc/meshc/compiler/ir"
)

// serviceIngress lets the peers of allow in, each on the ports that are open to
// it. Peers with the same ports share a rule. Peers of which only the identity is
// known may be anywhere, or where the rule wants them to come from; but gateways, where their clients must come from
// there.
func serviceIngress(scope ir.Scope) []networkingv1.NetworkPolicyIngressRule {
	s := scope.Service
	open := map[string]map[int]bool{} // by peer; the ports by their number in s.Ports
	peers := map[string]*networkingv1.NetworkPolicyPeer{}
	for i := range s.Allow {
		rule := &s.Allow[i]
		if rule.Audit {
			continue
		}
		for _, peer := range ruleCallers(rule, scope.ClientGateways) {
			for key, p := range networkPeers(&peer, rule.IPRanges) {
				if open[key] == nil {
					open[key], peers[key] = map[int]bool{}, p
				}
				for n := range s.Ports {
					if rule.Covers(s.Ports[n].Name) && !s.Ports[n].Open {
						open[key][n] = true
					}
				}
			}
		}
	}
	for n := range s.Ports {
		if s.Ports[n].Open {
			if open[anywhere] == nil {
				open[anywhere] = map[int]bool{}
			}
			open[anywhere][n] = true
			peers[anywhere] = nil
		}
	}
	rules := map[string]*networkingv1.NetworkPolicyIngressRule{}
	for _, key := range slices.Sorted(maps.Keys(peers)) {
		numbers := slices.Sorted(maps.Keys(open[key]))
		group := fmt.Sprint(peers[key] == nil, numbers)
		rule := rules[group]
		if rule == nil {
			rule = &networkingv1.NetworkPolicyIngressRule{}
			for _, n := range numbers {
				rule.Ports = append(rule.Ports, tcp(s.InstancePort(&s.Ports[n])))
			}
			rules[group] = rule
		}
		if p := peers[key]; p != nil {
			rule.From = append(rule.From, *p)
		}
	}
	var out []networkingv1.NetworkPolicyIngressRule
	for _, group := range slices.Sorted(maps.Keys(rules)) {
		out = append(out, *rules[group])
	}
	return out
}

// ruleCallers are the callers of a rule, with the gateways among them that it asks for their clients' addresses.
func ruleCallers(rule *ir.Rule, gateways []ir.Peer) []ir.Peer {
	out := slices.Clone(rule.From)
	for _, g := range gateways {
		if len(rule.IPRanges) > 0 && rule.Names(&g) {
			out = append(out, g)
		}
	}
	return out
}

// anywhere is the key of peers that may be anywhere.
const anywhere = "anywhere"

// networkPeers are where a caller may be, each by a key of its own; nil for anywhere.
func networkPeers(p *ir.Peer, ranges []netip.Prefix) map[string]*networkingv1.NetworkPolicyPeer {
	switch p.Kind {
	case ir.KindService, ir.KindGateway:
		peer := podPeer(p.Namespace, pods(p.Kind, p.Name))
		return map[string]*networkingv1.NetworkPolicyPeer{fmt.Sprint(p.Kind, "\x00", p.Namespace, "\x00",
			p.Name): &peer}
	case ir.KindNamespace:
		return map[string]*networkingv1.NetworkPolicyPeer{"namespace\x00" + p.Namespace: {
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{labelNamespace: p.Namespace}},
		}}
	}
	if len(ranges) == 0 {
		return map[string]*networkingv1.NetworkPolicyPeer{anywhere: nil}
	}
	out := map[string]*networkingv1.NetworkPolicyPeer{}
	for _, prefix := range ranges {
		out["range\x00"+prefix.String()] = &networkingv1.NetworkPolicyPeer{
			IPBlock: &networkingv1.IPBlock{CIDR: prefix.String()},
		}
	}
	return out
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
