package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/host/redirect"
)

// redirectOptions are the flags of meshc redirect.
type redirectOptions struct {
	redirect.Rules
	// The ports and networks of the rules, as they are written.
	inbound, excludeInbound, excludeOutbound, local []uint
	ranges                                          []string
	podIP, hostIP, adminSource                      string
	own                                             []string
	udpInbound, udpOutbound                         []string
	remove                                          bool
}

func newRedirectCmd() *cobra.Command {
	var o redirectOptions
	cmd := &cobra.Command{
		Use:   "redirect",
		Short: "Hand the TCP connections of this host or pod to its proxy, and close undeclared UDP",
		Long: `Redirect sets rules of nftables in the network namespace it runs in: TCP connections to the host go to the proxy's
inbound port, and those from it to the proxy's outbound port. Connections of the proxy's own user, on loopback and to
what is excluded are left alone, and those to this host's own addresses at other ports than --own-ports. It does so for
IPv4 and IPv6.

Connections of the proxy itself are refused where a name server's answer could lead them to what trusts its own host or
network: to its administration, to other ports on loopback than --local-ports, and to link-local addresses and those where
clouds have the credentials of hosts, but for DNS there.

Datagrams of UDP are not redirected. Those to this host pass to the ports of --udp-inbound, and those from it to what
--udp-outbound names and to port 53; answers pass, and so do DHCP and loopback. Everything else is refused: meshc describe
says what the mesh declares of a service. On a host whose other programs need UDP, as for NTP, name it too, or "all".

The rules stand in a table named meshc, which is replaced as a whole, so that the command may be run again; --remove takes
it away. It needs the capability NET_ADMIN.

On a host that is reached by SSH, name the ports to redirect (--inbound-ports) or exclude that of SSH.`,
		Example: `  meshc redirect --inbound-ports 8080 --local-ports 53,8080 --proxy-user 1337
  meshc redirect --exclude-inbound-ports 22 --exclude-outbound-ranges 10.96.0.0/12,fd00::/108
  meshc redirect --inbound-ports 8080 --udp-inbound 8125@10.0.0.7 --udp-outbound 123,514@10.20.0.0/16
  meshc redirect --remove`,
		Args: cobra.NoArgs,
		RunE: o.run,
	}
	f := cmd.Flags()
	f.Uint16Var(&o.InboundPort, "inbound-port", 15006, "port of the proxy that takes connections to this host")
	f.Uint16Var(&o.OutboundPort, "outbound-port", 15001, "port of the proxy that takes connections from this host")
	f.Uint32Var(&o.ProxyUser, "proxy-user", 1337, "numeric id of the user that the proxy runs as")
	f.Uint16Var(&o.AdminPort, "admin-port", 15000,
		"port of the proxy's own administration on loopback, to which it never connects itself")
	f.StringVar(&o.adminSource, "admin-source", "", "with mesh.telemetry.metrics "+ir.MetricsSource+
		", the address from which the proxy connects to its administration all the same, for its metrics")
	f.UintSliceVar(&o.local, "local-ports", nil,
		"the only ports on loopback that the proxy may connect to: the application's, and 53 where names are looked up there (default all but --admin-port)")
	f.UintSliceVar(&o.inbound, "inbound-ports", nil, "the only ports to redirect connections to (default all)")
	f.UintSliceVar(&o.excludeInbound, "exclude-inbound-ports", nil, "ports of this host to leave alone")
	f.UintSliceVar(&o.excludeOutbound, "exclude-outbound-ports", nil, "ports of others to leave alone")
	f.StringSliceVar(&o.ranges, "exclude-outbound-ranges", nil, "networks of others to leave alone")
	f.StringSliceVar(&o.own, "own-ports", nil,
		"ports of the service on this host that it calls itself, by uses of itself: NUMBER, or NUMBER:TARGET where callers reach an instance at another port")
	f.StringSliceVar(&o.udpInbound, "udp-inbound", nil,
		"ports of UDP of this host that others may reach: PORT, or PORT@ADDRESS or PORT@RANGE of those that may; all for every port")
	f.StringSliceVar(&o.udpOutbound, "udp-outbound", nil,
		"ports of UDP of others that this host may reach, written alike")
	f.StringVar(&o.podIP, "pod-ip", "", "in Kubernetes: address of this pod; that of its node, --host-ip, is refused")
	f.StringVar(&o.hostIP, "host-ip", "", "in Kubernetes: address of this pod's node")
	f.BoolVar(&o.remove, "remove", false, "take the rules away")
	return cmd
}

