package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/series"
)

func newVetCmd() *cobra.Command {
	var flags specFlags
	var counted bool
	cmd := &cobra.Command{
		Use:   "vet [packages]",
		Short: "Check a mesh and write nothing",
		Long: `Vet compiles the whole mesh and prints what is wrong with it: every finding with its code, the lines that took part,
and what to write instead. Packages are given as with cue; without any, and with ./..., it is the whole module, from any of its
directories. With packages that are a part of it (./team-a) the whole is read all the same, and the findings are those of
the part; that the rest has errors is then the warning MC1770.

With --series it prints how many series the metrics of a proxy of each member can have at most, and what they take of its memory.

Findings are text on stderr, or JSON, SARIF or GitHub's workflow commands on stdout. It exits with 1 for errors; for warnings
with 0, but with --undecided fail for tests whose outcome depends on more than the mesh, as on a rate limit or chance.`,
		Example: `  meshc vet
  meshc vet ./team-a           # what is wrong with a part
  meshc vet ./... -t env=prod
  meshc vet --series           # what the metrics cost, before they are rolled out
  meshc vet --format sarif > meshc.sarif`,
		RunE: func(cmd *cobra.Command, args []string) error {
			result, err := flags.compile(cmd, args, counted)
			if err == nil && result.Diagnostics.HasErrors() {
				err = errFindings
			}
			if err == nil && counted && result.Mesh != nil {
				err = printSeries(cmd.OutOrStdout(), result.Mesh, flags.format)
			}
			return err
		},
	}
	flags.add(cmd.Flags())
	flags.bound(cmd, func() bool { return false })
	flags.addUndecided(cmd.Flags())
	cmd.Flags().BoolVar(&counted, "series", false,
		"print the series of the metrics and their bytes, of one proxy of each member; with --format json as JSON")
	return cmd
}

// memberSeries is what the metrics of one proxy of a member cost.
type memberSeries struct {
	Member string `json:"member"`
	series.Cost
}

// printSeries prints what metrics cost, the proxies with the most series first.
func printSeries(w io.Writer, m *ir.Mesh, format string) error {
	out := struct {
		Proxies []memberSeries `json:"proxies"`
		Total   series.Cost    `json:"total"`
	}{Proxies: []memberSeries{}}
	for _, p := range series.OfMesh(m) {
		out.Proxies = append(out.Proxies, memberSeries{p.Of.String(), p.Cost()})
		out.Total = out.Total.Plus(p.Cost())
	}
	slices.SortStableFunc(out.Proxies, func(a, b memberSeries) int { return b.Series - a.Series })
	if format == string(diag.JSON) {
		return writeJSON(w, out)
	}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "ONE PROXY OF\tSERIES AT MOST\tOF FAILURES\tMEMORY")
	row := func(name string, c series.Cost) {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", name, series.Number(c.Series), series.Number(c.Failures), series.Size(c.Bytes))
	}
	for _, p := range out.Proxies {
		row(p.Member, p.Cost)
	}
	row("all", out.Total)
	return t.Flush()
}
