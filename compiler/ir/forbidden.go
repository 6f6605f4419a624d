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

// ForbiddenAddress says why no proxy may be led to an address; empty where one may. An IPv6 address that stands for
// one of IPv4 is that too.
func ForbiddenAddress(ip netip.Addr, local bool) string {
	ip = ip.Unmap().WithZone("")
	for _, stands := range append([]netip.Addr{ip}, standsFor(ip)...) {
		for _, f := range ForbiddenNetworks(local) {
			if f.Contains(stands) {
				return f.Why
			}
		}
	}
	return ""
}

// transitions are the networks whose addresses stand for one of IPv4, and at which byte that begins.
var transitions = []struct {
	netip.Prefix
	at       int
	inverted bool // each bit is the other one
}{
	{netip.MustParsePrefix("::/96"), 12, false},           // "IPv4-compatible", RFC 4291
	{netip.MustParsePrefix("::ffff:0:0:0/96"), 12, false}, // "IPv4-translated", RFC 2765
	{netip.MustParsePrefix("64:ff9b::/96"), 12, false},    // NAT64, RFC 6052
	{netip.MustParsePrefix("64:ff9b:1::/48"), 12, false},  // NAT64 of a network's own, RFC 8215
	{netip.MustParsePrefix("2002::/16"), 2, false},        // 6to4, RFC 3056
	{netip.MustParsePrefix("2001::/32"), 12, true},        // Teredo, RFC 4380
}

// isatap ends the interface identifiers of ISATAP before the address of IPv4 (RFC 5214); it is of any network.
var isatap = [2]byte{0x5e, 0xfe}

// standsFor are the addresses of IPv4 for which one of IPv6 stands.
func standsFor(ip netip.Addr) (out []netip.Addr) {
	if !ip.Is6() {
		return nil
	}
	bytes := ip.As16()
	for _, t := range transitions {
		if !t.Contains(ip) {
			continue
		}
		v4 := [4]byte(bytes[t.at : t.at+4])
		for i := range v4 {
			if t.inverted {
				v4[i] = ^v4[i]
			}
		}
		out = append(out, netip.AddrFrom4(v4))
	}
	if [2]byte(bytes[10:12]) == isatap && bytes[8]&^3 == 0 && bytes[9] == 0 {
		out = append(out, netip.AddrFrom4([4]byte(bytes[12:])))
	}
	return out
}