// run sets the rules, or takes them away.
func (o *redirectOptions) run(*cobra.Command, []string) error {
	if o.remove {
		return privileged(redirect.Remove())
	}
	if o.podIP != "" && o.podIP == o.hostIP {
		return errors.New("this pod is in the network of its node (hostNetwork), where redirection would take the node's connections\n  hint: proxy: interception: \"explicit\"")
	}
	if err := o.read(); err != nil {
		return usage(err)
	}
	return privileged(redirect.Apply(o.Rules))
}

// read reads the ports and networks into the rules.
func (o *redirectOptions) read() error {
	for _, list := range []struct {
		name string
		from []uint
		to   *[]uint16
	}{
		{"inbound-ports", o.inbound, &o.InboundPorts},
		{"local-ports", o.local, &o.LocalPorts},
		{"exclude-inbound-ports", o.excludeInbound, &o.ExcludeInboundPorts},
		{"exclude-outbound-ports", o.excludeOutbound, &o.ExcludeOutboundPorts},
	} {
		for _, port := range list.from {
			if port < 1 || port > 65535 {
				return fmt.Errorf("--%s: %d is not a valid port: 1 to 65535", list.name, port)
			}
			*list.to = append(*list.to, uint16(port))
		}
	}
	for _, text := range o.own {
		port, err := parseOwnPort(text)
		if err != nil {
			return fmt.Errorf("--own-ports: %q is not a valid port: write 5432, or 80:8080", text)
		}
		o.OwnPorts = append(o.OwnPorts, port)
	}
	if o.adminSource != "" {
		source, err := netip.ParseAddr(o.adminSource)
		if err != nil {
			return fmt.Errorf("--admin-source: %q is not a valid IP address: write %s", o.adminSource, ir.MetricsSource)
		}
		o.AdminSource = source
	}
	for _, list := range []struct {
		name string
		from []string
		to   *[]ir.UDPPath
	}{{"udp-inbound", o.udpInbound, &o.UDPInbound}, {"udp-outbound", o.udpOutbound, &o.UDPOutbound}} {
		for _, text := range list.from {
			path, err := ir.ParseUDPPath(text)
			if err != nil {
				return fmt.Errorf("--%s: %w: write 8125, 8125@10.0.0.7 or 8125@10.0.0.0/8", list.name, err)
			}
			*list.to = append(*list.to, path)
		}
	}
	for _, text := range o.ranges {
		network, err := parseRange(text)
		if err != nil {
			return fmt.Errorf("--exclude-outbound-ranges: %q is not a valid CIDR range: write 10.0.0.0/8 or fd00::/8",
				text)
		}
		o.ExcludeOutboundRanges = append(o.ExcludeOutboundRanges, network)
	}
	return o.Validate()
}

// parseOwnPort is NUMBER or NUMBER:TARGET.
func parseOwnPort(text string) (redirect.OwnPort, error) {
	number, target, both := strings.Cut(text, ":")
	if !both {
		target = number
	}
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil {
		return redirect.OwnPort{}, err
	}
	t, err := strconv.ParseUint(target, 10, 16)
	return redirect.OwnPort{Number: uint16(n), Target: uint16(t)}, err
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

// privileged says what is missing where the kernel refuses.
func privileged(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return errors.New("the kernel does not let this process change its rules: run it as root, or with the capability NET_ADMIN")
	}
	return err
}
