package kubernetes

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshc/meshc/compiler/ir"
)

// egress lets the member out to whom it uses, to DNS and to the control plane.
func egress(scope ir.Scope) []networkingv1.NetworkPolicyEgressRule {
	rules := []networkingv1.NetworkPolicyEgressRule{dnsEgress()}
	if scope.Settings.Delivery == ir.DeliveryXDS {
		rules = append(rules, serverEgress(scope))
	}
	if asksKubernetes(scope.Settings) {
		rules = append(rules, apiServerEgress())
	}
	if scope.PassesUndeclared() { // also what no proxy sees, as UDP
		rules = append(rules, networkingv1.NetworkPolicyEgressRule{To: whereNamesLead()})
	}
	for _, use := range scope.Member().Uses {
		switch {
		case !use.External:
			rules = append(rules, upstreamEgress(scope.Upstreams[use.To], use.Reached())...)
		default:
			rules = append(rules, externalEgress(scope, scope.Externals[use.To], use.Reached())...)
		}
	}
	return append(rules, udpEgress(scope)...)
}

func upstreamEgress(u *ir.Upstream, names []string) []networkingv1.NetworkPolicyEgressRule {
	switch w := u.Workload; {
	case len(names) == 0:
		return nil
	case w.InCluster():
		rule := networkingv1.NetworkPolicyEgressRule{To: []networkingv1.NetworkPolicyPeer{podPeer(u.Namespace,
			pods(ir.KindService, u.Name))}}
		for _, name := range names {
			rule.Ports = append(rule.Ports, tcp(u.InstancePort(u.Port(name))))
		}
		return []networkingv1.NetworkPolicyEgressRule{rule}
	case w.DNS != "":
		var ports []networkingv1.NetworkPolicyPort
		for _, name := range names {
			ports = append(ports, tcp(u.Port(name).Number))
		}
		return []networkingv1.NetworkPolicyEgressRule{hostEgress(w.DNS, whereNamesLead(), ports)}
	case w.File != "": // their addresses come while the mesh runs
		rule := networkingv1.NetworkPolicyEgressRule{To: whereNamesLead()}
		for _, name := range names {
			rule.Ports = append(rule.Ports, tcp(u.Port(name).Number))
		}
		return []networkingv1.NetworkPolicyEgressRule{rule}
	default:
		return endpointEgress(w.Endpoints, names)
	}
}

func externalEgress(scope ir.Scope, e *ir.External, names []string) []networkingv1.NetworkPolicyEgressRule {
	if len(names) == 0 {
		return nil
	}
	if v := e.Via; scope.GoesVia(e) {
		return []networkingv1.NetworkPolicyEgressRule{{
			To:    []networkingv1.NetworkPolicyPeer{podPeer(v.Namespace, pods(ir.KindGateway, v.Gateway))},
			Ports: []networkingv1.NetworkPolicyPort{tcp(v.Port)},
		}}
	}
	if len(e.Endpoints) > 0 {
		return endpointEgress(e.Endpoints, names)
	}
	var addressed, named []networkingv1.NetworkPolicyPort
	var places []ir.Place
	var rules []networkingv1.NetworkPolicyEgressRule
	for _, name := range names {
		port := e.Port(name)
		if at, whole := e.Places(port); whole {
			addressed, places = append(addressed, tcp(port.Number)), at
		} else {
			named = append(named, tcp(port.Target))
		}
	}
	if named != nil {
		rules = append(rules, hostEgress(e.Hosts[0], whereNamesLead(), named))
	}
	if addressed != nil {
		rule := networkingv1.NetworkPolicyEgressRule{Ports: addressed}
		for _, p := range places {
			rule.To = append(rule.To, rangePeer(p.Prefix))
		}
		rules = append(rules, rule)
	}
	return rules
}

// rangePeer is a range of addresses without what no proxy may be led to.
func rangePeer(network netip.Prefix) networkingv1.NetworkPolicyPeer {
	block := &networkingv1.IPBlock{CIDR: network.String()}
	for _, f := range ir.ForbiddenWithin(network) {
		block.Except = append(block.Except, f.String())
	}
	return networkingv1.NetworkPolicyPeer{IPBlock: block}
}

func endpointEgress(endpoints []ir.Endpoint, names []string) []networkingv1.NetworkPolicyEgressRule {
	var rules []networkingv1.NetworkPolicyEgressRule
	for i := range endpoints {
		rule := networkingv1.NetworkPolicyEgressRule{To: []networkingv1.NetworkPolicyPeer{
			addressPeer(endpoints[i].Address),
		}}
		for _, name := range names {
			rule.Ports = append(rule.Ports, tcp(endpoints[i].Ports[name]))
		}
		rules = append(rules, rule)
	}
	return rules
}

// whereNamesLead are all addresses but those that no proxy may be led to. Pods are named beside
// them: some networks take the addresses of those for no part of a range.
func whereNamesLead() []networkingv1.NetworkPolicyPeer {
	ranges := map[bool]*networkingv1.IPBlock{true: {CIDR: "0.0.0.0/0"}, false: {CIDR: "::/0"}}
	for _, network := range ir.ForbiddenRanges() {
		block := ranges[network.Addr().Is4()]
		block.Except = append(block.Except, network.String())
	}
	return []networkingv1.NetworkPolicyPeer{
		{NamespaceSelector: &metav1.LabelSelector{}}, {IPBlock: ranges[true]}, {IPBlock: ranges[false]},
	}
}

// hostEgress lets the member out to a host. A NetworkPolicy knows addresses and
// no names, so a host that is a name may be at any of those; nil is everywhere.
func hostEgress(host string, named []networkingv1.NetworkPolicyPeer,
	ports []networkingv1.NetworkPolicyPort,
) networkingv1.NetworkPolicyEgressRule {
	rule := networkingv1.NetworkPolicyEgressRule{To: named, Ports: ports}
	if _, err := netip.ParseAddr(host); err == nil {
		rule.To = []networkingv1.NetworkPolicyPeer{addressPeer(host)}
	}
	return rule
}

const dnsPort = 53

// nodeLocalDNS is where the cache on each node answers (Kubernetes, NodeLocal
// DNSCache).
const nodeLocalDNS = "169.254.20.10"

func dnsEgress() networkingv1.NetworkPolicyEgressRule {
	return networkingv1.NetworkPolicyEgressRule{
		To: []networkingv1.NetworkPolicyPeer{
			podPeer("kube-system", map[string]string{"k8s-app": "kube-dns"}),
			addressPeer(nodeLocalDNS),
		},
		Ports: []networkingv1.NetworkPolicyPort{port(corev1.ProtocolUDP, dnsPort), tcp(dnsPort)},
	}
}

func serverEgress(scope ir.Scope) networkingv1.NetworkPolicyEgressRule {
	host, number, err := net.SplitHostPort(scope.Member().Proxy.Server)
	p, portErr := strconv.ParseUint(number, 10, 16)
	if err != nil || portErr != nil {
		panic(fmt.Sprintf("kubernetes: the linker let the server address %q through", scope.Member().Proxy.Server))
	}
	if host == scope.Settings.ServerHost() {
		return networkingv1.NetworkPolicyEgressRule{
			To:    []networkingv1.NetworkPolicyPeer{podPeer(scope.Settings.SystemNamespace(), serverPods())},
			Ports: serverPolicyPorts(scope.Settings),
		}
	}
	ports := []networkingv1.NetworkPolicyPort{tcp(uint16(p))}
	if asksServer(scope.Settings) {
		ports = append(ports, tcp(enrollPort))
	}
	return hostEgress(host, nil, ports)
}
