package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/review"
)

func newDescribeCmd() *cobra.Command {
	var dir string
	var output output
	var tags []string
	kinds := []string{"service", "gateway", "external"}
	cmd := &cobra.Command{
		Use:   "describe [service | gateway | external] NAME",
		Short: "Say what is in force for a service, gateway or external, and where it was decided",
		Long: `Describe compiles the mesh, or reads a compiled one, and prints what is in force for one member: its identity and
instances, who may call it and for what, its routes, and each call that it makes with its timeout, tries and connections,
every value with the line that decided it. It also prints the worst number of attempts that one request can cause there, and
the chain of calls that causes them.`,
		Example: `  meshc describe checkout
  meshc describe gateway public --dir out -o json`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			kind, name := "", args[len(args)-1]
			if len(args) == 2 {
				kind = args[0]
				if !slices.Contains(kinds, kind) {
					return usage(fmt.Errorf("there is no kind %q: service, gateway or external", kind))
				}
			}
			m, err := describedMesh(cmd, dir, tags)
			if err != nil {
				return err
			}
			d, err := review.Describe(m, kind, name)
			if err != nil {
				return err
			}
			if output.program() {
				return output.print(cmd.OutOrStdout(), d)
			}
			return d.Text(cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "a mesh.json or a directory that holds it; the spec is compiled without")
	output.add(cmd, "text", "json", "yaml")
	cmd.ValidArgsFunction = completeMembers(ir.KindService, ir.KindGateway, ir.KindExternal)
	cmd.Flags().StringArrayVarP(&tags, "inject", "t", nil, "tag to inject, as with cue: key=value or key")
	return cmd
}

// describedMesh is that of a directory with a compiled mesh, or that of the spec where none is named.
func describedMesh(cmd *cobra.Command, dir string, tags []string) (*ir.Mesh, error) {
	return loadMesh(cmd, dirArgument(dir), tags)
}

// dirArgument is the flag --dir as arguments name a mesh: none for the spec that the working directory stands in.
func dirArgument(dir string) []string {
	if dir == "" {
		return nil
	}
	return []string{dir}
}

// loadMesh is a compiled mesh, or that of the packages of a spec; what is wrong with the spec is printed.
func loadMesh(cmd *cobra.Command, args, tags []string) (*ir.Mesh, error) {
	m, _, err := meshSource(args, tags).Load(cmd.Context())
	var wrong wrongSpec
	if errors.As(err, &wrong) {
		if err := (&specFlags{}).print(cmd, wrong.result, diag.Text, true); err != nil {
			return nil, err
		}
		return nil, errFindings
	}
	return m, err
}
