package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/identity/apiserver"
	"github.com/meshc/meshc/render/meshfile"
	"github.com/meshc/meshc/review/preflight"
)

func newCheckCmd() *cobra.Command {
	var from preflight.Sources
	var output output
	var target targetFlags
	cluster := false
	cmd := &cobra.Command{
		Use:   "check [DIR]",
		Short: "Look before and after an installation or an upgrade whether all is fit for it",
		Long: `Check asks meshc serve whether it answers, serves a mesh, and has one that is right on its disk; whether the proxies of all
members are connected, have taken the mesh and run one version of Envoy; and whether certificates end soon. Of each --envoy it
reads the certificates. It compares the clocks of all with that of this machine, and looks at what the kernel of this machine
allows: instances of inotify, and open files. Before there is a server, --server "" looks at this machine alone.

With --cluster it asks the Kubernetes API, too: whether it answers and is new enough, whether nodes are ready, and whether
the pods of members have a proxy, by the mesh in DIR, which meshc compile wrote (out, unless another is named; without one
no pods are looked at).

Each check that fails has a hint. It exits with 1 if one fails.`,
		Example: `  meshc check
  meshc check --server 127.0.0.1:15011 --envoy 127.0.0.1:15000 -o json
  meshc check --server ""
  meshc check --server "" --cluster --context production`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case cluster:
				var err error
				if from.Cluster, err = target.checked(cmd.Context(), args); err != nil {
					return err
				}
			case len(args) > 0:
				return usage(errors.New("DIR is for --cluster"))
			}
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
	f.BoolVar(&cluster, "cluster", false, "look at a Kubernetes cluster, too")
	target.addCluster(f)
	output.add(cmd, "text", "json", "yaml")
	return cmd
}

// checked is the cluster that is looked at, and the mesh whose pods have proxies, if it is in the directory.
func (t *targetFlags) checked(ctx context.Context, args []string) (*preflight.Cluster, error) {
	config, err := t.config()
	if err != nil {
		return nil, err
	}
	out := &preflight.Cluster{Address: config.Host}
	if out.Client, err = apiserver.NewClient(config); err != nil {
		return nil, err
	}
	dir := append(args, "out")[0]
	if _, err := os.Stat(filepath.Join(dir, meshfile.Name)); errors.Is(err, fs.ErrNotExist) && len(args) == 0 {
		return out, nil
	}
	out.Mesh, _, err = meshfile.File(dir).Load(ctx)
	return out, err
}

// printChecks writes a line for each check, and below it what to do. What a cluster or a server says of itself begins
// no line of its own.
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
		if _, err := fmt.Fprintf(w, "%s  %s: %s%s\n", mark, r.Check, diag.Printable(of), diag.Printable(r.Text)); err != nil {
			return err
		}
		if r.Hint != "" {
			if _, err := fmt.Fprintf(w, "      %s\n", diag.Printable(r.Hint)); err != nil {
				return err
			}
		}
	}
	return nil
}
