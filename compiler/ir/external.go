package ir

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/source"
)

// External is a service outside the mesh.
type External struct {
	Name string `json:"name"`
	// Hosts are the names by which callers address it, lower case; the first is the one that is looked up and that its
	// certificate must carry, but see [External.ByHost]. Where one is a range of addresses, all are addresses or
	// ranges; see [ParseHost].
	Hosts []string `json:"hosts"`
	// Local is set where a name of Hosts may lead to loopback, the callers' own.
	Local bool `json:"local,omitempty"`
	// Via is the gateway that calls go through; nil for none.
	Via *Via `json:"via,omitempty"`
	// Ports are those of TCP, sorted by name. Target is where proxies connect to.
	Ports []Port `json:"ports"`
	// UDP are the ports of UDP, to which no proxy connects, sorted by name. At least one of Ports and UDP is not empty.
	UDP     []Port  `json:"udp,omitempty" scope:"deployment"`
	Traffic Traffic `json:"traffic,omitzero"`
	// Outliers is nil for [DefaultOutliers].
	Outliers *Outliers `json:"outliers,omitempty"`
	// Roots is a file of PEM certificates on the proxy's host; empty for the
	// system's roots.
	Roots string `json:"roots,omitempty"`
	// ServerName is in the handshake of TLS, and in the certificate of the other side; empty for the host that is asked
	// for.
	ServerName string `json:"serverName,omitempty"`
	// Secret is the directory, in Proxy.SecretDirectory, of the certificate that proxies show; empty for none.
	Secret string `json:"secret,omitempty"`
	// Endpoints stand in for the host when local placement gave some.
	Endpoints []Endpoint      `json:"endpoints,omitempty"`
	Pos       source.Position `json:"pos,omitzero"`
}

// Port returns the port of that name, or nil.
func (e *External) Port(name string) *Port { return portByName(e.Ports, name) }

// HasRange reports whether a host is a range of addresses: then connections are led to their addresses alone, which
// only redirected ones have.
func (e *External) HasRange() bool {
	return slices.ContainsFunc(e.Hosts, func(h string) bool { p, ok := ParseHost(h); return ok && !p.IsSingleIP() })
}

// ByHost reports whether a host stands for all names below a domain ("*.DOMAIN"). Then proxies look up the host that
// requests ask for, or handshakes of TLS, each by itself.
func (e *External) ByHost() bool {
	return slices.ContainsFunc(e.Hosts, func(h string) bool { return strings.HasPrefix(h, "*.") })
}

// Named is how specific the host of the external is that a host of a request is one of ([Specific]); -1 for none.
func (e *External) Named(host string) int {
	best := -1
	for _, h := range e.Hosts {
		if HostCovers(h, host) {
			best = max(best, Specific(h))
		}
	}
	return best
}

// ParseHost is the range of addresses that a host is, a single one where it is an address; false for a name.
func ParseHost(host string) (netip.Prefix, bool) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return single(ip.Unmap()), true
	}
	p, err := netip.ParsePrefix(host)
	return p, err == nil
}

// ForbiddenWithin are the ranges within one that are closed all the same, as no proxy may be led there. Of networks of
// IPv6 that have addresses of IPv4 somewhere behind their prefix it has the whole, and none of ISATAP: redirection
// keeps proxies from what stands for a forbidden address there.
func ForbiddenWithin(network netip.Prefix) []netip.Prefix {
	var out []netip.Prefix
	for _, f := range forbiddenNetworks {
		if network.Overlaps(f.Prefix) && network.Bits() < f.Bits() && !slices.Contains(out, f.Prefix) {
			out = append(out, f.Prefix)
		}
	}
	return out
}
