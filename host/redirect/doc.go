// Package redirect hands the TCP connections of a host, or of a pod, to its proxy,
// by rules of nftables in the network namespace of the process:
//
//   - connections to the host go to the proxy's inbound port,
//   - connections from it go to the proxy's outbound port,
//
// but for the proxy's own, what stays on loopback, and what is excluded. The proxy's own
// are refused where they lead to loopback, but for the application, to link-local
// addresses, or to what else no proxy may be led to ([ir.ForbiddenNetworks]). The
// proxy finds the original address in the socket (SO_ORIGINAL_DST). IPv4 and IPv6
// are treated alike. It is for Linux.
package redirect
