package kubernetes

import (
	"fmt"
	"net/netip"

	"github.com/meshc/meshc/importer"
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
			next = append(next, importer.Subtract(p, out.Masked())...)
		}
		left = next
	}
	var texts []string
	for _, p := range left {
		texts = append(texts, p.String())
	}
	return texts, nil
}
