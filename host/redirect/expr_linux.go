package redirect

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"

	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/meshc/meshc/compiler/ir"
)

// exprs are the parts of a rule: conditions, and then what is done.
type exprs []expr.Any

// register is where conditions load what they compare.
const register = 1

func (e exprs) and(more exprs) exprs { return slices.Concat(e, more) }

// leave ends the chain: the connection stays as it is.
func (e exprs) leave() exprs {
	return e.and(exprs{&expr.Verdict{Kind: expr.VerdictReturn}})
}

// redirect hands the connection to that port of this host.
func (e exprs) redirect(port uint16) exprs {
	return e.and(exprs{
		&expr.Immediate{Register: register, Data: portBytes(port)},
		&expr.Redir{RegisterProtoMin: register, RegisterProtoMax: register},
	})
}

// reset refuses the connection, which must be TCP.
func (e exprs) reset() exprs {
	return e.and(exprs{&expr.Reject{Type: unix.NFT_REJECT_TCP_RST}})
}

// jump goes on in another chain, and then here.
func (e exprs) jump(chain string) exprs {
	return e.and(exprs{&expr.Verdict{Kind: expr.VerdictJump, Chain: chain}})
}

// tcp is for TCP alone.
func (e exprs) tcp() exprs {
	return e.and(exprs{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: register},
		equals([]byte{unix.IPPROTO_TCP}),
	})
}

// Which interface a packet came by or leaves by.
const (
	incoming = expr.MetaKeyIIFNAME
	outgoing = expr.MetaKeyOIFNAME
)

func onLoopback(direction expr.MetaKey) exprs {
	name := make([]byte, unix.IFNAMSIZ)
	copy(name, "lo")
	return exprs{&expr.Meta{Key: direction, Register: register}, equals(name)}
}

func ofUser(id uint32) exprs {
	return exprs{&expr.Meta{Key: expr.MetaKeySKUID, Register: register}, equals(binaryutil.NativeEndian.PutUint32(id))}
}

// The byte of a TCP header with the flags, and those by which a connection is opened.
const (
	tcpFlags = 13
	syn, ack = 0x02, 0x10
)

// opening is for the packet that opens a connection over TCP.
func opening() exprs {
	return exprs(nil).tcp().and(exprs{
		&expr.Payload{DestRegister: register, Base: expr.PayloadBaseTransportHeader, Offset: tcpFlags, Len: 1},
		&expr.Bitwise{
			SourceRegister: register, DestRegister: register, Len: 1, Mask: []byte{syn | ack},
			Xor: []byte{0},
		},
		equals([]byte{syn}),
	})
}

// destinationChanged is the bit of a connection's status in the kernel that its destination was another one
// (IPS_DST_NAT of linux/netfilter/nf_conntrack_common.h).
const destinationChanged = 1 << 5

// redirected is for connections that were made to another address.
func redirected() exprs {
	changed := binaryutil.NativeEndian.PutUint32(destinationChanged)
	return exprs{
		&expr.Ct{Key: expr.CtKeySTATUS, Register: register},
		&expr.Bitwise{SourceRegister: register, DestRegister: register, Len: 4, Mask: changed, Xor: make([]byte, 4)},
		equals(changed),
	}
}

// toPort is for TCP to that port.
func toPort(port uint16) exprs {
	return exprs(nil).tcp().and(exprs{
		&expr.Payload{DestRegister: register, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		equals(portBytes(port)),
	})
}

// toThisHost is for addresses of this host: what is forwarded is not its own.
func toThisHost() exprs {
	return exprs{
		&expr.Fib{Register: register, FlagDADDR: true, ResultADDRTYPE: true},
		equals(binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL)),
	}
}

// toNetwork is for addresses in a network.
func toNetwork(network netip.Prefix) exprs {
	address := network.Addr().AsSlice()
	return toAddress(address, mask(network.Bits(), len(address)))
}

// toForbidden is for addresses that no proxy may be led to.
func toForbidden(f ir.ForbiddenNetwork) exprs {
	address := f.Addr().AsSlice()
	bits := mask(f.Bits(), len(address))
	if f.Mask != 0 {
		low := len(address) - 8
		binary.BigEndian.PutUint64(address[low:], binary.BigEndian.Uint64(address[low:])|f.Low)
		binary.BigEndian.PutUint64(bits[low:], binary.BigEndian.Uint64(bits[low:])|f.Mask)
	}
	return toAddress(address, bits)
}

// toAddress is for destinations of which the bits in a mask are those of this address.
func toAddress(address, mask []byte) exprs {
	if len(address) == net.IPv6len {
		return addressed(unix.NFPROTO_IPV6, 24, address, mask)
	}
	return addressed(unix.NFPROTO_IPV4, 16, address, mask)
}

// fromNetwork is for packets from addresses in a network.
func fromNetwork(network netip.Prefix) exprs {
	address := network.Addr().AsSlice()
	bits := mask(network.Bits(), len(address))
	if len(address) == net.IPv6len {
		return addressed(unix.NFPROTO_IPV6, 8, address, bits)
	}
	return addressed(unix.NFPROTO_IPV4, 12, address, bits)
}

// addressed is for packets of a family with an address at that offset of their header of which the bits in a mask are
// those of this one.
func addressed(family byte, offset uint32, address, mask []byte) exprs {
	size := uint32(len(address))
	return exprs{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: register},
		equals([]byte{family}),
		&expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: size},
		&expr.Bitwise{
			SourceRegister: register, DestRegister: register, Len: size, Mask: mask, Xor: make([]byte, size),
		},
		equals(address),
	}
}

// mask has that many bits set, in front.
func mask(bits, size int) []byte {
	m := make([]byte, size)
	for i := range bits {
		m[i/8] |= 0x80 >> (i % 8)
	}
	return m
}

func equals(data []byte) expr.Any {
	return &expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: data}
}
