package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/review/preflight"
)

func newCheckCmd() *cobra.Command {
	var from preflight.Sources
	var output output
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Look before and after an installation or an upgrade whether all is fit for it",
		Long: `Check asks meshc serve whether it answers, serves a mesh, and has one that is right on its disk; whether the proxies of all
members are connected, have taken the mesh and run one version of Envoy; and whether certificates end soon. Of each --envoy it
reads the certificates. It compares the clocks of all with that of this machine, and looks at what the kernel of this machine
allows: instances of inotify, and open files. Before there is a server, --server "" looks at this machine alone.

Each check that fails has a hint. It exits with 1 if one fails.`,
		Example: `  meshc check
  meshc check --server 127.0.0.1:15011 --envoy 127.0.0.1:15000 -o json
  meshc check --server ""`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			from.Limits = preflight.LimitsOfThisMachine()
			results := preflight.Run(cmd.Context(), from)
			var err error
			if output.program() {
				err = output.print(cmd.OutOrStdout(), results)
			} else {
				err = printChecks(cmd.OutOrStdout(), results)
			}
			if err == nil && slices.ContainsFunc(results, func(r preflight.Result) bool { return !r.Good }) {
				err = errFindings
			}
			return err
		},
	}
	f := cmd.Flags()
	addServers(cmd, &from.Servers)
	f.StringSliceVar(&from.Envoys, "envoy", nil, "admin addresses of Envoys, HOST:PORT")
	output.add(cmd, "text", "json", "yaml")
	return cmd
}

// printChecks writes a line for each check, and below it what to do.
func printChecks(w io.Writer, results []preflight.Result) error {
	for i := range results {
		r, mark := &results[i], "good"
		if !r.Good {
			mark = "FAIL"
		}
		of := r.Of
		if of != "" {
			of += ": "
		}
		if _, err := fmt.Fprintf(w, "%s  %s: %s%s\n", mark, r.Check, of, r.Text); err != nil {
			return err
		}
		if r.Hint != "" {
			if _, err := fmt.Fprintf(w, "      %s\n", r.Hint); err != nil {
				return err
			}
		}
	}
	return nil
}
