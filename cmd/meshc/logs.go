package main

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/review/logs"
)

// maxLogLine bounds a line of a log, in bytes.
const maxLogLine = 1 << 20

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
	in := cmd.InOrStdin()
	if len(args) == 1 {
		f, err := os.Open(args[0])
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	return o.explain(cmd.Context(), cmd.OutOrStdout(), m, in)
}

// explain writes one explanation for each line that is known, as soon as it has read it.
func (o *logsOptions) explain(ctx context.Context, w io.Writer, m *ir.Mesh, in io.Reader) error {
	var failed error
	err := readLines(ctx, in, func(text string) {
		line, known := logs.Parse(text)
		if !known || failed != nil {
			return
		}
		e := logs.Explain(m, line)
		if o.output.program() {
			failed = o.output.print(w, e)
		} else {
			failed = e.Text(w)
		}
	})
	return errors.Join(failed, err)
}
