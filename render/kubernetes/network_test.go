package kubernetes

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	"pgregory.net/rapid"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/meshc/meshc/compiler/ir"
)

// TestNetworkPoliciesAreTheEdges: between pods, what the policies of both ends let
// through is exactly what the mesh says.
func TestNetworkPoliciesAreTheEdges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := randomMesh(t)
		var want, out, in []string
		for _, s := range m.Services {
			for _, use := range s.Uses {
				callee := m.Service(use.To)
				for _, name := range use.Ports {
					want = append(want, edge(s.Namespace, s.Name, callee.Namespace, callee.Name,
						callee.InstancePort(callee.Port(name))))
				}
			}
			p := networkPolicy(m.ServiceScope(s))
			if len(p.Spec.PolicyTypes) != 2 {
				t.Fatalf("%s: the policy is of types %v", s.Name, p.Spec.PolicyTypes)
			}
			for _, rule := range p.Spec.Egress {
				for _, peer := range rule.To {
					if namespace, name, ok := podOf(peer); ok {
						for _, port := range rule.Ports {
							out = append(out, edge(s.Namespace, s.Name, namespace, name, uint16(port.Port.IntVal)))
						}
					}
				}
				if len(rule.To) == 0 {
					t.Fatalf("%s may call anybody: %v", s.Name, rule)
				}
			}
			for _, rule := range p.Spec.Ingress {
				for _, peer := range rule.From {
					namespace, name, ok := podOf(peer)
					if !ok || len(rule.Ports) == 0 {
						t.Fatalf("%s lets in %v", s.Name, rule)
					}
					for _, port := range rule.Ports {
						in = append(in, edge(namespace, name, s.Namespace, s.Name, uint16(port.Port.IntVal)))
					}
				}
				if len(rule.From) == 0 {
					t.Fatalf("%s lets everybody in: %v", s.Name, rule)
				}
			}
		}
		slices.Sort(want)
		slices.Sort(out)
		slices.Sort(in)
		if !slices.Equal(out, want) {
			t.Fatalf("egress opens\n%s\nthe mesh has\n%s", strings.Join(out, "\n"), strings.Join(want, "\n"))
		}
		if !slices.Equal(in, want) {
			t.Fatalf("ingress opens\n%s\nthe mesh has\n%s", strings.Join(in, "\n"), strings.Join(want, "\n"))
		}
	})
}

// TestRulesOfOpenPortsOpenNoOther: a rule that is about no port but those that are open anyway adds nothing, where an
// ingress rule without ports would open all.
func TestRulesOfOpenPortsOpenNoOther(t *testing.T) {
	caller := ir.Peer{Kind: ir.KindService, Name: "a", Namespace: "a"}
	s := &ir.Service{
		Upstream: ir.Upstream{
			Name: "s", Namespace: "a", Workload: ir.Workload{Pods: &ir.Pods{Kind: ir.Deployment, Name: "s"}},
			Ports: []ir.Port{{Name: "web", Number: 80, Target: 8080, Protocol: ir.HTTP, Open: true}},
			UDP:   []ir.Port{{Name: "stats", Number: 8125, Target: 8125, Protocol: ir.UDP}},
		},
	}
	s.Allow = []ir.Rule{
		{From: []ir.Peer{caller}, Ports: []string{"web"}},
		{From: []ir.Peer{caller}, Ports: []string{"stats"}, Until: time.Now()},
	}
	m := &ir.Mesh{Settings: ir.Settings{Name: "m", TrustDomain: "m.example"}, Services: []*ir.Service{s}}
	got := serviceIngress(m.ServiceScope(s))
	if len(got) != 1 || len(got[0].Ports) != 1 || got[0].Ports[0].Port.IntVal != 8080 || len(got[0].From) != 0 {
		t.Errorf("%v, want port 8080 for everybody and nothing else", got)
	}
}

// TestNamesLeadNowhereForbidden: a policy lets a caller out to what it calls by name or by a file wherever that is, but
// for what no proxy may be led to.
func TestNamesLeadNowhereForbidden(t *testing.T) {
	port := ir.Port{Name: "p", Number: 80, Target: 80, Protocol: ir.TCP}
	use := ir.Use{To: "callee", Ports: []string{"p"}}
	for name, rules := range map[string][]networkingv1.NetworkPolicyEgressRule{
		"an external": externalEgress(ir.Scope{}, &ir.External{
			Hosts: []string{"api.example.com"},
			Ports: []ir.Port{port},
		}, use.Ports),
		"by DNS": upstreamEgress(&ir.Upstream{
			Ports:    []ir.Port{port},
			Workload: ir.Workload{DNS: "api.example.com"},
		}, use.Ports),
		"by a file": upstreamEgress(&ir.Upstream{Ports: []ir.Port{port}, Workload: ir.Workload{File: "api.json"}},
			use.Ports),
	} {
		for address, want := range map[string]bool{
			"192.0.2.1": true, "10.0.0.1": true, "2001:db8::1": true, "fd12::1": true,
			"127.0.0.1": false, "::1": false, "169.254.169.254": false, "169.254.0.1": false, "fe80::1": false,
			"febf::1": false, "fd00:ec2::254": false, "168.63.129.16": false,
			"64:ff9b::a9fe:a9fe": false, "2002:a9fe:a9fe::1": false, "2001:0:1::5601:5601": false,
			"64:ff9b::a00:1": true,
		} {
			if got := letsOut(t, rules, netip.MustParseAddr(address), 80); got != want {
				t.Errorf("%s: %s: %t", name, address, got)
			}
			if letsOut(t, rules, netip.MustParseAddr(address), 81) {
				t.Errorf("%s: %s: another port", name, address)
			}
		}
	}
}

