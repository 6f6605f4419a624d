package try

import (
	"fmt"
	"net/netip"

	"github.com/meshc/meshc/compiler/ir"
)

// bearerKey is the question whose a token in a header is, and bearerOf the beginning of the answers that name an
// issuer; noBearer is the answer of a request without one.
const (
	bearerKey = "bearer"
	bearerOf  = "it is, and of "
	noBearer  = "it has none"
)

// The answers to whether what is not known of a request is as something asks for.
const (
	matches    = "it is as is asked for"
	matchesNot = "it is not as is asked for"
)

// unknown asks whether a part of the request is as something asks for.
func unknown(kind ConditionKind, key, on string) question {
	return question{
		kind: kind, key: key, on: on, alternatives: []string{matches, matchesNot},
		holds: func(is string) bool { return is == matches },
	}
}

// unknownHeader asks for a header of which nobody knows here what it says.
func (r *run) unknownHeader(h ir.StringMatch) question {
	on := fmt.Sprintf("the header %s, which proxies or applications on the way write", h.Name)
	if r.request.Partial {
		on = "the header " + h.Name
	}
	return unknown(OnHeader, fmt.Sprintf("header %+v", h), on)
}

// unknownClaims asks for the claims of a token of which nobody knows here what it says.
func (r *run) unknownClaims(j *ir.JWTRule) (truth, []question) {
	if len(j.Claims) == 0 && r.branch != nil {
		return yes, nil
	}
	asked := []question{}
	for _, c := range j.Claims {
		asked = append(asked, unknown(OnToken, fmt.Sprintf("claim %+v", c),
			"what the token in its header authorization says of "+c.Name))
	}
	if r.branch == nil { // nobody has said whether it is good
		asked = append(asked, question{kind: OnToken, on: guardToken})
	}
	return maybe, asked
}

// maxRanges bounds the address ranges of a service that are told apart.
const maxRanges = 64

// unknownAddress asks for an address that rules of a member want, which on says in words.
func unknownAddress(d *door, on string, within func(netip.Addr) bool) question {
	return question{
		kind: OnAddress, key: "address " + d.ref.String(), on: on,
		list: func() ([]string, bool) { return addresses(d.Guards) },
		holds: func(is string) bool {
			ip, err := netip.ParseAddr(is)
			return err == nil && within(ip)
		},
	}
}

// addresses are one of each sort that the rules of a member tell apart, those that some rule names first; whole is
// false when there are more.
func addresses(s *ir.Guards) (list []string, whole bool) {
	var ranges []netip.Prefix
	for _, rules := range [][]ir.Rule{s.Allow, s.Deny} {
		for i := range rules {
			ranges = append(ranges, rules[i].IPRanges...)
		}
	}
	whole = len(ranges) <= maxRanges
	ranges = ranges[:min(len(ranges), maxRanges)]
	// Whether a range holds an address can change only where one begins, and behind where one ends.
	borders := []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	for _, p := range ranges {
		borders = append(borders, p.Masked().Addr(), nextAddress(p))
	}
	type sort struct {
		in      uint64 // the ranges, by their numbers
		version bool
	}
	known := map[sort]bool{}
	var others []string
	for _, ip := range borders {
		is := sort{version: ip.Is4()}
		for i, p := range ranges {
			if p.Contains(ip) {
				is.in |= 1 << i
			}
		}
		switch {
		case !ip.IsValid() || known[is]:
		case is.in == 0:
			others = append(others, ip.String())
		default:
			list = append(list, ip.String())
		}
		known[is] = true
	}
	return append(list, others...), whole
}

// nextAddress is the first address behind a range; the zero value when it ends with the last there is.
func nextAddress(p netip.Prefix) netip.Addr {
	last := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < 8*len(last); i++ {
		last[i/8] |= 0x80 >> (i % 8)
	}
	ip, _ := netip.AddrFromSlice(last)
	return ip.Next()
}
