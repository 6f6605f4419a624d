package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/serve"
	"github.com/meshc/meshc/serve/telemetry"
)

// edgeFlags are those of the commands that ask what proxies have told of their edges.
type edgeFlags struct {
	servers []string
	window  time.Duration
	output  output
}

// add adds the flags; the command prints tables, JSON, YAML, and forms of its own.
func (f *edgeFlags) add(cmd *cobra.Command, window time.Duration, forms ...string) {
	addServers(cmd, &f.servers)
	cmd.Flags().DurationVar(&f.window, "last", window, "the time that is told of: from 5s to 15m")
	f.output.add(cmd, append([]string{"table", "json", "yaml"}, forms...)...)
}

func (f *edgeFlags) check() error {
	if f.window < telemetry.Shortest || f.window > telemetry.Kept {
		return usage(fmt.Errorf("--last is %v and must be from %v to %v", f.window, telemetry.Shortest, telemetry.Kept))
	}
	return nil
}

// fetch asks all servers, of which each knows what its own proxies told.
func (f *edgeFlags) fetch(cmd *cobra.Command) (*serve.EdgeReport, error) {
	var all *serve.EdgeReport
	for _, server := range f.servers {
		raw, err := ask(cmd, server, "/edges?window="+url.QueryEscape(f.window.String()))
		if err != nil {
			return nil, err
		}
		report := &serve.EdgeReport{}
		if json.Unmarshal(raw, report) != nil {
			return nil, errors.New("the server at " + server + " is not meshc serve")
		}
		if all == nil {
			all = report
		} else {
			all.Add(report)
		}
	}
	if all == nil {
		return nil, usage(errors.New("--server names no address"))
	}
	return all, nil
}

func newEdgesCmd() *cobra.Command {
	var flags edgeFlags
	undeclared := false
	cmd := &cobra.Command{
		Use:   "edges",
		Short: "Show who called whom, who was denied, and which calls nobody makes",
		Long: `Edges asks meshc serve what its proxies have told of the last 15 minutes, and lists every edge: those that the mesh
declares, with or without traffic, and those of callers that were denied. Numbers are those of the caller's proxy, or of
the callee's for a caller without one; denied requests are those of the callee's. Of connections below HTTP the callee's
proxy alone knows why it closed them, so their errors are those of the end that tells of more.

Below the table it says which line of the spec lets a denied caller in, and which line can be deleted where nobody calls.
No line is proposed for an edge whose caller's proxies do not report to the servers that are asked: of several servers
each knows its own proxies, so name all of them.

With --undeclared it lists the calls that services with undeclaredCalls: "pass" made without declaring them, by the address
that they asked for, and with -o cue the lines of the spec that declare them.`,
		Example: `  meshc edges
  meshc edges --last 5m -o json
  meshc edges --undeclared -o cue
  meshc edges --server 127.0.0.1:15011,127.0.0.1:25011`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			show := printEdges
			switch {
			case undeclared && flags.output.form == "cue":
				show = printDeclarations
			case flags.output.form == "cue":
				return usage(errors.New("--output cue is for --undeclared"))
			case undeclared:
				show = printUndeclared
			}
			if err := flags.check(); err != nil {
				return err
			}
			report, err := flags.fetch(cmd)
			if err != nil {
				return err
			}
			if flags.output.program() {
				if undeclared {
					return flags.output.print(cmd.OutOrStdout(), report.Undeclared)
				}
				return flags.output.print(cmd.OutOrStdout(), report)
			}
			return show(cmd.OutOrStdout(), report)
		},
	}
	flags.add(cmd, telemetry.Kept, "cue")
	cmd.Flags().BoolVar(&undeclared, "undeclared", false, "the calls that pass undeclared; -o cue prints what declares them")
	return cmd
}

func printEdges(w io.Writer, r *serve.EdgeReport) error {
	printWindow(w, r)
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "CALLER\tCALLEE\tPORT\tREQUESTS\tERRORS\tDENIED\tP50\tP95\tP99\tSTATE")
	for i := range r.Edges {
		e := &r.Edges[i]
		var s telemetry.Stats
		if end := e.Stats(); end != nil {
			s = end.Stats
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%d\t%s\t%s\n", memberName(e.Caller, "(no certificate)"),
			memberName(e.Callee, "(its own proxy)"), portText(e), s.Requests, s.Errors, e.Denied(), latencies(&s.Latency),
			e.State())
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for i := range r.Edges {
		for _, note := range edgeNotes(&r.Edges[i], knownFor(r)) {
			fmt.Fprintf(w, "\n%s\n", note)
		}
	}
	printMissing(w, r)
	return nil
}

// printWindow says what the numbers are of.
func printWindow(w io.Writer, r *serve.EdgeReport) {
	window := time.Duration(r.Window * float64(time.Second))
	fmt.Fprintf(w, "mesh %s, the last %s", r.Mesh, shortDuration(window))
	if known := knownFor(r); known < window {
		fmt.Fprintf(w, "; the server was started %s ago", shortDuration(known))
	}
	fmt.Fprintln(w)
}

// knownFor is the time that the report tells of: less than its window where a server was started later.
func knownFor(r *serve.EdgeReport) time.Duration {
	return min(time.Duration(r.Window*float64(time.Second)), r.Now.Sub(r.Since).Round(time.Second))
}

// printMissing says what the numbers do not have.
func printMissing(w io.Writer, r *serve.EdgeReport) {
	if len(r.Silent) > 0 {
		fmt.Fprintf(w, "\nconnected and telling nothing: %s\n", strings.Join(r.Silent, ", "))
	}
	if r.Omitted > 0 {
		fmt.Fprintf(w, "\n%d metrics of proxies were not kept: of edges of others, or beyond a limit\n", r.Omitted)
	}
}

// shortDuration is "15m" and not "15m0s".
func shortDuration(d time.Duration) string {
	if d >= time.Minute && d%time.Minute == 0 {
		return strings.TrimSuffix(d.String(), "0s")
	}
	return d.String()
}

// memberName is a member as tables name it: a service by its name alone.
func memberName(ref, none string) string { return cmp.Or(strings.TrimPrefix(ref, "service "), none) }

func portText(e *serve.Edge) string {
	if e.Port == 0 {
		return "-"
	}
	return fmt.Sprint(e.Port)
}

// latencies are p50, p95 and p99, in three columns.
func latencies(l *telemetry.Latency) string {
	if l.Samples == 0 {
		return "-\t-\t-"
	}
	return milliseconds(l.P50) + "\t" + milliseconds(l.P95) + "\t" + milliseconds(l.P99)
}

func milliseconds(ms float64) string {
	switch {
	case ms < 1:
		return "<1ms"
	case ms < 10_000:
		return fmt.Sprintf("%.0fms", ms)
	}
	return fmt.Sprintf("%.1fs", ms/1000)
}
