package ingress

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

// bound denies the requests for a host that come from elsewhere than its Ingresses let in. Where they differ, nothing
// tells their requests apart for a rule, and those bounds are told as errors.
func (c *class) bound() {
	for _, host := range slices.Sorted(maps.Keys(c.hosts)) {
		paths := c.hosts[host]
		first := paths[0].from
		narrower := slices.ContainsFunc(slices.Collect(maps.Keys(c.hosts)), func(other string) bool {
			return other != host && importer.Covers(host, other)
		})
		if narrower || slices.ContainsFunc(paths, func(p *path) bool {
			return !slices.Equal(p.from.settings.ranges, first.settings.ranges) ||
				!slices.Equal(p.from.settings.denied, first.settings.denied)
		}) {
			for _, p := range paths {
				if s := p.from.settings; len(s.ranges)+len(s.denied) > 0 {
					c.LetsMore(p.from.object, "an Ingress of "+cmp.Or(host, "*")+", or of a host below it, lets in others: write a "+
						"rule of deny at the gateway", "metadata", "annotations")
				}
			}
			continue
		}
		denied, err := outside(first.settings.ranges)
		if err != nil {
			c.LetsMore(first.object, err.Error(), "metadata", "annotations")
			continue
		}
		denied = append(denied, first.settings.denied...)
		if len(denied) == 0 {
			continue
		}
		rule := &spec.Rule{From: &spec.Peers{Anyone: spec.Written(true), IPRanges: spec.WrittenAll(denied...)}}
		if host != "" {
			rule.Hosts = spec.WrittenAll(host)
		}
		c.gateway.Deny = append(c.gateway.Deny, rule)
	}
}

// outside are the networks of the addresses in none of the ranges; none for no ranges.
func outside(ranges []string) ([]string, error) {
	if len(ranges) == 0 {
		return nil, nil
	}
	left := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	for _, text := range ranges {
		hole, err := netip.ParsePrefix(text)
		if err != nil {
			address, other := netip.ParseAddr(text)
			if other != nil {
				return nil, err
			}
			hole = netip.PrefixFrom(address, address.BitLen())
		}
		var next []netip.Prefix
		for _, p := range left {
			next = append(next, importer.Subtract(p, hole.Masked())...)
		}
		left = next
	}
	var out []string
	for _, p := range left {
		out = append(out, p.String())
	}
	return out, nil
}