// letsOut reports whether rules let out to a port of an address that is not a pod's.
func letsOut(t *testing.T, rules []networkingv1.NetworkPolicyEgressRule, to netip.Addr, port int32) bool {
	t.Helper()
	for _, rule := range rules {
		if !slices.ContainsFunc(rule.Ports, func(p networkingv1.NetworkPolicyPort) bool {
			return p.Port.IntVal == port
		}) {
			continue
		}
		if len(rule.To) == 0 {
			return true
		}
		for _, peer := range rule.To {
			if peer.IPBlock == nil || !netip.MustParsePrefix(peer.IPBlock.CIDR).Contains(to) {
				continue
			}
			if !slices.ContainsFunc(peer.IPBlock.Except,
				func(except string) bool { return netip.MustParsePrefix(except).Contains(to) }) {
				return true
			}
		}
	}
	return false
}

func edge(fromNamespace, from, toNamespace, to string, port uint16) string {
	return fmt.Sprintf("%s/%s -> %s/%s:%d", fromNamespace, from, toNamespace, to, port)
}

// podOf is the service that a peer selects.
func podOf(p networkingv1.NetworkPolicyPeer) (namespace, name string, ok bool) {
	if p.PodSelector == nil || p.NamespaceSelector == nil {
		return "", "", false
	}
	name, ok = p.PodSelector.MatchLabels["meshc.dev/service"]
	return p.NamespaceSelector.MatchLabels["kubernetes.io/metadata.name"], name, ok
}

// randomMesh has Deployments that call one another. Who is allowed is who calls,
// spread over rules in all the ways that say the same.
func randomMesh(t *rapid.T) *ir.Mesh {
	m := &ir.Mesh{Settings: ir.Settings{Name: "m", TrustDomain: "m.example", Delivery: ir.DeliveryXDS}}
	td := spiffeid.RequireTrustDomainFromString(m.TrustDomain)
	for i := range rapid.IntRange(1, 5).Draw(t, "services") {
		name := fmt.Sprintf("s%d", i)
		namespace := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "namespace")
		s := &ir.Service{
			Upstream: ir.Upstream{
				Name: name, Namespace: namespace, Identity: spiffeid.RequireFromSegments(td, "ns", namespace, "sa",
					name),
				Workload: ir.Workload{Pods: &ir.Pods{Kind: ir.Deployment, Name: name}}, Explicit: rapid.Bool().
						Draw(t, "explicit"),
			},
			Account: name,
			Proxy:   ir.Proxy{Server: "meshc.m-system.svc.cluster.local:15010"},
		}
		for p := range rapid.IntRange(1, 3).Draw(t, "ports") {
			s.Ports = append(s.Ports, ir.Port{
				Name: fmt.Sprintf("p%d", p), Number: uint16(80 + p),
				Target: uint16(8080 + p), Protocol: ir.TCP,
			})
		}
		m.Services = append(m.Services, s)
	}
	for _, caller := range m.Services {
		for _, callee := range m.Services {
			var ports []string
			for _, p := range callee.Ports {
				if caller != callee && rapid.Bool().Draw(t, "calls") {
					ports = append(ports, p.Name)
				}
			}
			if len(ports) == 0 {
				continue
			}
			caller.Uses = append(caller.Uses, ir.Use{To: callee.Name, Ports: ports})
			peer := caller.Peer()
			switch {
			case len(ports) == len(callee.Ports) && rapid.Bool().Draw(t, "all ports"):
				callee.Allow = append(callee.Allow, ir.Rule{From: []ir.Peer{peer}})
			case rapid.Bool().Draw(t, "a rule for each port"):
				for _, port := range ports {
					callee.Allow = append(callee.Allow, ir.Rule{From: []ir.Peer{peer}, Ports: []string{port}})
				}
			default:
				callee.Allow = append(callee.Allow, ir.Rule{
					From: []ir.Peer{peer}, Ports: ports,
					Methods: []string{"GET"},
				}, ir.Rule{From: []ir.Peer{peer}, Ports: ports[:1]})
			}
		}
	}
	return m
}
