package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/render/envoy"
	"github.com/meshc/meshc/review/config"
	"github.com/meshc/meshc/serve"
)

// configFlags say whose configuration is wanted, and from where.
type configFlags struct {
	instance, server, envoy, dump, dir string
	output                             output
	resources                          []string
	tags                               []string
}

func newConfigCmd() *cobra.Command {
	var flags configFlags
	cmd := &cobra.Command{
		Use:   "config [service | gateway] NAME",
		Short: "Show a proxy's configuration as compiled, as served and as its Envoy has it, and in what they differ",
		Long: `Config lists the xDS resources of one proxy: as the mesh compiles to them, as meshc serve serves them, and, with --envoy or
--dump, as its Envoy has them. Each has the line of the spec that it comes from, and a hash in each place. What differs
is shown below, line by line. Lines of the spec that moved do not count.

The Envoy is asked at its admin address, which listens on loopback: in Kubernetes "kubectl port-forward POD 15000" makes
it reachable. A saved answer to GET /config_dump?include_eds does as well. Without meshc serve only a mesh with delivery
"static" is compiled here: what else is compiled depends on what the server knows.

It exits with 1 if the places differ.`,
		Example: `  meshc config cart
  meshc config cart --envoy 127.0.0.1:15000
  meshc config gateway public --resource inbound -o yaml`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c := &comparison{flags: flags}
			if err := c.run(cmd, args); err != nil {
				return err
			}
			differs, err := c.print(cmd.OutOrStdout())
			if err == nil && differs {
				err = errFindings
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&flags.instance, "instance", "", "the proxy of this instance; the first that is connected without")
	addServer(cmd, &flags.server)
	f.StringVar(&flags.envoy, "envoy", "", "admin address of the proxy's Envoy, HOST:PORT")
	f.StringVar(&flags.dump, "dump", "", "a file with its answer to GET /config_dump?include_eds, or - for standard input")
	f.StringVar(&flags.dir, "dir", "", "a mesh.json or a directory that holds it; the spec is compiled without")
	f.StringArrayVar(&flags.resources, "resource", nil, "show resources of this name alone")
	flags.output.add(cmd, "table", "yaml", "json")
	cmd.ValidArgsFunction = completeMembers(ir.KindService, ir.KindGateway)
	f.StringArrayVarP(&flags.tags, "inject", "t", nil, "tag to inject, as with cue: key=value or key")
	return cmd
}

// maxDump bounds a dump on the standard input, in bytes.
const maxDump = 512 << 20

// comparison is of one proxy.
type comparison struct {
	flags  configFlags
	member ir.Ref
	node   string
	places [3]string // what is compared, in words; "" for a place that is not known
	served *serve.Configuration
	states config.States
	rows   []config.Row
}

func (c *comparison) run(cmd *cobra.Command, args []string) error {
	if c.flags.envoy != "" && c.flags.dump != "" {
		return usage(errors.New("--envoy and --dump are two places of one configuration: give one of them"))
	}
	m, err := describedMesh(cmd, c.flags.dir, c.flags.tags)
	if err != nil {
		return err
	}
	if c.member, err = proxied(m, args); err != nil {
		return err
	}
	if err := c.askEnvoy(cmd, m); err != nil {
		return err
	}
	if err := c.askServer(cmd, m); err != nil {
		return err
	}
	if err := c.compile(cmd, m); err != nil {
		return err
	}
	rows, err := config.Compare(c.states)
	for _, r := range rows {
		if len(c.flags.resources) == 0 || slices.Contains(c.flags.resources, r.Name) {
			c.rows = append(c.rows, r)
		}
	}
	if err == nil && len(c.rows) == 0 && len(c.flags.resources) > 0 {
		return fmt.Errorf("%s has no resource %s", c.member, strings.Join(c.flags.resources, " or "))
	}
	return err
}

// proxied is the member that the arguments name.
func proxied(m *ir.Mesh, args []string) (ir.Ref, error) {
	name := args[len(args)-1]
	s, g := m.Service(name), m.Gateway(name)
	if len(args) == 2 {
		switch args[0] {
		case "service":
			g = nil
		case "gateway":
			s = nil
		default:
			return ir.Ref{}, usage(fmt.Errorf("kind %q is not service or gateway", args[0]))
		}
	}
	switch {
	case s != nil && g != nil:
		return ir.Ref{}, usage(fmt.Errorf("%s is a service and a gateway: write \"meshc config service %s\" or \"meshc config gateway %s\"",
			name, name, name))
	case s != nil:
		return ir.ServiceRef(s.Name), nil
	case g != nil:
		return ir.GatewayRef(g.Name), nil
	}
	return ir.Ref{}, m.Missing(cmp.Or(strings.Join(args[:len(args)-1], ""), "service or gateway"), name)
}

// askEnvoy reads what the Envoy has, and so whose proxy it is.
func (c *comparison) askEnvoy(cmd *cobra.Command, m *ir.Mesh) error {
	data, from, err := c.flags.readDump(cmd)
	if err != nil || from == "" {
		return err
	}
	dump, err := config.ParseDump(data)
	if err != nil {
		return fmt.Errorf("%s does not hold a config_dump of Envoy", from)
	}
	kind, name, instance, err := envoy.ParseNodeID(dump.Node)
	if err != nil || (ir.Ref{Kind: kind, Name: name}) != c.member {
		return fmt.Errorf("%s is of the proxy %s, and not of %s", from, dump.Node, c.member)
	}
	if c.flags.instance != "" && c.flags.instance != instance {
		return fmt.Errorf("%s is of the proxy %s, and not of the instance %s", from, dump.Node, c.flags.instance)
	}
	c.node, c.places[2], c.states.Envoy = dump.Node, from, dump.Dynamic
	if m.Delivery == ir.DeliveryStatic {
		c.states.Envoy = dump.Static
	}
	return nil
}

// readDump reads the answer of an Envoy; from is empty when none is wanted.
func (f *configFlags) readDump(cmd *cobra.Command) (data []byte, from string, err error) {
	switch {
	case f.dump == "-":
		data, err = io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxDump))
		return data, "standard input", err
	case f.dump != "":
		data, err = os.ReadFile(f.dump)
		if err != nil {
			return nil, "", fmt.Errorf("the dump cannot be read: %w", errors.Unwrap(err))
		}
		return data, f.dump, nil
	case f.envoy != "":
		_, data, err = get(cmd, f.envoy, "/config_dump?include_eds")
		if errors.Is(err, errNoAnswer) {
			err = fmt.Errorf("no Envoy answers at %s: is this its admin address?", f.envoy)
		}
		return data, f.envoy, err
	}
	return nil, "", nil
}

