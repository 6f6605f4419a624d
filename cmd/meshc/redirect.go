package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/host/redirect"
)

func newRedirectCmd() *cobra.Command {
	var rules redirect.Rules
	var inbound, excludeInbound, excludeOutbound, local []uint
	var ranges []string
	var podIP, hostIP string
	var remove bool
	cmd := &cobra.Command{
		Use:   "redirect",
		Short: "Hand the TCP connections of this host or pod to its proxy",
		Long: `Redirect sets rules of nftables in the network namespace it runs in: TCP connections to the host go to the proxy's
inbound port, and those from it to the proxy's outbound port. Connections of the proxy's own user, on loopback and to
what is excluded are left alone. It does so for IPv4 and IPv6.

Connections of the proxy itself are refused where a name server's answer could lead them to what trusts its own host or
network: to its administration, to other ports on loopback than --local-ports, and to link-local addresses and those where
clouds have the credentials of hosts, but for DNS there.

The rules stand in a table named meshc, which is replaced as a whole, so that the command may be run again; --remove takes
it away. It needs the capability NET_ADMIN.

On a host that is reached by SSH, name the ports to redirect (--inbound-ports) or exclude that of SSH.`,
		Example: `  meshc redirect --inbound-ports 8080 --local-ports 53,8080 --proxy-user 1337
  meshc redirect --exclude-inbound-ports 22 --exclude-outbound-ranges 10.96.0.0/12,fd00::/108
  meshc redirect --remove`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if remove {
				return privileged(redirect.Remove())
			}
			if podIP != "" && podIP == hostIP {
				return errors.New("this pod is in the network of its node (hostNetwork), where redirection would take the node's connections\n  hint: proxy: interception: \"explicit\"")
			}
			for _, list := range []struct {
				name string
				from []uint
				to   *[]uint16
			}{
				{"inbound-ports", inbound, &rules.InboundPorts},
				{"local-ports", local, &rules.LocalPorts},
				{"exclude-inbound-ports", excludeInbound, &rules.ExcludeInboundPorts},
				{"exclude-outbound-ports", excludeOutbound, &rules.ExcludeOutboundPorts},
			} {
				for _, port := range list.from {
					if port < 1 || port > 65535 {
						return usage(fmt.Errorf("--%s: %d is no port: 1 to 65535", list.name, port))
					}
					*list.to = append(*list.to, uint16(port))
				}
			}
			for _, text := range ranges {
				network, err := parseRange(text)
				if err != nil {
					return usage(fmt.Errorf("--exclude-outbound-ranges: %q is no network: write 10.0.0.0/8 or fd00::/8", text))
				}
				rules.ExcludeOutboundRanges = append(rules.ExcludeOutboundRanges, network)
			}
			if err := rules.Validate(); err != nil {
				return usage(err)
			}
			return privileged(redirect.Apply(rules))
		},
	}
	f := cmd.Flags()
	f.Uint16Var(&rules.InboundPort, "inbound-port", 15006, "port of the proxy that takes connections to this host")
	f.Uint16Var(&rules.OutboundPort, "outbound-port", 15001, "port of the proxy that takes connections from this host")
	f.Uint32Var(&rules.ProxyUser, "proxy-user", 1337, "numeric id of the user that the proxy runs as")
	f.Uint16Var(&rules.AdminPort, "admin-port", 15000, "port of the proxy's own administration on loopback, to which it never connects itself")
	f.UintSliceVar(&local, "local-ports", nil, "the only ports on loopback that the proxy may connect to: the application's, and 53 where names are looked up there (default all but --admin-port)")
	f.UintSliceVar(&inbound, "inbound-ports", nil, "the only ports to redirect connections to (default all)")
	f.UintSliceVar(&excludeInbound, "exclude-inbound-ports", nil, "ports of this host to leave alone")
	f.UintSliceVar(&excludeOutbound, "exclude-outbound-ports", nil, "ports of others to leave alone")
	f.StringSliceVar(&ranges, "exclude-outbound-ranges", nil, "networks of others to leave alone")
	f.StringVar(&podIP, "pod-ip", "", "in Kubernetes: address of this pod; that of its node, --host-ip, is refused")
	f.StringVar(&hostIP, "host-ip", "", "in Kubernetes: address of this pod's node")
	f.BoolVar(&remove, "remove", false, "take the rules away")
	return cmd
}

// parseRange is a network, or a single address.
func parseRange(text string) (netip.Prefix, error) {
	if network, err := netip.ParsePrefix(text); err == nil {
		return network, nil
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	return address.Prefix(address.BitLen())
}

// privileged says what is missing where the kernel says no.
func privileged(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return errors.New("the kernel does not let this process change its rules: run it as root, or with the capability NET_ADMIN")
	}
	return err
}
