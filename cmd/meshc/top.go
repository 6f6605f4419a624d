package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/serve"
	"github.com/meshc/meshc/serve/telemetry"
)

// topFlags are the flags of meshc top.
type topFlags struct {
	edgeFlags
	by   string
	rows int
	once bool
}

func newTopCmd() *cobra.Command {
	var flags topFlags
	forms := []string{"edge", "callee", "caller", "line", "failure"}
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Show the busiest edges of the mesh: requests per second, success, latency",
		Long: `Top asks meshc serve what its proxies have told of the last minute, and lists the edges with the most requests per
second, with the share of requests that are not errors and with p50, p95 and p99. On a terminal it shows them anew every
two seconds, until Ctrl-C. No Prometheus is needed.

--by callee and --by caller show members, with the requests of all their callers or callees together. --by line shows the
routes and the rules that requests went by, with their places in the spec, and --by failure what failed, by status, status
of gRPC and Envoy's response flags; both are in whole minutes.

Proxies report every 5 seconds. A rate is over whole steps of 5 seconds, or of 15 where more than a minute is asked for,
which every proxy has reported. Of several servers each knows its own proxies: name all of them.`,
		Example: `  meshc top
  meshc top --by callee --last 5m
  meshc top --by line --once
  meshc top --server 127.0.0.1:15011,127.0.0.1:25011 -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := flags.check(); err != nil {
				return err
			}
			if !slices.Contains(forms, flags.by) {
				return usage(fmt.Errorf("--by is %q and must be one of %s", flags.by, strings.Join(forms, ", ")))
			}
			if flags.rows < 1 {
				return usage(fmt.Errorf("--rows is %d and must be at least 1", flags.rows))
			}
			return flags.run(cmd)
		},
	}
	flags.add(cmd, time.Minute)
	cmd.Flags().StringVar(&flags.by, "by", "edge", strings.Join(forms, ", "))
	cmd.Flags().IntVar(&flags.rows, "rows", 20, "the most lines of the table")
	cmd.Flags().BoolVar(&flags.once, "once", false, "show the numbers once, also on a terminal")
	return cmd
}

func (f *topFlags) run(cmd *cobra.Command) error {
	out := cmd.OutOrStdout()
	view := newLiveView(out)
	for {
		report, err := f.fetch(cmd)
		if err != nil {
			if cmd.Context().Err() != nil {
				return nil // it was interrupted
			}
			return err
		}
		if f.output.program() {
			return f.output.print(out, report)
		}
		var text strings.Builder
		if err := f.print(&text, report); err != nil {
			return err
		}
		if err := view.show(text.String()); err != nil || f.once || !view.live || !refreshed(cmd) {
			return err
		}
	}
}

// topRow is a line of the table: of what, and its numbers.
type topRow struct {
	of     []string
	stats  telemetry.Stats
	denied uint64
}

func (f *topFlags) print(w io.Writer, r *serve.EdgeReport) error {
	printWindow(w, r)
	switch f.by {
	case "line":
		return f.printLines(w, r)
	case "failure":
		return f.printFailures(w, r)
	}
	head, of := topColumns(f.by)
	rows := map[string]*topRow{}
	for i := range r.Edges {
		e := &r.Edges[i]
		end := e.Stats()
		if end == nil || end.Requests == 0 {
			continue
		}
		cells := of(e)
		key := strings.Join(cells, "\t")
		if rows[key] == nil {
			rows[key] = &topRow{of: cells}
		}
		rows[key].stats.Add(&end.Stats)
		rows[key].denied += e.Denied()
	}
	sorted := make([]*topRow, 0, len(rows))
	for _, row := range rows {
		sorted = append(sorted, row)
	}
	slices.SortFunc(sorted, func(a, b *topRow) int {
		return cmp.Or(cmp.Compare(b.stats.PerSecond, a.stats.PerSecond),
			cmp.Compare(b.stats.Requests, a.stats.Requests), slices.Compare(a.of, b.of))
	})
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, head+"\tREQ/S\tSUCCESS\tP50\tP95\tP99\tDENIED")
	for _, row := range sorted[:min(len(sorted), f.rows)] {
		fmt.Fprintf(t, "%s\t%.1f\t%s\t%s\t%d\n", strings.Join(row.of, "\t"), row.stats.PerSecond,
			percent(row.stats.SuccessRate()), latencies(&row.stats.Latency), row.denied)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	printOmitted(w, len(sorted), f.rows)
	printMissing(w, r)
	return nil
}

func topColumns(by string) (head string, of func(*serve.Edge) []string) {
	caller := func(e *serve.Edge) string { return memberName(e.Caller, "(no certificate)") }
	callee := func(e *serve.Edge) string { return memberName(e.Callee, "(its own proxy)") }
	switch by {
	case "callee":
		return "CALLEE", func(e *serve.Edge) []string { return []string{callee(e)} }
	case "caller":
		return "CALLER", func(e *serve.Edge) []string { return []string{caller(e)} }
	}
	return "CALLER\tCALLEE\tPORT", func(e *serve.Edge) []string { return []string{caller(e), callee(e), portText(e)} }
}

// topLine is a route or a rule of an edge.
type topLine struct {
	edge *serve.Edge
	kind string
	telemetry.Line
}

func (f *topFlags) printLines(w io.Writer, r *serve.EdgeReport) error {
	var lines []topLine
	for i := range r.Edges {
		e := &r.Edges[i]
		if e.Client != nil {
			for _, l := range e.Client.Lines {
				lines = append(lines, topLine{e, "route", l})
			}
		}
		if e.Server != nil {
			for _, l := range e.Server.Lines {
				lines = append(lines, topLine{e, "rule", l})
			}
		}
	}
	slices.SortStableFunc(lines, func(a, b topLine) int { return cmp.Compare(b.Requests, a.Requests) })
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "CALLER\tCALLEE\tPORT\tBY\tNAME\tVERSION\tSOURCE\tREQUESTS\tSUCCESS")
	for _, l := range lines[:min(len(lines), f.rows)] {
		s, kind := telemetry.Stats{Requests: l.Requests, Errors: l.Errors}, l.kind
		if l.Denies {
			kind = "denied by"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", memberName(l.edge.Caller, "(no certificate)"),
			memberName(l.edge.Callee, "(its own proxy)"), portText(l.edge), kind, l.Name, cmp.Or(l.Version, "-"),
			cmp.Or(l.Source, "-"), l.Requests, percent(s.SuccessRate()))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	printOmitted(w, len(lines), f.rows)
	printMissing(w, r)
	return nil
}

// printFailures tells what failed, as the caller's end has it, or else the callee's; below HTTP as both have it.
func (f *topFlags) printFailures(w io.Writer, r *serve.EdgeReport) error {
	type row struct {
		edge *serve.Edge
		telemetry.Failure
	}
	var rows []row
	for i := range r.Edges {
		if end := r.Edges[i].Stats(); end != nil {
			for _, failure := range end.Failures {
				rows = append(rows, row{&r.Edges[i], failure})
			}
		}
	}
	slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(b.Requests, a.Requests) })
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "CALLER\tCALLEE\tPORT\tSTATUS\tGRPC\tRESPONSE FLAGS\tREQUESTS")
	for _, one := range rows[:min(len(rows), f.rows)] {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%d\n", memberName(one.edge.Caller, "(no certificate)"),
			memberName(one.edge.Callee, "(its own proxy)"), portText(one.edge), statusText(one.Status, 1),
			statusText(one.GRPC, 0), cmp.Or(one.Flags, "-"), one.Requests)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	printOmitted(w, len(rows), f.rows)
	printMissing(w, r)
	return nil
}

// statusText is a status, and "-" for one below the least that there is.
func statusText(status, least int) string {
	if status < least {
		return "-"
	}
	return fmt.Sprint(status)
}

func printOmitted(w io.Writer, all, shown int) {
	if all > shown {
		fmt.Fprintf(w, "and %d more (--rows)\n", all-shown)
	}
}

// percent is a share, of which 100 % are all: what rounds to it is less.
func percent(share float64) string {
	if share < 1 {
		share = min(share, 0.9999)
	}
	return fmt.Sprintf("%.2f%%", 100*share)
}
