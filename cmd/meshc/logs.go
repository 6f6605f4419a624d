package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/review/logs"
)

// logsOptions are the flags of meshc logs.
type logsOptions struct {
	dir    string
	output output
	tags   []string
}

func newLogsCmd() *cobra.Command {
	var o logsOptions
	cmd := &cobra.Command{
		Use:   "logs [FILE]",
		Short: "Explain lines of access logs",
		Long: `Logs compiles the mesh, or reads a compiled one, reads lines of access logs from a file or standard input, and explains each:
what the response flags and the details of Envoy mean, which route and rule decided and where they stand in the spec, then
and now, and what meshc try says of such a request now. It reads what proxies write by telemetry.accessLog as "json" and
"text", and Envoy's default format, which names less. Other lines are left out. Queries are not printed.`,
		Example: `  kubectl logs deploy/cart -c meshc-proxy | meshc logs
  meshc logs /var/log/envoy/access.log --dir out -o json`,
		Args: cobra.MaximumNArgs(1),
		RunE: o.run,
	}
	cmd.Flags().StringVar(&o.dir, "dir", "", "a mesh.json or a directory that holds it; the spec is compiled without")
	o.output.add(cmd, "text", "json")
	cmd.Flags().StringArrayVarP(&o.tags, "inject", "t", nil, "tag to inject, as with cue: key=value or key")
	return cmd
}

func (o *logsOptions) run(cmd *cobra.Command, args []string) error {
	m, err := describedMesh(cmd, o.dir, o.tags)
	if err != nil {
		return err
	}
	return o.explain(cmd, m, args)
}

// explain writes one explanation for each line that is known, as soon as it has read it.
func (o *logsOptions) explain(cmd *cobra.Command, m *ir.Mesh, files []string) error {
	var failed error
	err := readLogs(cmd, files, func(text string) {
		line, known := logs.Parse(text)
		if !known || failed != nil {
			return
		}
		e := logs.Explain(m, line)
		if o.output.program() {
			failed = o.output.print(cmd.OutOrStdout(), e)
		} else {
			failed = e.Text(cmd.OutOrStdout())
		}
	})
	return errors.Join(failed, err)
}
