package importer

import (
	"fmt"
	"net/netip"
)

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

// Without are the addresses of a range that are in none of the others, as ranges. Nothing is left of a range where one
// of them is not valid.
func Without(cidr string, except []string) ([]string, error) {
	whole, err := netip.ParsePrefix(cidr)
	if err != nil {
		return nil, fmt.Errorf("%q is not a range of addresses", cidr)
	}
	left := []netip.Prefix{whole.Masked()}
	for _, text := range except {
		out, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("%q is not a range of addresses", text)
		}
		var next []netip.Prefix
		for _, p := range left {
			next = append(next, Subtract(p, out.Masked())...)
		}
		left = next
	}
	var texts []string
	for _, p := range left {
		texts = append(texts, p.String())
	}
	return texts, nil
}
