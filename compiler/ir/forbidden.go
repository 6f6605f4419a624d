package ir

import "net/netip"

// ForbiddenNetwork is where nothing is that a proxy may be led to: what is there
// trusts who shares its host or its network, as Envoy's admin interface and the
// metadata of a cloud do.
type ForbiddenNetwork struct {
	netip.Prefix
	// Why says of an address what it is: "is loopback, the proxy's own host".
	Why string
}

const (
	isLoopback = "is loopback, the proxy's own host"
	isNobodys  = "is not the address of a host, and leads to the proxy's own host"
	isCloud    = "is the instance metadata service of a cloud"
)

var forbiddenNetworks = []ForbiddenNetwork{
	{netip.MustParsePrefix("127.0.0.0/8"), isLoopback},
	{netip.MustParsePrefix("::1/128"), isLoopback},
	{netip.MustParsePrefix("0.0.0.0/8"), isNobodys},
	{netip.MustParsePrefix("::/128"), isNobodys},
	{netip.MustParsePrefix("169.254.0.0/16"), "is link-local, where clouds have their instance metadata service"},
	{netip.MustParsePrefix("fe80::/10"), "is link-local"},
	{netip.MustParsePrefix("64:ff9b::a9fe:0/112"), "is link-local, by way of NAT64"}, // RFC 6052
	{netip.MustParsePrefix("fd00:ec2::/32"), isCloud},                                // Amazon
	{netip.MustParsePrefix("fd20:ce::/32"), isCloud},                                 // Google
	{netip.MustParsePrefix("100.100.100.200/32"), isCloud},                           // Alibaba
	{netip.MustParsePrefix("168.63.129.16/32"), isCloud},                             // Azure
	{netip.MustParsePrefix("192.0.0.192/32"), isCloud},                               // Oracle
	{netip.MustParsePrefix("224.0.0.0/4"), "is multicast"},
	{netip.MustParsePrefix("ff00::/8"), "is multicast"},
}

// ForbiddenNetworks are all of them; without loopback where that is meant (local).
func ForbiddenNetworks(local bool) []ForbiddenNetwork {
	var out []ForbiddenNetwork
	for _, f := range forbiddenNetworks {
		if !local || !f.Addr().IsLoopback() {
			out = append(out, f)
		}
	}
	return out
}

// ForbiddenAddress says why no proxy may be led to an address; empty where one may.
// An IPv6 address that holds an IPv4 address is that.
func ForbiddenAddress(ip netip.Addr, local bool) string {
	ip = ip.Unmap().WithZone("")
	for _, f := range ForbiddenNetworks(local) {
		if f.Contains(ip) {
			return f.Why
		}
	}
	return ""
}
