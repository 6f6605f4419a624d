package kubernetes

import (
	"fmt"
	"net/netip"
)

// without are the addresses of a range that are in none of the others, as ranges. Nothing is left of a range where one
// of them is not valid.
func without(cidr string, except []string) ([]string, error) {
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
			next = append(next, minus(p, out.Masked())...)
		}
		left = next
	}
	var texts []string
	for _, p := range left {
		texts = append(texts, p.String())
	}
	return texts, nil
}

// minus is a range without the addresses of another one.
func minus(p, out netip.Prefix) []netip.Prefix {
	if !p.Overlaps(out) {
		return []netip.Prefix{p}
	}
	var kept []netip.Prefix
	for p.Bits() < out.Bits() {
		low := netip.PrefixFrom(p.Addr(), p.Bits()+1)
		bytes := p.Addr().AsSlice()
		bytes[p.Bits()/8] |= 0x80 >> (p.Bits() % 8)
		addr, _ := netip.AddrFromSlice(bytes)
		high := netip.PrefixFrom(addr, p.Bits()+1)
		if low.Contains(out.Addr()) {
			p, kept = low, append(kept, high)
		} else {
			p, kept = high, append(kept, low)
		}
	}
	return kept
}
