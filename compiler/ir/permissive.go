package ir

import (
	"net/netip"
	"slices"
)

// TakesPlaintext reports whether callers without an identity reach the rules of the service on that port. Below HTTP
// they do where a rule lets some of them in.
func (s *Service) TakesPlaintext(port *Port) bool {
	if !s.Plaintext || port.Open {
		return false
	}
	if port.Protocol.IsHTTP() {
		return true
	}
	from, _ := s.PlaintextFrom(port)
	return len(from) > 0
}

// PlaintextFrom is from where the rules of the service let callers without an identity in, on a port below HTTP, and
// from where they do not: the longest prefix decides. Lets is empty where no rule lets any of them in.
func (s *Service) PlaintextFrom(port *Port) (lets, refuses []netip.Prefix) {
	return betweenRanges(rangesOf(s.Allow, port, KindPlaintext), rangesOf(s.Deny, port, KindPlaintext, KindAnyone))
}

// ClientsFrom is from where the rules of the gateway let clients in at a listener below HTTP, and from where they do
// not: the longest prefix decides. Lets is empty where none of them is let in.
func (g *Gateway) ClientsFrom(l *Listener) (lets, refuses []netip.Prefix) {
	lets = anywhere()
	if g.Closed {
		lets = rangesOf(g.Allow, l.Door(), KindAnyone)
	}
	return betweenRanges(lets, rangesOf(g.Deny, l.Door(), KindAnyone))
}

func anywhere() []netip.Prefix {
	return []netip.Prefix{
		netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0),
	}
}

// betweenRanges leaves out what another of the ranges makes needless.
func betweenRanges(lets, refuses []netip.Prefix) (_, _ []netip.Prefix) {
	inside := func(list []netip.Prefix, p netip.Prefix) bool {
		return slices.ContainsFunc(list, func(o netip.Prefix) bool {
			return o.Bits() <= p.Bits() && o.Contains(p.Addr())
		})
	}
	lets = slices.DeleteFunc(lets, func(p netip.Prefix) bool { return inside(refuses, p) })
	refuses = slices.DeleteFunc(refuses, func(p netip.Prefix) bool { return !inside(lets, p) })
	return lets, refuses
}

// rangesOf are where callers of the kinds come from that rules are about.
func rangesOf(rules []Rule, port *Port, kinds ...MemberKind) []netip.Prefix {
	var out []netip.Prefix
	for i := range rules {
		r := &rules[i]
		if r.Audit || !r.Holds(port) || !slices.ContainsFunc(r.From, func(p Peer) bool {
			return slices.Contains(kinds, p.Kind)
		}) {
			continue
		}
		ranges := r.IPRanges
		if len(ranges) == 0 {
			ranges = anywhere()
		}
		out = append(out, ranges...)
	}
	slices.SortFunc(out, netip.Prefix.Compare)
	return slices.Compact(out)
}
