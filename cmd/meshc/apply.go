package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

func newApplyCmd() *cobra.Command {
	var target targetFlags
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "apply [DIR]",
		Short: "Apply a compiled mesh to a cluster, in stages, and wait for it",
		Long: `Apply makes a cluster have what meshc compile wrote (out, unless another directory is named), for those without Flux:
the Namespaces, the certificates, the control plane, the members; server-side, each stage when the one before is ready, and
the members when every proxy that is connected has taken the new mesh. It then deletes what it made before and is no
more, and nothing else: an object that was there before meshc apply, or that somebody else has made since, gets what the
mesh says, and is never deleted. What belongs to Flux is left alone. It may be interrupted and run again.

The pods of teams' own workloads are not its matter: see the Kustomize components in kubernetes/NAMESPACE/sidecar, and
meshc inject.`,
		Example: `  meshc compile ./... -o out && meshc apply
  meshc apply out --context staging --timeout 2m`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, m, c, err := target.load(cmd.Context(), args)
			if err != nil {
				return err
			}
			c.Timeout = timeout
			c.Tell = func(line string) { fmt.Fprintln(cmd.OutOrStdout(), line) }
			return c.Apply(cmd.Context(), dir, m)
		},
	}
	target.add(cmd.Flags())
	cmd.Flags().DurationVar(&timeout, "timeout", 5*time.Minute, "how long each stage may take to be ready")
	return cmd
}
