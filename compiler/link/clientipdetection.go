package link

import (
	"fmt"
	"net/netip"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

// clientIPDetection is how a listener learns where clients are; the zero value when nothing is written.
func (l *linker) clientIPDetection(here place, s *spec.Listener, protocol ir.Protocol) ir.ClientIPDetection {
	d := s.ClientIPDetection
	if d == nil {
		return ir.ClientIPDetection{}
	}
	out := ir.ClientIPDetection{
		NumTrustedHops: uint32(d.NumTrustedHops.Value), ProxyProtocol: d.ProxyProtocol.Value,
		Pos: here.pos(d.Pos),
	}
	if !out.Behind() {
		l.add(diag.NoEffect, here,
			"clientIPDetection cannot take effect: it does not say what is in front of the listener", out.Pos).
			hint("numTrustedHops: 1 for a proxy of HTTP, proxyProtocol: true for one of connections; or remove it")
	}
	out.TrustedCIDRs = l.prefixes(here.field("trustedCIDRs"), d.TrustedCIDRs)
	if d.TrustedCIDRs != nil && len(d.TrustedCIDRs) == 0 {
		l.add(diag.EmptyList, here.field("trustedCIDRs"), "trustedCIDRs is empty, so no proxy is trusted", out.Pos).
			hint("omit it for any address")
	}
	if out.NumTrustedHops > 0 {
		switch {
		case protocol != ir.HTTP:
			l.add(diag.NoEffect, here.field("numTrustedHops"),
				fmt.Sprintf("numTrustedHops cannot take effect: a listener of %s does not read requests", protocol),
				here.pos(d.NumTrustedHops.Pos)).
				hint("proxyProtocol: true, if the proxy in front can speak it; or remove it")
		case s.RedirectTo.IsSet():
			l.add(diag.NoEffect, here.field("numTrustedHops"),
				"numTrustedHops cannot take effect: every request is answered with a redirect, those that came to the proxy in front by https too",
				here.pos(d.NumTrustedHops.Pos), here.pos(s.RedirectTo.Pos)).
				hint(`instead of redirectTo write as the first route: {match: {listeners: ["NAME"], headers: "x-forwarded-proto": exact: "http"}, redirect: scheme: "https"}`)
		}
	}
	if out.ProxyProtocol && s.HTTP3.Value {
		l.add(diag.NoEffect, here.field("proxyProtocol"),
			"proxyProtocol cannot take effect for HTTP/3: the PROXY protocol is of TCP connections",
			here.pos(d.ProxyProtocol.Pos), here.pos(s.HTTP3.Pos)).
			hint("remove http3, or proxyProtocol")
	}
	return out
}

// proxyProtocols refuses listeners of one port of which some have the PROXY protocol: it comes before the name in the
// handshake by which they are told apart.
func (l *linker) proxyProtocols(here place, g *ir.Gateway) {
	for i := range g.Listeners {
		a := &g.Listeners[i]
		for j := range g.Listeners[:i] {
			b := &g.Listeners[j]
			if a.Port != b.Port || a.Clients.ProxyProtocol == b.Clients.ProxyProtocol {
				continue
			}
			with, without := a, b
			if b.Clients.ProxyProtocol {
				with, without = b, a
			}
			l.add(diag.PortTaken, here.field("listeners."+without.Name),
				fmt.Sprintf("the listeners %s and %s share port %d, and only %s has proxyProtocol, which comes before the name in the handshake", with.Name, without.Name, a.Port, with.Name), without.Pos, with.Pos).
				hint("clientIPDetection: proxyProtocol: true here too, or another port")
			return
		}
	}
}

// prefixes are ranges of addresses.
func (l *linker) prefixes(here place, fields []spec.Field[string]) []netip.Prefix {
	var out []netip.Prefix
	for i, f := range fields {
		prefix, err := netip.ParsePrefix(f.Value)
		if addr, addrErr := netip.ParseAddr(f.Value); addrErr == nil && addr.Zone() == "" {
			prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		at := here.index(i)
		switch {
		case err != nil:
			l.add(diag.BadAddress, at, fmt.Sprintf("%q is not a valid IP range", f.Value), here.pos(f.Pos)).
				hint(`"10.20.0.0/16" or "10.20.0.7"`)
			continue
		case prefix.Masked() != prefix:
			l.add(diag.BadAddress, at, fmt.Sprintf("%q has host bits set: which addresses are meant?", f.Value),
				here.pos(f.Pos)).
				hint("%q is the whole range, %q the one address", prefix.Masked(), prefix.Addr())
		case prefix.Addr().Is4In6():
			l.add(diag.BadAddress, at, fmt.Sprintf("%q is an IPv4-mapped IPv6 address", f.Value), here.pos(f.Pos)).
				hint("%q", prefix.Addr().Unmap())
		}
		out = append(out, prefix)
	}
	return out
}
