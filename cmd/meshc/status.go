package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/review/admin"
	"github.com/meshc/meshc/serve"
)

// statusFlags are the flags of meshc status.
type statusFlags struct {
	server string
	output output
	watch  bool
}

func newStatusCmd() *cobra.Command {
	var f statusFlags
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show which proxies have taken the mesh",
		Long: `Status asks meshc serve for its proxies, and lists what each has acknowledged of every type of resource. AGE is
how long ago the first change was that the proxy has not acknowledged, and TOOK how long the last one took until it had, of the
slowest type. Below the table stands what was refused: the resource, the proxy's own words, and the line of the spec that it came
from; and the sources of what is served, with the time since the last message of each.

With --watch it shows the state anew every two seconds, on a terminal in one place, until Ctrl-C. Else it exits with 1 if a
proxy is behind or has refused something, if the mesh on disk is not the one that is served, or if a source that speaks
regularly is silent: then everything may be acknowledged and still be old.`,
		Example: `  meshc status
  meshc status --watch
  meshc status --server 127.0.0.1:15011 -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !f.watch {
				return f.once(cmd)
			}
			if f.output.program() {
				return usage(errors.New("--watch is for the output table"))
			}
			return f.follow(cmd)
		},
	}
	addServer(cmd, &f.server)
	cmd.Flags().BoolVarP(&f.watch, "watch", "w", false, "show the state anew every two seconds, until Ctrl-C")
	f.output.add(cmd, "table", "json", "yaml")
	return cmd
}

// once shows the state as it is now.
func (f *statusFlags) once(cmd *cobra.Command) error {
	report, raw, err := fetchStatus(cmd, f.server)
	if err != nil {
		return err
	}
	if f.output.program() {
		err = f.output.print(cmd.OutOrStdout(), json.RawMessage(raw))
	} else {
		err = printStatus(cmd.OutOrStdout(), report)
	}
	if err == nil && !report.Good() {
		err = errFindings
	}
	return err
}

// follow shows the state again and again. A server that does not answer is part of it.
func (f *statusFlags) follow(cmd *cobra.Command) error {
	view := newLiveView(cmd.OutOrStdout())
	for {
		var text strings.Builder
		report, _, err := fetchStatus(cmd, f.server)
		switch {
		case cmd.Context().Err() != nil:
			return nil // it was interrupted
		case err != nil:
			fmt.Fprintln(&text, err)
		default:
			if err := printStatus(&text, report); err != nil {
				return err
			}
		}
		if err := view.show(text.String()); err != nil || !refreshed(cmd) {
			return err
		}
	}
}

func fetchStatus(cmd *cobra.Command, server string) (*serve.Report, []byte, error) {
	raw, err := ask(cmd, server, "/status")
	if err != nil {
		return nil, nil, err
	}
	report := &serve.Report{}
	if json.Unmarshal(raw, report) != nil {
		return nil, nil, errors.New("the server at " + server + " is not meshc serve")
	}
	return report, raw, nil
}

// answerTime is how long a server is waited for.
const answerTime = 10 * time.Second

// ask reads what a server says to whoever looks after it.
func ask(cmd *cobra.Command, server, path string) ([]byte, error) {
	code, data, err := get(cmd, server, path)
	switch {
	case errors.Is(err, errNoAnswer):
		return nil, fmt.Errorf("no meshc serve answers at %s: is it running, and is this its --admin-listen?", server)
	case err != nil:
		return nil, err
	case code == http.StatusServiceUnavailable:
		return nil, errors.New("meshc serve at " + server + " serves no mesh yet")
	case code == http.StatusForbidden:
		return nil, fmt.Errorf("meshc serve at %s refuses to answer: %s", server,
			bytes.TrimSpace(data[:min(len(data), 200)]))
	case code == http.StatusNotFound && bytes.HasPrefix(data, []byte(serve.NotConnected)):
		return nil, errors.New(string(bytes.TrimSpace(data[:min(len(data), 300)])))
	case code != http.StatusOK:
		return nil, errors.New("the server at " + server + " is not meshc serve")
	}
	return data, nil
}

// errNoAnswer is for a server that cannot be reached.
var errNoAnswer = errors.New("no answer")

// get reads what a server answers.
func get(cmd *cobra.Command, server, path string) (code int, data []byte, err error) {
	ctx, cancel := context.WithTimeout(cmd.Context(), answerTime)
	defer cancel()
	answer, err := admin.Get(ctx, server, path)
	switch {
	case errors.Is(err, admin.ErrAddress):
		return 0, nil, usage(fmt.Errorf("server %w", err))
	case err != nil:
		return 0, nil, errNoAnswer
	}
	return answer.Status, answer.Data, nil
}

// printStatus writes a line for each proxy, and below them why something is not
// as it should be.
func printStatus(w io.Writer, r *serve.Report) error {
	if r.Mesh == "" {
		fmt.Fprintln(w, "no mesh is served yet")
	} else {
		fmt.Fprintf(w, "mesh %s, %s\n", r.Mesh, r.Hash)
	}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "PROXY\tSTATE\tCDS\tEDS\tLDS\tRDS\tSDS\tAGE\tTOOK\tENVOY")
	for _, p := range r.Proxies {
		fmt.Fprintf(t, "%s\t%s", p.Node, p.State())
		for _, name := range []string{"CDS", "EDS", "LDS", "RDS", "SDS"} {
			fmt.Fprintf(t, "\t%s", typeState(p, name))
		}
		age, took := freshness(p)
		fmt.Fprintf(t, "\t%s\t%s\t%s\n", age, took, p.Version)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if err := printSources(w, r); err != nil {
		return err
	}
	for _, p := range r.Proxies {
		if p.Excepted != "" {
			fmt.Fprintf(w, "\nno change waits for %s: %s\n", p.Node, diag.Printable(p.Excepted))
		}
		for _, ts := range p.Types {
			for _, refusal := range ts.Refusals {
				fmt.Fprintf(w, "\n%s refused %s %s", p.Node, refusal.Type,
					diag.Printable(refusal.Resource))
				if refusal.Source.IsValid() {
					fmt.Fprintf(w, ", from %s", refusal.Source)
				}
				fmt.Fprintf(w, "\n  %s\n", indented(refusal.Reason))
			}
		}
	}
	for _, h := range r.Holders {
		if h.EndsSoon {
			fmt.Fprintf(w, "\nthe certificate of %s (%s) is renewed until %s: prove anew there who it is, by a new join token (meshc certs token)\n",
				h.Name, h.Identity, h.RenewableUntil.UTC().Format(time.RFC3339))
		}
	}
	for i := range r.Levers {
		fmt.Fprintf(w, "\na lever is in force: %s\n", r.Levers[i].Line())
	}
	if r.Waiting != "" {
		fmt.Fprintf(w, "\na changed mesh waits: %s\n", r.Waiting)
	}
	if r.Failure != "" {
		goes := "the last good one is served"
		if r.Mesh == "" {
			goes = "nothing is served"
		}
		fmt.Fprintf(w, "\nthe mesh on disk is wrong; %s\n  %s\n", goes, indented(r.Failure))
	}
	if r.Endpoints != "" {
		fmt.Fprintf(w, "\nan endpoints file is wrong; its last good content holds\n  %s\n", indented(r.Endpoints))
	}
	return nil
}

// indented is a text of several lines below another one. Proxies and files say what it says, and none of its lines
// looks like one of the report.
func indented(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = diag.Printable(line)
	}
	return strings.Join(lines, "\n  ")
}

// freshness is the age of what the proxy has, and how long its last change took, of the slowest type; "-" for none.
func freshness(p serve.Proxy) (age, took string) {
	oldest, longest := 0.0, 0.0
	for _, t := range p.Types {
		oldest, longest = max(oldest, t.Age), max(longest, t.Took)
	}
	said := func(seconds float64) string {
		if seconds == 0 {
			return "-"
		}
		return inSeconds(seconds).String()
	}
	return said(oldest), said(longest)
}

// inSeconds is a duration that is told to a person: to the millisecond below a second, else to the second.
func inSeconds(seconds float64) time.Duration {
	d := time.Duration(seconds * float64(time.Second))
	if d < time.Second {
		return max(time.Millisecond, d.Round(time.Millisecond))
	}
	return d.Round(time.Second)
}

// printSources writes how long ago each source told something, and which are silent.
func printSources(w io.Writer, r *serve.Report) error {
	if len(r.Sources) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "SOURCE\tLAST MESSAGE")
	for _, s := range r.Sources {
		fmt.Fprintf(t, "%s\t%s ago\n", s.Name, inSeconds(s.Age))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, s := range r.Silent() {
		fmt.Fprintf(w, "\nnothing is heard of %s, which tells something each %s: what proxies have of it may be out of date\n",
			s.Name, inSeconds(s.Within))
	}
	return nil
}

// typeState is the version that the proxy has taken, or what stands against it.
func typeState(p serve.Proxy, name string) string {
	for _, t := range p.Types {
		if t.Type != name {
			continue
		}
		if t.State == serve.StateCurrent {
			return t.Version
		}
		return t.State
	}
	return "-"
}
