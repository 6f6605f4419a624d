package envoy

import (
	"net/netip"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	rbacconfigv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"

	"github.com/meshc/meshc/compiler/ir"
)

// principalsFrom are the callers of a rule on a port that come from its addresses: members by the address of their
// connection, whatever they say in x-forwarded-for, and clients of gateways by what the gateway says there. Envoy
// takes the last address in the header for remote_ip, and without the header the connection's.
func (b *builder) principalsFrom(r *ir.Rule, port *ir.Port, action rbacconfigv3.RBAC_Action) []*rbacconfigv3.Principal {
	var members, gateways []*rbacconfigv3.Principal
	for _, g := range b.scope.ClientGateways {
		if port.Protocol.IsHTTP() && r.Names(&g) {
			gateways = append(gateways, b.principal(&g, action))
		}
	}
	for i := range r.From {
		p := &r.From[i]
		if len(gateways) == 0 ||
			!slices.ContainsFunc(b.scope.ClientGateways, func(g ir.Peer) bool { return g.Ref() == p.Ref() }) {
			members = append(members, b.principal(p, action))
		}
	}
	var out []*rbacconfigv3.Principal
	if members != nil {
		ids := []*rbacconfigv3.Principal{anyID(members)}
		if gateways != nil {
			ids = append(ids, &rbacconfigv3.Principal{Identifier: &rbacconfigv3.Principal_NotId{
				NotId: anyID(gateways),
			}})
		}
		out = append(out, allIDs(append(ids, addresses(r.IPRanges, directly))))
	}
	if gateways != nil {
		out = append(out, allIDs([]*rbacconfigv3.Principal{anyID(gateways), addresses(r.IPRanges, asForwarded)}))
	}
	return out
}

// directly is the address that a connection comes from, and asForwarded what the last proxy says in x-forwarded-for.
func directly(r *corev3.CidrRange) *rbacconfigv3.Principal {
	return &rbacconfigv3.Principal{Identifier: &rbacconfigv3.Principal_DirectRemoteIp{DirectRemoteIp: r}}
}

func asForwarded(r *corev3.CidrRange) *rbacconfigv3.Principal {
	return &rbacconfigv3.Principal{Identifier: &rbacconfigv3.Principal_RemoteIp{RemoteIp: r}}
}

// addresses are whoever has such an address in one of the ranges.
func addresses(ranges []netip.Prefix, kind func(*corev3.CidrRange) *rbacconfigv3.Principal) *rbacconfigv3.Principal {
	var out []*rbacconfigv3.Principal
	for _, prefix := range ranges {
		out = append(out, kind(cidr(prefix)))
	}
	return anyID(out)
}

func allIDs(ids []*rbacconfigv3.Principal) *rbacconfigv3.Principal {
	return &rbacconfigv3.Principal{Identifier: &rbacconfigv3.Principal_AndIds{AndIds: &rbacconfigv3.Principal_Set{
		Ids: ids,
	}}}
}
