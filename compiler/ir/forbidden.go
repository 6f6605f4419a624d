package ir

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// ForbiddenNetwork is where nothing is that a proxy may be led to: what is there
// trusts who shares its host or its network, as Envoy's admin interface and the
// metadata of a cloud do.
type ForbiddenNetwork struct {
	netip.Prefix
	// Low and Mask narrow a network of IPv6 down to the addresses whose last 64 bits are those of Low where Mask has
	// ones. Mask is 0 where the whole network is forbidden.
	Low, Mask uint64
	// IPv4 is the forbidden network for addresses of which those of this one stand. It is not valid for a network
	// that is forbidden for itself.
	IPv4 netip.Prefix
	// Why says of an address what it is: "is loopback, the proxy's own host".
	Why string
}

const (
	isLoopback = "is loopback, the proxy's own host"
	isNobodys  = "is not the address of a host, and leads to the proxy's own host"
	isCloud    = "is the instance metadata service of a cloud"
)

var forbiddenNetworks = embedded([]ForbiddenNetwork{
	forbid("127.0.0.0/8", isLoopback),
	forbid("::1/128", isLoopback),
	forbid("0.0.0.0/8", isNobodys),
	forbid("::/128", isNobodys),
	forbid("169.254.0.0/16", "is link-local, where clouds have their instance metadata service"),
	forbid("fe80::/10", "is link-local"),
	forbid("fd00:ec2::/32", isCloud),      // Amazon
	forbid("fd20:ce::/32", isCloud),       // Google
	forbid("100.100.100.200/32", isCloud), // Alibaba
	forbid("168.63.129.16/32", isCloud),   // Azure
	forbid("192.0.0.192/32", isCloud),     // Oracle
	forbid("224.0.0.0/4", "is multicast"),
	forbid("ff00::/8", "is multicast"),
})

// noHost is the IPv4 network whose embedding in ::/96 has :: and ::1, which are forbidden for themselves.
var noHost = netip.MustParsePrefix("0.0.0.0/8")

func forbid(network, why string) ForbiddenNetwork {
	return ForbiddenNetwork{Prefix: netip.MustParsePrefix(network), Why: why}
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

// isatap is how the interface identifiers of ISATAP begin, in networks of any kind, before an address of IPv4; two
// bits of them are free (RFC 5214).
const (
	isatap     = 0x0000_5efe_0000_0000
	isatapMask = 0xfcff_ffff_0000_0000
)

// embedded adds, for each network of IPv4, those of IPv6 whose addresses stand for one of it.
func embedded(networks []ForbiddenNetwork) []ForbiddenNetwork {
	all := slices.Clone(networks)
	add := func(stands, f ForbiddenNetwork) {
		stands.IPv4, stands.Why = f.Prefix, f.Why
		all = append(all, stands)
	}
	for _, f := range networks {
		if !f.Addr().Is4() {
			continue
		}
		mask := ^uint32(0) << (32 - f.Bits())
		v4 := binary.BigEndian.Uint32(f.Addr().AsSlice())
		for _, t := range transitions {
			value := v4
			if t.inverted {
				value = ^v4 & mask
			}
			stands := ForbiddenNetwork{Prefix: t.Prefix, Low: uint64(value), Mask: uint64(mask)}
			if t.at*8 == t.Bits() { // one network has them all
				address := t.Addr().As16()
				binary.BigEndian.PutUint32(address[t.at:], value)
				stands = ForbiddenNetwork{Prefix: netip.PrefixFrom(netip.AddrFrom16(address), t.Bits()+f.Bits())}
			}
			if !t.Addr().IsUnspecified() || f.Prefix != noHost {
				add(stands, f)
			}
		}
		add(ForbiddenNetwork{
			Prefix: netip.MustParsePrefix("::/0"), Low: isatap | uint64(v4), Mask: isatapMask | uint64(mask),
		}, f)
	}
	return all
}

// Contains reports whether an address is forbidden by this.
func (f ForbiddenNetwork) Contains(ip netip.Addr) bool {
	if !f.Prefix.Contains(ip) || f.Mask == 0 {
		return f.Prefix.Contains(ip)
	}
	low := ip.As16()
	return binary.BigEndian.Uint64(low[8:])&f.Mask == f.Low
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

// ForbiddenRanges are the forbidden networks for those who know no masks. Of what stands for IPv4, they have the whole
// network of each transition, as no host is there any more, but of NAT64 no more than is forbidden; of NAT64 of a
// network's own only with zeros before the address of IPv4; and they lack ISATAP.
func ForbiddenRanges() []netip.Prefix {
	var out []netip.Prefix
	for _, f := range forbiddenNetworks {
		network := f.Prefix
		switch {
		case f.IPv4.IsValid() && f.Bits() == 0:
			continue
		case f.IPv4.IsValid() && nat64.Contains(f.Addr()):
			address := f.Addr().As16()
			copy(address[12:], f.IPv4.Addr().AsSlice())
			network = netip.PrefixFrom(netip.AddrFrom16(address), 96+f.IPv4.Bits())
		case f.IPv4.IsValid():
			for _, t := range transitions {
				if t.Contains(f.Addr()) {
					network = t.Prefix
				}
			}
		}
		if !slices.Contains(out, network) {
			out = append(out, network)
		}
	}
	return out
}

var nat64 = netip.MustParsePrefix("64:ff9b::/32")

// ForbiddenAddress says why no proxy may be led to an address; empty where one may. An IPv6 address that stands for
// one of IPv4 is that too.
func ForbiddenAddress(ip netip.Addr, local bool) string {
	ip = ip.Unmap().WithZone("")
	for _, f := range ForbiddenNetworks(local) {
		if f.Contains(ip) {
			return f.Why
		}
	}
	return ""
}
