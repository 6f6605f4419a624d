package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/review/graph"
)

func newGraphCmd() *cobra.Command {
	var dir, focus string
	var output output
	var steps int
	var tags []string
	cmd := &cobra.Command{
		Use:   "graph",
		Short: "Draw who calls whom in the mesh",
		Long: `Graph compiles the mesh, or reads a compiled one, and draws its gateways, services and externals with the calls between
them: for Mermaid, as forges draw it in Markdown, for Graphviz (dot), as JSON, or as one HTML page to look around in, which
loads nothing from elsewhere: search for a member, put one in focus with its neighbours, open a namespace, and see the rules
that allow each call. A mesh of more than 64 members is drawn by namespace first.

A dashed arrow is a call that routes of another service lead there. With --focus only what is near one member is drawn.`,
		Example: `  meshc graph -o html > mesh.html
  meshc graph --focus checkout --steps 2
  meshc graph -o dot --dir out | dot -Tsvg > mesh.svg`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if steps < 0 {
				return usage(fmt.Errorf("--steps is %d", steps))
			}
			m, err := describedMesh(cmd, dir, tags)
			if err != nil {
				return err
			}
			g := graph.Of(m)
			if focus != "" {
				if g = g.Around(focus, steps); g == nil {
					return usage(m.Missing("service, gateway or external", focus))
				}
			}
			if output.program() {
				return output.print(cmd.OutOrStdout(), g)
			}
			if output.form == "html" {
				return g.HTML(exact(cmd.OutOrStdout()))
			}
			return map[string]func(io.Writer) error{"mermaid": g.Mermaid, "dot": g.DOT}[output.form](cmd.OutOrStdout())
		},
	}
	output.add(cmd, "mermaid", "dot", "json", "yaml", "html")
	cmd.Flags().StringVar(&focus, "focus", "", "draw what is near this member alone")
	complete(cmd, "focus", func(cmd *cobra.Command) []string {
		return memberNames(cmd, ir.KindService, ir.KindGateway, ir.KindExternal)
	})
	cmd.Flags().IntVar(&steps, "steps", 1, "with --focus: how many calls away")
	cmd.Flags().StringVar(&dir, "dir", "", "a mesh.json or a directory that holds it; the spec is compiled without")
	cmd.Flags().StringArrayVarP(&tags, "inject", "t", nil, "tag to inject, as with cue: key=value or key")
	return cmd
}
