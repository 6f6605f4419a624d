package redirect

import (
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/meshc/meshc/compiler/ir"
)

// closeUDP refuses datagrams but those on the paths of the rules, to name servers, of DHCP, and answers to what was let
// through. It is about those of this host's own programs, on other interfaces than loopback.
func closeUDP(c *nftables.Conn, table *nftables.Table, r Rules) {
	for _, way := range []struct {
		name   string
		hook   *nftables.ChainHook
		device expr.MetaKey
		other  func(netip.Prefix) exprs
		paths  []ir.UDPPath
		always []exprs
	}{
		{"udp-inbound", nftables.ChainHookInput, incoming, fromNetwork, r.UDPInbound, dhcp(serverToClient)},
		{
			"udp-outbound", nftables.ChainHookOutput, outgoing, toNetwork, r.UDPOutbound,
			append(dhcp(clientToServer), udp(destinationPort, nameServer)),
		},
	} {
		chain := c.AddChain(&nftables.Chain{
			Name: way.name, Table: table, Type: nftables.ChainTypeFilter,
			Hooknum: way.hook, Priority: nftables.ChainPriorityFilter,
		})
		add := func(e exprs) { c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: e}) }
		add(onLoopback(way.device).leave())
		add(anAnswer().leave())
		for _, e := range way.always {
			add(e.leave())
		}
		for _, p := range way.paths {
			var addresses exprs
			if p.Addresses.IsValid() {
				addresses = way.other(p.Addresses)
			}
			add(addresses.and(udp(destinationPort, p.Port)).leave())
		}
		add(udp(destinationPort, 0).unreachable())
	}
}

// The offsets of the ports in the header of UDP.
const (
	sourcePort      = 0
	destinationPort = 2
)

// udp is for UDP with that port there; 0 for every port.
func udp(offset uint32, port uint16) exprs {
	all := exprs{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: register}, equals([]byte{unix.IPPROTO_UDP})}
	if port == 0 {
		return all
	}
	return all.and(exprs{
		&expr.Payload{DestRegister: register, Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: 2},
		equals(portBytes(port)),
	})
}

// unreachable refuses a datagram, and says so to its sender.
func (e exprs) unreachable() exprs {
	return e.and(exprs{&expr.Reject{Type: unix.NFT_REJECT_ICMPX_UNREACH, Code: unix.NFT_REJECT_ICMPX_PORT_UNREACH}})
}

// anAnswer is for packets of UDP that go the other way than the first between two sockets, which was let through. The
// kernel knows of it for a while (net.netfilter.nf_conntrack_udp_timeout).
func anAnswer() exprs {
	const reply = 1 // IP_CT_DIR_REPLY of linux/netfilter/nf_conntrack_tuple_common.h
	return udp(destinationPort, 0).and(exprs{
		&expr.Ct{Key: expr.CtKeyDIRECTION, Register: register}, equals([]byte{reply}),
	})
}

// dhcpPorts are the ports of DHCP for IPv4 and for IPv6 (RFC 2131, section 4.1; RFC 8415, section 7.2).
type dhcpPorts struct{ client, server uint16 }

// dhcp is for what keeps a host its addresses; the server's answers need not come from the address that was asked.
func dhcp(ports func(dhcpPorts) (source, destination uint16)) []exprs {
	var out []exprs
	for _, p := range []dhcpPorts{{68, 67}, {546, 547}} {
		source, destination := ports(p)
		out = append(out, udp(sourcePort, source).and(udp(destinationPort, destination)))
	}
	return out
}

func clientToServer(p dhcpPorts) (source, destination uint16) { return p.client, p.server }
func serverToClient(p dhcpPorts) (source, destination uint16) { return p.server, p.client }
