package envoy

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/ir"
)

// standForIPv4 match the beginning of "[IP]:PORT" for the IPv6 addresses that lead to one of IPv4 to which no proxy
// may be led; [ir.ForbiddenNetworks] says which those are. In text, an address of IPv4 is two groups of hexadecimal
// digits without zeros in front, and "::" is the longest row of groups that are 0 (RFC 5952). So those of 0.0.0.0/8,
// whose first group can be 0, stand apart.
func standForIPv4() []string {
	const (
		compatible = `::(ffff:0:)?`                // and "IPv4-translated"
		nat64      = `64:ff9b::|64:ff9b:1:(.*:)?`  // also of a network's own
		isatap     = `.*(:|:0|:[123]00):5efe:`     // two bits before are free
		teredo     = `2001:(0:|:)(.*:)?`           // 2001:0::/32
		any2       = `[0-9a-f]{1,2}:[0-9a-f]{1,4}` // in 0.0.0.0/8
	)
	var last, inverted, sixToFour []string
	for _, f := range ir.ForbiddenNetworks(false) {
		if f.IPv4.IsValid() || !f.Addr().Is4() {
			continue
		}
		high, low := groups(f.Prefix, true)
		inverted = append(inverted, high+":"+low)
		if !f.Addr().IsUnspecified() {
			high, low = groups(f.Prefix, false)
			last = append(last, high+":"+low)
			if f.Bits() == 32 {
				high += ":" + low
			}
			sixToFour = append(sixToFour, high)
		}
	}
	out := []string{
		`^\[2002:(` + strings.Join(sixToFour, "|") + `|[0-9a-f]{0,2}):`,
		`^\[(::ffff:0|64:ff9b:|64:ff9b:1(:.*)?):` + any2 + `\]`,
		`^\[64:ff9b:(1:(.*:)?)?:[0-9a-f]{0,4}\]`,
		`^\[` + isatap + `(` + any2 + `|:)\]`,
	}
	for begins, networks := range map[string][]string{
		compatible + `|` + nat64: last, isatap: last, teredo: inverted,
	} {
		for some := range slices.Chunk(networks, atOnce) {
			out = append(out, `^\[(`+begins+`)(`+strings.Join(some, "|")+`)\]`)
		}
	}
	slices.Sort(out)
	return out
}

// atOnce is for how many networks one expression is: CEL in Envoy takes programs of up to 100 instructions.
const atOnce = 3

// groups match the two groups of hexadecimal digits of the addresses of an IPv4 network, or of those with each bit
// inverted. The network has 4, 8, 16 or 32 bits.
func groups(network netip.Prefix, inverted bool) (high, low string) {
	address := binary.BigEndian.Uint32(network.Addr().AsSlice())
	if inverted {
		address = ^address
	}
	low = "[0-9a-f]{1,4}"
	switch network.Bits() {
	case 4:
		return fmt.Sprintf("%x[0-9a-f]{3}", address>>28), low
	case 8:
		return fmt.Sprintf("%x[0-9a-f]{2}", address>>24), low
	case 32:
		low = fmt.Sprintf("%x", address&0xffff)
	}
	return fmt.Sprintf("%x", address>>16), low
}
