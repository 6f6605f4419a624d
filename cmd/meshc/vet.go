package main

import "github.com/spf13/cobra"

func newVetCmd() *cobra.Command {
	var flags specFlags
	cmd := &cobra.Command{
		Use:   "vet [packages]",
		Short: "Check a mesh and write nothing",
		Long: `Vet compiles the whole mesh and prints what is wrong with it: every finding with its code, the lines that took part,
and what to write instead. Packages are given as with cue; without any, and with ./..., it is the whole module, from any of its
directories. With packages that are a part of it (./team-a) the whole is read all the same, and the findings are those of
the part; that the rest has errors is then the warning MC1770.

Findings are text on stderr, or JSON, SARIF or GitHub's workflow commands on stdout. It exits with 1 for errors; for warnings
with 0, but with --undecided fail for tests whose outcome depends on more than the mesh, as on a rate limit or chance.`,
		Example: `  meshc vet
  meshc vet ./team-a           # what is wrong with a part
  meshc vet ./... -t env=prod
  meshc vet --format sarif > meshc.sarif`,
		RunE: func(cmd *cobra.Command, args []string) error {
			result, err := flags.compile(cmd, args, false)
			if err == nil && result.Diagnostics.HasErrors() {
				err = errFindings
			}
			return err
		},
	}
	flags.add(cmd.Flags())
	flags.bound(cmd, func() bool { return false })
	flags.addUndecided(cmd.Flags())
	return cmd
}
