package link

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/spec"
)

// broadcast is an address of no host.
var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// endpoint makes an instance at a known address. Taken are the addresses of its
// neighbours.
func (l *linker) endpoint(here place, e *spec.Endpoint, ports []ir.Port, taken map[string]*spec.Endpoint) ir.Endpoint {
	out := ir.Endpoint{
		Address: e.Address.Value, Ports: map[string]uint16{}, Zone: e.Zone.Value, Region: e.Region.Value,
		Weight: uint32(e.Weight.Or(1)), Pos: here.pos(e.Pos),
	}
	if addr, err := netip.ParseAddr(e.Address.Value); err != nil || addr.Zone() != "" || addr.IsUnspecified() ||
		addr.IsMulticast() || addr.Unmap() == broadcast {
		l.add(diag.BadAddress, here.field("address"), fmt.Sprintf("address is %q and must be the IP address of a host",
			e.Address.Value), here.pos(e.Address.Pos)).
			hint(`for a host name write workload: dns: "…"`)
	} else {
		out.Address = addr.Unmap().String()
		l.notForbidden(here.field("address"), out.Address, e.Local.Value, here.pos(e.Address.Pos))
		l.localTakesEffect(here, e.Local, []string{out.Address})
	}
	for label, value := range e.Labels {
		if out.Labels == nil {
			out.Labels = map[string]string{}
		}
		out.Labels[label] = value.Value
	}
	_, udp := apart(ports)
	for _, p := range ports {
		out.Ports[p.Name] = p.Number
	}
	for _, p := range udp { // which no proxy takes
		out.Ports[p.Name] = p.Target
	}
	if e.Port.IsSet() {
		if len(ports) == 1 {
			out.Ports[ports[0].Name] = uint16(e.Port.Value)
		} else {
			l.add(diag.BadEndpointPort, here.field("port"), fmt.Sprintf("port is ambiguous: the service has %d ports",
				len(ports)), here.pos(e.Port.Pos)).
				hint("write ports: NAME: %d", e.Port.Value)
		}
	}
	for _, name := range sortedKeys(e.Ports) {
		if _, known := out.Ports[name]; !known {
			l.add(diag.UnknownPort, here.field("ports."+name), fmt.Sprintf("the service has no port %q", name),
				here.pos(e.Ports[name].Pos)).
				hint("%s", l.didYouMean(name, portNames(ports)))
			continue
		}
		out.Ports[name] = uint16(e.Ports[name].Value)
	}
	used := map[string]string{}
	for _, name := range sortedKeys(out.Ports) {
		port := out.Ports[name]
		key := join(out.Address, port)
		if slices.ContainsFunc(udp, func(p ir.Port) bool { return p.Name == name }) {
			key += " (udp)"
		}
		if other, twice := used[key]; twice {
			l.add(diag.AddressTaken, here, fmt.Sprintf("the ports %s and %s are both at %s", other, name, key),
				here.pos(e.Pos))
		}
		used[key] = name
		if other := taken[key]; other != nil && other != e {
			l.add(diag.AddressTaken, here, "two instances have the address "+key, here.pos(e.Pos), here.pos(other.Pos))
		}
		taken[key] = e
	}
	out.Name = out.Address
	if len(ports) > 0 {
		out.Name = join(out.Address, out.Ports[ports[0].Name])
	}
	return out
}

func join(address string, port uint16) string {
	return net.JoinHostPort(address, strconv.Itoa(int(port)))
}

// splitHostPort takes HOST:PORT apart; the port is 1 to 65535.
func splitHostPort(s string) (host string, port uint16, ok bool) {
	host, p, err := net.SplitHostPort(s)
	if err != nil || host == "" {
		return "", 0, false
	}
	n, err := strconv.ParseUint(p, 10, 16)
	return host, uint16(n), err == nil && n > 0
}

func portNames(ports []ir.Port) []string {
	var names []string
	for _, p := range ports {
		names = append(names, p.Name)
	}
	return names
}