// askServer reads what meshc serve serves. A server that nobody named need not be there.
func (c *comparison) askServer(cmd *cobra.Command, m *ir.Mesh) error {
	if m.Delivery == ir.DeliveryStatic {
		return nil
	}
	if c.node == "" {
		report, _, err := fetchStatus(cmd, c.flags.server)
		if err != nil {
			return err
		}
		if c.node = connected(report, c.member, c.flags.instance); c.node == "" {
			which := c.member.String()
			if c.flags.instance != "" {
				which += ", instance " + c.flags.instance + ","
			}
			return fmt.Errorf("no proxy of %s is connected to meshc serve at %s\n  hint: --envoy shows what its Envoy has",
				which, c.flags.server)
		}
	}
	raw, err := ask(cmd, c.flags.server, "/config?node="+url.QueryEscape(c.node))
	if err != nil {
		if c.places[2] != "" && !cmd.Flags().Changed("server") {
			fmt.Fprintf(cmd.ErrOrStderr(), "%v\n", err)
			return nil
		}
		return err
	}
	c.served = &serve.Configuration{}
	if json.Unmarshal(raw, c.served) != nil {
		return errors.New("the server at " + c.flags.server + " is not meshc serve")
	}
	c.places[1], c.states.Served = "meshc serve at "+c.flags.server, c.served.Resources
	return nil
}

// connected is the node id of a member's proxy; "" when none is connected.
func connected(r *serve.Report, member ir.Ref, instance string) string {
	for _, p := range r.Proxies {
		kind, name, at, err := envoy.ParseNodeID(p.Node)
		if err == nil && p.Connected && (ir.Ref{Kind: kind, Name: name}) == member && (instance == "" || at == instance) {
			return p.Node
		}
	}
	return ""
}

// compile renders what the spec says for that proxy.
func (c *comparison) compile(cmd *cobra.Command, m *ir.Mesh) error {
	o, from := envoy.Options{Instance: c.flags.instance}, cmp.Or(c.flags.dir, "the spec in this directory")
	switch {
	case m.Delivery == ir.DeliveryStatic && c.node != "":
		if _, _, instance, err := envoy.ParseNodeID(c.node); err == nil {
			o.Instance = instance
		}
	case m.Delivery == ir.DeliveryStatic:
		c.node = envoy.NodeID(c.member.Kind, c.member.Name, o.Instance)
	case c.served == nil:
		return nil // it depends on what a server knows
	case c.served.Placed:
		loaded, err := c.loaded(cmd)
		if err != nil {
			return err
		}
		m, o, from = loaded, c.served.Options, "the mesh that meshc up runs on this machine"
	default:
		o = c.served.Options
	}
	set, err := config.Compiled(m, c.member, o, time.Now())
	if err != nil {
		return err
	}
	c.states.Compiled, c.places[0] = set, from
	return nil
}

// loaded is the mesh that the server has loaded.
func (c *comparison) loaded(cmd *cobra.Command) (*ir.Mesh, error) {
	raw, err := ask(cmd, c.flags.server, "/mesh")
	if err != nil {
		return nil, err
	}
	return ir.Unmarshal(raw)
}

func (c *comparison) print(w io.Writer) (differs bool, err error) {
	differs = slices.ContainsFunc(c.rows, func(r config.Row) bool { return r.Differs })
	switch c.flags.output.form {
	case "json":
		return differs, writeJSON(w, c.report(differs))
	case "yaml":
		return differs, c.printBodies(w)
	}
	return differs, c.printTable(w)
}
