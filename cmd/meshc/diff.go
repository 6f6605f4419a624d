package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/render/cluster"
)

func newDiffCmd() *cobra.Command {
	var target targetFlags
	var inCluster bool
	var output string
	cmd := &cobra.Command{
		Use:   "diff --cluster [DIR]",
		Short: "Say in what a cluster is not what the mesh compiles to",
		Long: `Diff compares a cluster with what meshc compile wrote (out, unless another directory is named), and changes nothing. The
API server itself says what applying it would change, so that formatting, defaults and what others have added beside are no
differences.

It exits with 0 when there is none, 1 when there are, 2 when it was used wrongly or could not tell.`,
		Example: `  meshc compile ./... -o out && meshc diff --cluster
  meshc diff --cluster out --context production -o json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !inCluster {
				return usage(errors.New("what is to be compared? with a cluster: --cluster"))
			}
			if output != "text" && output != "json" {
				return usage(fmt.Errorf("output is %q and must be text or json", output))
			}
			dir, m, c, err := target.load(cmd.Context(), args)
			if err != nil {
				return err
			}
			found, err := c.Diff(cmd.Context(), dir, m)
			if err != nil {
				return err
			}
			if err := printDifferences(cmd, output, found); err != nil {
				return err
			}
			if len(found) > 0 {
				return errFindings
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&inCluster, "cluster", false, "compare with a cluster")
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	target.add(cmd.Flags())
	return cmd
}

func printDifferences(cmd *cobra.Command, output string, found []cluster.Difference) error {
	out := cmd.OutOrStdout()
	if output == "json" {
		if found == nil {
			found = []cluster.Difference{}
		}
		return writeJSON(out, found)
	}
	for _, d := range found {
		if _, err := fmt.Fprint(out, d); err != nil {
			return err
		}
	}
	return nil
}
