package redirect

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// Rules say what is redirected where.
type Rules struct {
	// InboundPort and OutboundPort are the proxy's.
	InboundPort, OutboundPort uint16
	// ProxyUser is the numeric id of the user that the proxy runs as: connections
	// of that user are not redirected.
	ProxyUser uint32
	// AdminPort is that of the proxy's own administration on loopback, to which the
	// proxy itself is never let: a name could lead a caller's requests there.
	AdminPort uint16
	// LocalPorts are the only ports on loopback to which the proxy is let, the
	// application's and that of a name server; empty for all but AdminPort.
	LocalPorts []uint16
	// InboundPorts are the only ports to which connections are redirected; empty
	// for all.
	InboundPorts []uint16
	// ExcludeInboundPorts and ExcludeOutboundPorts are ports to which connections
	// are left alone.
	ExcludeInboundPorts, ExcludeOutboundPorts []uint16
	// ExcludeOutboundRanges are networks to which connections are left alone.
	ExcludeOutboundRanges []netip.Prefix
}

// Validate reports what cannot be meant.
func (r *Rules) Validate() error {
	switch {
	case r.InboundPort == 0 || r.OutboundPort == 0:
		return errors.New("the proxy's ports are 1 to 65535")
	case r.AdminPort == 0:
		return errors.New("the port of the proxy's own administration is 1 to 65535")
	case slices.Contains(r.LocalPorts, r.AdminPort):
		return fmt.Errorf("port %d is that of the proxy's own administration, and none of the application's", r.AdminPort)
	case r.InboundPort == r.OutboundPort:
		return fmt.Errorf("the proxy's inbound and outbound port are both %d", r.InboundPort)
	case r.ProxyUser == 0:
		return errors.New("the proxy runs as user 0, as which everything else may run too: its own connections could not be told from theirs")
	case slices.Contains(r.InboundPorts, r.InboundPort) || slices.Contains(r.InboundPorts, r.OutboundPort):
		return errors.New("a connection to one of the proxy's own ports cannot be redirected to it")
	}
	for _, p := range r.ExcludeOutboundRanges {
		if !p.IsValid() {
			return errors.New("a range is not a valid CIDR range")
		}
	}
	return nil
}
