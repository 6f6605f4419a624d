package istio

import (
	"net/netip"
	"slices"

	securityv1 "istio.io/api/security/v1beta1"

	"github.com/meshc/meshc/compiler/spec"
	"github.com/meshc/meshc/importer"
)

// Of a request through a gateway Istio's ipBlocks (and source.ip) are about the address of the gateway's pod, and
// remoteIpBlocks (and remote.ip) about the client's. An ipRanges of the language is about the client's there. Elsewhere
// all are about where the connection comes from.
const (
	ofGateways      = "for requests through a gateway it is about the address of the gateway's own pod, which the language cannot say"
	gatewaysLeftOut = ofGateways + ": the rule lets in no gateway. Clients are known by remoteIpBlocks or remote.ip"
	byClient        = ofGateways + ": the rule denies by the address of the client"
)

// anyAddress are all addresses.
var anyAddress = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}

// ofAddresses are the peers at the addresses that a source asks for; nil for nobody. What cannot be read stays in the
// source.
func (t *translation) ofAddresses(p *spec.Peers, d *securityv1.Source, at []string) *spec.Peers {
	for _, asked := range []struct {
		field     string
		in, notIn *[]string
		direct    bool
	}{
		{"ipBlocks", &d.IpBlocks, &d.NotIpBlocks, true},
		{"remoteIpBlocks", &d.RemoteIpBlocks, &d.NotRemoteIpBlocks, false},
	} {
		list, ok := addresses(*asked.in, *asked.notIn)
		if p == nil || !ok || len(*asked.in)+len(*asked.notIn) == 0 {
			continue
		}
		*asked.in, *asked.notIn = nil, nil
		p = t.peersAt(p, list, asked.direct, slices.Concat(at, []string{asked.field}))
	}
	return p
}

// peersAt are the peers at one of the addresses, which are those of the connection where direct is set; nil for nobody.
func (t *translation) peersAt(p *spec.Peers, list []netip.Prefix, direct bool, at []string) *spec.Peers {
	q := *p
	if p.IPRanges != nil {
		before, _ := addresses(values(p.IPRanges), nil)
		list = overlap(before, list)
	}
	q.IPRanges = nil
	for _, r := range list {
		q.IPRanges = append(q.IPRanges, spec.Written(written(r)))
	}
	if q.IPRanges == nil {
		return nil
	}
	switch {
	case !direct || !t.fromGateways(p):
		return &q
	case t.deny:
		t.LetsMore(t.object, byClient, at...)
		return &q
	}
	t.NotCarried(t.object, gatewaysLeftOut, at...)
	return t.withoutGateways(&q)
}

// fromGateways reports whether requests of the peers may come through a gateway.
func (t *translation) fromGateways(p *spec.Peers) bool {
	if !p.Anyone.Value {
		return len(p.Gateways) > 0
	}
	for _, g := range t.Repository.Gateways {
		if g.Uses[t.service.Name] != nil {
			return true
		}
	}
	return false
}

// withoutGateways are the peers that are not gateways; nil for nobody.
func (t *translation) withoutGateways(p *spec.Peers) *spec.Peers {
	p.Gateways = nil
	if p.Anyone.Value {
		p.Anyone = spec.Field[bool]{}
		for _, s := range t.Sorted() {
			if s != t.service {
				p.Services = append(p.Services, spec.Written(s.Name))
			}
		}
	}
	if p.Services == nil && p.Namespaces == nil && !p.Plaintext.Value {
		return nil
	}
	return p
}

// addresses are those in one of the networks and in none of the others; false where one cannot be read. No networks
// are all addresses.
func addresses(in, notIn []string) ([]netip.Prefix, bool) {
	out := anyAddress
	if len(in) > 0 {
		out = nil
		for _, text := range in {
			r, ok := network(text)
			if !ok {
				return nil, false
			}
			out = append(out, r)
		}
	}
	for _, text := range notIn {
		hole, ok := network(text)
		if !ok {
			return nil, false
		}
		var left []netip.Prefix
		for _, r := range out {
			left = append(left, importer.Subtract(r, hole)...)
		}
		out = left
	}
	return out, true
}

// network reads an address, or a network as "10.0.0.0/8".
func network(text string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), !a.Is4In6() && a.Zone() == ""
	}
	r, err := netip.ParsePrefix(text)
	return r.Masked(), err == nil && !r.Addr().Is4In6()
}

// overlap are the networks of the addresses that are in one of each.
func overlap(a, b []netip.Prefix) (out []netip.Prefix) {
	for _, r := range a {
		for _, s := range b {
			if r.Overlaps(s) {
				if r.Bits() < s.Bits() {
					out = append(out, s)
				} else {
					out = append(out, r)
				}
			}
		}
	}
	return out
}

func written(r netip.Prefix) string {
	if r.IsSingleIP() {
		return r.Addr().String()
	}
	return r.String()
}

func values(list []spec.Field[string]) (out []string) {
	for _, f := range list {
		out = append(out, f.Value)
	}
	return out
}
