package ir

import (
	"net/netip"
	"slices"

	"github.com/meshc/meshc/compiler/source"
)

// ClientIPDetection is how a gateway learns where the clients of a listener are; the zero value for the address that a
// connection comes from.
type ClientIPDetection struct {
	// NumTrustedHops are the proxies in front, each of which appends to x-forwarded-for.
	NumTrustedHops uint32 `json:"numTrustedHops,omitempty"`
	// ProxyProtocol has each connection begin with where it comes from.
	ProxyProtocol bool `json:"proxyProtocol,omitempty"`
	// TrustedCIDRs are where the proxies connect from; empty for anywhere.
	TrustedCIDRs []netip.Prefix  `json:"trustedCIDRs,omitempty"`
	Pos          source.Position `json:"pos,omitzero"`
}

// Trusts reports whether what a connection from that address says of clients is believed.
func (d *ClientIPDetection) Trusts(from netip.Addr) bool {
	return len(d.TrustedCIDRs) == 0 ||
		slices.ContainsFunc(d.TrustedCIDRs, func(p netip.Prefix) bool { return p.Contains(from) })
}

// Behind reports whether proxies stand in front of the listener, which clients know in its place.
func (d *ClientIPDetection) Behind() bool { return d.NumTrustedHops > 0 || d.ProxyProtocol }

// ClientHeader is where a gateway says where a client is, by which rules with addresses go.
const ClientHeader = "x-forwarded-for"

// EdgeHeaders are headers that a gateway takes out of all requests: those in which proxies and applications look for
// where a client is, as a gateway says that in [ClientHeader] alone; and proxy, which CGI programs read as the address
// of a proxy for their own requests (CVE-2016-5385).
var EdgeHeaders = []string{"forwarded", "proxy", "true-client-ip", "x-client-ip", "x-cluster-client-ip", "x-real-ip"}

// ForeignProxyHeaders are headers in which proxies say how a client has come. A gateway takes them out of requests,
// but for those of proxies that its listener trusts.
var ForeignProxyHeaders = []string{
	"x-forwarded-host", "x-forwarded-port", "x-forwarded-prefix", "x-forwarded-scheme", "x-forwarded-server",
	"x-forwarded-ssl",
}
