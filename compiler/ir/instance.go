package ir

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// Instances are single instances of a callee, as requests by HTTP name them that are redirected to the caller's proxy.
// Such a request goes to the address that its connection was made to, where who has the identity of the callee takes
// it.
type Instances struct {
	Use  *Use
	Port *Port
	// Domains are hosts, or "*.DOMAIN" for those below a domain. Without any it is all hosts that are addresses and
	// no other callee's.
	Domains []string
	// Authority is a regular expression for the host, which may have a port behind it; "" for all of Domains.
	Authority string
	// At is the port where the proxy connects to at the address.
	At uint16
}

// anyAddress is [Instances.Authority] of hosts that are addresses.
const anyAddress = `([0-9]{1,3}(\.[0-9]{1,3}){3}|\[[0-9A-Fa-f:.]+\])` + AuthorityPort

// Instances are those that the member calls on a port number:
//   - the addresses of instances that the spec has ("10.0.0.1"),
//   - the names that Kubernetes gives the pods of a StatefulSet below each name of the service ("db-0.db"),
//   - any address, where one StatefulSet alone is called on the number, or the service itself.
//
// An address that two callees have is none's, and a name that an external has is the external's. Where undeclared calls
// pass, so do those to addresses that the spec does not have.
func (s *Scope) Instances(number uint16) []Instances {
	if s.Service == nil || s.Service.Explicit {
		return nil
	}
	var out, unknown []Instances
	count := map[string]int{}
	for i := range s.Service.Uses {
		use := &s.Service.Uses[i]
		for _, name := range use.Ports {
			if use.External || use.Binds[name] != "" {
				continue
			}
			u := s.Upstreams[use.To]
			port := u.Port(name)
			if port.Number != number || !port.Protocol.IsHTTP() {
				continue
			}
			for _, p := range u.known(port) {
				host := hostOf(p.Addr())
				if count[host]++; s.External(host, number) == nil {
					out = addInstance(out, Instances{use, port, []string{host}, "", p.Port})
				}
			}
			named, ofPods := s.podNames(use, port)
			if ofPods {
				out = append(out, named)
			}
			if ofPods || use.To == s.Service.Name && len(u.Workload.Endpoints) == 0 {
				unknown = append(unknown, Instances{use, port, nil, anyAddress, u.ReachedAt(port)})
			}
		}
	}
	for i := range out {
		out[i].Domains = slices.DeleteFunc(out[i].Domains, func(host string) bool { return count[host] > 1 })
	}
	out = slices.DeleteFunc(out, func(n Instances) bool { return len(n.Domains) == 0 })
	if len(unknown) == 1 && !s.PassesUndeclared() {
		out = append(out, unknown[0])
	}
	return out
}

// NamesPods are the StatefulSets whose pods requests of the service may name that are redirected to its proxy: those of
// the callee, if it has one. Proxies are told of no other workloads.
func (s *Service) NamesPods(use *Use, callee *Upstream) []string {
	if s.Explicit || !callee.Workload.InCluster() || callee.Workload.Pods.Kind != StatefulSet {
		return nil
	}
	redirected := func(name string) bool { return use.Binds[name] == "" && callee.Port(name).Protocol.IsHTTP() }
	if !slices.ContainsFunc(use.Ports, redirected) {
		return nil
	}
	return callee.PodsNames()
}

// podNames are the pods of a StatefulSet that are called on a port; false where the callee is none.
func (s *Scope) podNames(use *Use, port *Port) (named Instances, some bool) {
	if len(use.StatefulSets) == 0 {
		return Instances{}, false
	}
	u := s.Upstreams[use.To]
	var sets, below, domains []string
	for _, name := range use.StatefulSets {
		sets = append(sets, regexp.QuoteMeta(name))
	}
	for _, host := range s.Settings.Hosts(u, s.Service.Namespace) {
		if s.External("pod."+host, port.Number) == nil {
			domains, below = append(domains, "*."+host), append(below, regexp.QuoteMeta(host))
		}
	}
	authority := "(?i:(" + strings.Join(sets, "|") + `)-[0-9]+\.(` + strings.Join(below, "|") + "))" + AuthorityPort
	return Instances{use, port, domains, authority, u.ReachedAt(port)}, true
}

// External is the external of which a host is that the member calls on a port number, redirected; nil for none.
func (s *Scope) External(host string, number uint16) *External {
	for i := range s.Member().Uses {
		use := &s.Member().Uses[i]
		for _, name := range use.Ports {
			if e := s.Externals[use.To]; use.External && use.Binds[name] == "" && e.Port(name).Number == number &&
				e.Named(host) >= 0 {
				return e
			}
		}
	}
	return nil
}

// addInstance adds one address to those of its port.
func addInstance(list []Instances, n Instances) []Instances {
	for i := range list {
		if have := &list[i]; have.Use == n.Use && have.Port == n.Port && have.At == n.At && have.Authority == "" {
			have.Domains = append(have.Domains, n.Domains...)
			return list
		}
	}
	return append(list, n)
}

// hostOf is an address as the host of a URL.
func hostOf(ip netip.Addr) string {
	if ip.Is6() {
		return "[" + ip.String() + "]"
	}
	return ip.String()
}

// ReachedAt is where a port of an instance is at an address that the spec does not have.
func (u *Upstream) ReachedAt(port *Port) uint16 {
	if u.Workload.InCluster() {
		return u.InstancePort(port)
	}
	return port.Number
}

// Has reports whether a host of a request is one of the instances: a name in lower case, or an address, without a port.
func (n *Instances) Has(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		host = hostOf(ip)
	}
	if n.Domains != nil && !slices.ContainsFunc(n.Domains, func(d string) bool { return HostCovers(d, host) }) {
		return false
	}
	return n.Authority == "" || regexp.MustCompile("^(?:"+n.Authority+")$").MatchString(host)
}

// AtOne is the route as requests for a single instance of the service take it: it may answer them, or change them, or
// say how long they take, and leads nowhere but to the instance.
func (r *Route) AtOne(service string) *Route {
	if len(r.To) == 0 {
		return r
	}
	out := *r
	out.To = []Destination{{Service: service, Weight: 1}}
	return &out
}
