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
	ports := slices.Concat(s.Ports, s.UDP)
	doors := doorsOf(scope, ports)
	rules := map[string]*networkingv1.NetworkPolicyIngressRule{}
	for _, key := range slices.Sorted(maps.Keys(doors)) {
		d := doors[key]
		numbers := slices.Sorted(maps.Keys(d.open))
		if len(numbers) == 0 {
			continue // a rule without ports would open all
		}
		group := fmt.Sprint(d.from == nil, numbers)
		rule := rules[group]
		if rule == nil {
			rule = &networkingv1.NetworkPolicyIngressRule{}
			for _, n := range numbers {
				rule.Ports = append(rule.Ports, policyPort(&s.Upstream, &ports[n]))
			}
			rules[group] = rule
		}
		if d.from != nil {
			rule.From = append(rule.From, *d.from)
		}
	}
	var out []networkingv1.NetworkPolicyIngressRule
	for _, group := range slices.Sorted(maps.Keys(rules)) {
		out = append(out, *rules[group])
	}
	return out
}

// door is what is open to a peer; to everybody, where that is nil.
type door struct {
	from *networkingv1.NetworkPolicyPeer
	open map[int]bool // by the number of the port in a list
}

// doorsOf are the doors of a service, by a key for each peer.
func doorsOf(scope ir.Scope, ports []ir.Port) map[string]*door {
	doors := map[string]*door{}
	to := func(key string, from *networkingv1.NetworkPolicyPeer) *door {
		if doors[key] == nil {
			doors[key] = &door{from, map[int]bool{}}
		}
		return doors[key]
	}
	for i := range scope.Service.Allow {
		rule := &scope.Service.Allow[i]
		if rule.Audit {
			continue
		}
		for _, peer := range ruleCallers(rule, scope.ClientGateways) {
			for key, from := range networkPeers(&peer, rule.IPRanges) {
				d := to(key, from)
				for n := range ports {
					if rule.Covers(ports[n].Name) && opens(rule, &peer, &ports[n]) {
						d.open[n] = true
					}
				}
			}
		}
	}
	for n := range ports {
		if ports[n].Open {
			to(anywhere, nil).open[n] = true
		}
		for _, path := range scope.UDPTaken { // pods were let in by their labels
			if ports[n].Protocol == ir.UDP && ports[n].Target == path.Port && path.Other != "" && !path.Pods {
				host := rangePeer(path.Addresses)
				to("range\x00"+path.Addresses.String(), &host).open[n] = true
			}
		}
	}
	return doors
}

// opens reports whether a rule opens a port that it covers to one of its peers.
func opens(rule *ir.Rule, peer *ir.Peer, port *ir.Port) bool {
	if port.Protocol == ir.UDP {
		return rule.OpensUDP() && peer.SendsUDP()
	}
	return !port.Open
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
