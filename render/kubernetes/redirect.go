package kubernetes

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
)

// redirectArgs have meshc redirect a pod's connections to its proxy, and keep the proxy from
// what no answer of a name server may lead it to.
func redirectArgs(scope ir.Scope) []string {
	p := &scope.Service.Proxy
	args := []string{
		"redirect",
		fmt.Sprintf("--inbound-port=%d", p.InboundPort),
		fmt.Sprintf("--outbound-port=%d", p.OutboundPort),
		fmt.Sprintf("--proxy-user=%d", proxyUser),
		fmt.Sprintf("--admin-port=%d", p.AdminPort),
		"--pod-ip=$(POD_IP)", "--host-ip=$(HOST_IP)",
	}
	args = appendList(args, "local-ports", localPorts(scope))
	args = appendList(args, "own-ports", ownPorts(scope))
	left := append(slices.Clone(p.ExcludeInboundPorts), p.HealthPort)
	if p.MetricsPort != 0 {
		args = append(args, "--admin-source="+ir.MetricsSource)
		if scope.Settings.ReadFrom() != nil { // else it is on loopback, which is never redirected
			left = append(left, p.MetricsPort)
		}
	}
	args = appendList(args, "exclude-inbound-ports", left)
	args = appendList(args, "exclude-outbound-ports", p.ExcludeOutboundPorts)
	args = appendList(args, "exclude-outbound-ranges", p.ExcludeOutboundRanges)
	args = appendList(args, "udp-inbound", ir.UDPFlags(scope.UDPTaken))
	sent := scope.UDPSent
	if scope.PassesUndeclared() {
		sent = []ir.UDPPath{{}}
	}
	return appendList(args, "udp-outbound", ir.UDPFlags(sent))
}

// ownPorts are the ports of the pod's own service that it calls by its proxy, NUMBER or NUMBER:TARGET.
func ownPorts(scope ir.Scope) []string {
	s := scope.Service
	use := scope.Use(s.Name)
	if use == nil {
		return nil
	}
	var out []string
	for _, name := range use.Reached() {
		port := s.Port(name)
		own := fmt.Sprint(port.Number)
		if target := s.InstancePort(port); target != port.Number {
			own += fmt.Sprint(":", target)
		}
		out = append(out, own)
	}
	return out
}

// localPorts are those on loopback that the proxy of a pod connects to: the application's,
// a name server's, and those of callees that the spec has there. Sorted.
func localPorts(scope ir.Scope) []uint16 {
	s := scope.Service
	ports := []uint16{dnsPort}
	for i := range s.Ports {
		ports = append(ports, s.Ports[i].Target)
	}
	for i := range s.Probes {
		ports = append(ports, s.Probes[i].Port)
	}
	for i := range s.Scrape {
		ports = append(ports, s.Scrape[i].Port)
	}
	for i := range s.Uses {
		use := &s.Uses[i]
		for _, name := range use.Reached() {
			if use.External {
				if e := scope.Externals[use.To]; e.Local {
					ports = append(ports, e.Port(name).Number)
				}
				continue
			}
			for _, e := range scope.Upstreams[use.To].Workload.Endpoints {
				if ip, err := netip.ParseAddr(e.Address); err == nil && ip.IsLoopback() {
					ports = append(ports, e.Ports[name])
				}
			}
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

func appendList[T any](args []string, flag string, list []T) []string {
	if len(list) == 0 {
		return args
	}
	words := make([]string, 0, len(list))
	for _, v := range list {
		words = append(words, fmt.Sprint(v))
	}
	return append(args, "--"+flag+"="+strings.Join(words, ","))
}
