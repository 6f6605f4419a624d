package redirect

import (
	"errors"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/mdlayher/netlink"

	"github.com/meshc/meshc/compiler/ir"
)

// tableName is that of the only table that is ours; it holds all the rules.
const tableName = "meshc"

// Apply installs the rules and replaces those of an earlier call, in one transaction, so that there is no moment
// without rules. It returns an error if the rules are not valid ([Rules.Validate]), or if the kernel refuses them:
// the process needs CAP_NET_ADMIN.
func Apply(r Rules) error {
	if err := r.Validate(); err != nil {
		return err
	}
	c, err := connect()
	if err != nil {
		return err
	}
	if err := clear(c); err != nil {
		return err
	}
	build(c, r)
	return c.Flush()
}

// Remove removes the rules that [Apply] installed. It is not an error if there are none.
func Remove() error {
	c, err := connect()
	if err != nil {
		return err
	}
	if err := clear(c); err != nil {
		return err
	}
	return c.Flush()
}

// buffers are the size of the socket's buffers, in bytes. All rules go to the kernel as one message, and the kernel
// answers each, before anything is read: where an answer does not fit, the caller is not told whether the rules hold.
const buffers = 16 << 20

func connect() (*nftables.Conn, error) {
	return nftables.New(nftables.WithSockOptions(func(c *netlink.Conn) error {
		return errors.Join(c.SetReadBuffer(buffers), c.SetWriteBuffer(buffers))
	}))
}

// clear has the transaction begin without our table.
func clear(c *nftables.Conn) error {
	tables, err := c.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return err
	}
	for _, t := range tables {
		if t.Name == tableName {
			c.DelTable(t)
		}
	}
	return nil
}

func build(c *nftables.Conn, r Rules) {
	table := c.AddTable(&nftables.Table{Name: tableName, Family: nftables.TableFamilyINet})
	in := c.AddChain(&nftables.Chain{
		Name: "inbound", Table: table, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityNATDest,
	})
	add := func(chain *nftables.Chain, e exprs) { c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: e}) }
	add(in, onLoopback(incoming).leave())
	for _, port := range slices.Concat([]uint16{r.InboundPort, r.OutboundPort}, r.ExcludeInboundPorts) {
		add(in, toPort(port).leave())
	}
	if len(r.InboundPorts) == 0 {
		add(in, toThisHost().tcp().redirect(r.InboundPort))
	}
	for _, port := range r.InboundPorts {
		add(in, toThisHost().and(toPort(port)).redirect(r.InboundPort))
	}
	out := c.AddChain(&nftables.Chain{
		Name: "outbound", Table: table, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityNATDest,
	})
	for _, network := range loopback {
		add(out, toNetwork(network).leave())
	}
	for _, port := range r.OwnPorts {
		add(out, ofUser(r.ProxyUser).and(toThisHost()).and(toPort(port.Target)).redirect(r.InboundPort))
	}
	add(out, ofUser(r.ProxyUser).leave())
	for _, port := range r.OwnPorts {
		add(out, toThisHost().and(toPort(port.Number)).redirect(r.OutboundPort))
	}
	add(out, onLoopback(outgoing).leave())
	add(out, toThisHost().leave())
	for _, port := range r.ExcludeOutboundPorts {
		add(out, toPort(port).leave())
	}
	for _, network := range r.ExcludeOutboundRanges {
		add(out, toNetwork(network.Masked()).leave())
	}
	add(out, exprs(nil).tcp().redirect(r.OutboundPort))
	confine(c, table, r)
	closeUDP(c, table, r)
}

// loopback is what no connection to leaves this host's own programs.
var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// nameServer is the port of DNS, which some keep at a link-local address.
const nameServer = 53

// confine refuses connections of the proxy to where nothing is that it may be led to,
// whatever a name server answers. It judges where a connection goes in the end, and
// no answers within connections that were opened by others.
func confine(c *nftables.Conn, table *nftables.Table, r Rules) {
	output := c.AddChain(&nftables.Chain{
		Name: "proxy", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityFilter,
	})
	chain := c.AddChain(&nftables.Chain{Name: "forbidden", Table: table})
	c.AddRule(&nftables.Rule{Table: table, Chain: output, Exprs: ofUser(r.ProxyUser).and(opening()).jump(chain.Name)})
	add := func(e exprs) { c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: e}) }
	if from := r.AdminSource; from.IsValid() {
		add(fromNetwork(netip.PrefixFrom(from, from.BitLen())).and(toPort(r.AdminPort)).leave())
	}
	if len(r.OwnPorts) > 0 {
		add(redirected().and(toPort(r.InboundPort)).leave())
	}
	for _, f := range ir.ForbiddenNetworks(false) {
		to := toForbidden(f)
		switch {
		case !f.Addr().IsLoopback():
			add(to.and(toPort(nameServer)).leave())
			add(to.reset())
		case len(r.LocalPorts) == 0:
			add(to.and(toPort(r.AdminPort)).reset())
		default:
			for _, port := range r.LocalPorts {
				add(to.and(toPort(port)).leave())
			}
			add(to.reset())
		}
	}
}

func portBytes(port uint16) []byte { return binaryutil.BigEndian.PutUint16(port) }
