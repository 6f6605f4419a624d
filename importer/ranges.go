package importer

import "net/netip"

// Subtract returns the networks of the addresses of r that are not in the hole. Both must be masked.
func Subtract(r, hole netip.Prefix) []netip.Prefix {
	switch {
	case !r.Overlaps(hole):
		return []netip.Prefix{r}
	case hole.Bits() <= r.Bits():
		return nil
	}
	bits := r.Bits() + 1
	upper := r.Addr().AsSlice()
	upper[r.Bits()/8] |= 0x80 >> (r.Bits() % 8)
	half, _ := netip.AddrFromSlice(upper)
	return append(Subtract(netip.PrefixFrom(r.Addr(), bits), hole), Subtract(netip.PrefixFrom(half, bits), hole)...)
}
