package redirect

import (
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"

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
	c, err := nftables.New()
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
	c, err := nftables.New()
	if err != nil {
		return err
	}
	if err := clear(c); err != nil {
		return err
	}
	return c.Flush()
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
	add(out, ofUser(r.ProxyUser).leave())
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
}

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
		add(fromAddress(from).and(toPort(r.AdminPort)).leave())
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
