// Package redirect sets up transparent interception on Linux: nftables rules in the network namespace of the process
// redirect the TCP connections of a host or a pod to its proxy (IPv4 and IPv6).
//
//   - Inbound connections go to the proxy's inbound port.
//   - Outbound connections go to the proxy's outbound port.
//
// Connections of the proxy itself, connections that stay on loopback, and excluded ports and networks are not
// redirected. Datagrams of UDP go by no proxy: those on declared ways pass, and others are refused. The proxy's own
// connections are refused if they go to loopback (except to the application), to link-local addresses, or to another
// network that no proxy may connect to ([ir.ForbiddenNetworks]). The proxy gets the original destination from the
// socket (SO_ORIGINAL_DST).
package redirect
