package redirect

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/meshc/meshc/compiler/ir"
)

// Rules say which connections are redirected, and to which ports. All ports are TCP ports from 1 to 65535.
type Rules struct {
	// InboundPort and OutboundPort are the ports on which the proxy accepts redirected connections. Both are
	// required, and they must differ.
	InboundPort, OutboundPort uint16
	// ProxyUser is the numeric user ID of the proxy; 0 (root) is not allowed. Connections of this user are not
	// redirected.
	ProxyUser uint32
	// AdminPort is the port of the proxy's administration interface on loopback. It is required. The proxy itself may
	// not connect to it, because a name that resolves to loopback could direct a caller's request there.
	AdminPort uint16
	// AdminSource is the only address on loopback from which the proxy may connect to its administration all the same,
	// to answer who reads its metrics; zero for none. Only the mesh's own configuration has the proxy connect from it.
	AdminSource netip.Addr
	// LocalPorts are the ports on loopback to which the proxy may connect: those of the application and of the name
	// server. If the list is empty, it may connect to all ports except AdminPort.
	LocalPorts []uint16
	// InboundPorts are the ports whose inbound connections are redirected; empty means all ports.
	InboundPorts []uint16
	// OwnPorts are the ports of the service on this host that its own application calls too: connections to them at
	// addresses of this host that are not loopback go by the proxy, as if they came from another host.
	OwnPorts []OwnPort
	// ExcludeInboundPorts and ExcludeOutboundPorts are destination ports whose connections are not redirected.
	ExcludeInboundPorts, ExcludeOutboundPorts []uint16
	// ExcludeOutboundRanges are destination networks whose connections are not redirected.
	ExcludeOutboundRanges []netip.Prefix
	// UDPInbound and UDPOutbound are the only ways on which datagrams come to this host and leave it, besides answers,
	// DHCP, and those to name servers. What the proxy excludes of connections is not among them.
	UDPInbound, UDPOutbound []ir.UDPPath
}

// OwnPort is a port of the service on this host.
type OwnPort struct {
	// Number is what the application connects to, and Target what its proxy does: where others reach the instance.
	Number, Target uint16
}

// Validate returns an error that describes the first value that is missing, out of range, or in conflict with another
// one.
func (r *Rules) Validate() error {
	switch {
	case r.InboundPort == 0 || r.OutboundPort == 0:
		return errors.New("the proxy's ports are 1 to 65535")
	case r.AdminPort == 0:
		return errors.New("the proxy's admin port must be 1 to 65535")
	case slices.Contains(r.LocalPorts, r.AdminPort):
		return fmt.Errorf("port %d is the proxy's admin port, not one of the application's", r.AdminPort)
	case r.AdminSource.IsValid() && !r.AdminSource.IsLoopback():
		return fmt.Errorf("%s is not an address on loopback", r.AdminSource)
	case r.InboundPort == r.OutboundPort:
		return fmt.Errorf("the proxy's inbound and outbound port are both %d", r.InboundPort)
	case r.ProxyUser == 0:
		return errors.New("the proxy runs as user 0, as other processes may: its connections could not be told from theirs")
	case slices.Contains(r.InboundPorts, r.InboundPort) || slices.Contains(r.InboundPorts, r.OutboundPort):
		return errors.New("a connection to one of the proxy's own ports cannot be redirected to it")
	}
	for _, p := range r.OwnPorts {
		if p.Number == 0 || p.Target == 0 {
			return errors.New("an own port is 1 to 65535")
		}
		if slices.Contains([]uint16{r.InboundPort, r.OutboundPort}, p.Target) {
			return fmt.Errorf("port %d is the proxy's, and not one of the application's", p.Target)
		}
	}
	for _, p := range r.ExcludeOutboundRanges {
		if !p.IsValid() {
			return errors.New("a range is not a valid CIDR range")
		}
	}
	return nil
}
