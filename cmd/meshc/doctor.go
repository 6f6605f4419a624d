package main

import (
	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/review/doctor"
)

func newDoctorCmd() *cobra.Command {
	var from doctor.Sources
	var dir, file string
	var output output
	var tags []string
	cmd := &cobra.Command{
		Use:   "doctor [NAME]",
		Short: "Find the first cause of what fails, and the line of the spec",
		Long: `Doctor asks meshc serve for the last 15 minutes of each edge, for what its proxies have taken and for the instances of
services, and the proxies on this host for what they count, and names the first cause of what fails: the one without which
the rest would end. It says where the spec says it, since when, who has to act, which edges and callers it reaches,
what has changed, and which command shows more. With a name it tells of what concerns that member. It needs neither
Prometheus nor a cluster's API.

With --bundle it asks nobody, and looks at what meshc bundle has collected.

Causes, and what each looks like, are in docs/doctor-causes.md. With -o json, or yaml, the answer is stable.

It exits with 0 when nothing is wrong, 1 when something was found, 2 when it cannot tell.`,
		Example: `  meshc doctor
  meshc doctor cart
  meshc doctor --server 127.0.0.1:15011 -o json
  meshc doctor --envoy 127.0.0.1:15000     # a proxy's administration, forwarded from its pod
  meshc doctor --bundle problem.tar.gz`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if file != "" {
				recorded, err := readBundle(file)
				if err != nil {
					return err
				}
				from = doctor.OfBundle(recorded)
			}
			o := doctor.Observe(cmd.Context(), from)
			if o.Mesh == nil && file == "" { // what the server serves is better known than what is written now
				o.Mesh, _, _ = meshSource(dirArgument(dir), tags).Load(cmd.Context()) // or none: meshc vet says why
			}
			name := ""
			if len(args) == 1 {
				name = args[0]
			}
			report := doctor.Examine(o, name)
			if root, found := load.Root("."); found && file == "" {
				report.Blame(cmd.Context(), o, root)
			}
			var err error
			if output.program() {
				err = output.print(cmd.OutOrStdout(), report)
			} else {
				err = report.Text(cmd.OutOrStdout())
			}
			if err != nil {
				return err
			}
			switch {
			case report.Good():
				return nil
			case report.Known():
				return errFindings
			}
			return exited(exitFault)
		},
	}
	f := cmd.Flags()
	addServers(cmd, &from.Servers)
	f.StringSliceVar(&from.Envoys, "envoy", nil, "admin addresses of proxies, HOST:PORT, besides those on this host")
	f.StringVar(&dir, "dir", "",
		"a mesh.json or a directory that holds it, for when no server answers; the spec is compiled without")
	f.StringVar(&file, "bundle", "", "a file of meshc bundle, to look at instead of servers and proxies")
	for _, other := range []string{"server", "envoy", "dir"} {
		cmd.MarkFlagsMutuallyExclusive("bundle", other)
	}
	output.add(cmd, "text", "json", "yaml")
	f.StringArrayVarP(&tags, "inject", "t", nil, "tag to inject, as with cue: key=value or key")
	return cmd
}
