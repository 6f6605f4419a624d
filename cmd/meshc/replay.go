package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/review/replay"
)

// replayFlags say which meshes requests are put to, and how the answer is shown. The meshes are read as "meshc diff"
// reads them.
type replayFlags struct {
	diffFlags
	dir      string
	examples int
}

func newReplayCmd() *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use:   "replay [FILE…]",
		Short: "Say which requests of access logs a mesh would deny, let in or send elsewhere",
		Long: `Replay compiles the mesh, reads lines of access logs from files or standard input, and follows each request through the mesh,
as "meshc try" does: it counts those that would be denied and were not, those that would go to another service or
version, and those that would be let in and were not, with examples and the lines of the spec that decide.

It reads what proxies write by telemetry.accessLog as "json" and "text", also behind a prefix of kubectl or of a container
runtime; other lines are counted and left out. A request that
two proxies logged counts once. A log has no headers, tokens and bodies: where these decide, the request is counted apart.
With --from or --server the requests are put to the mesh of that time as well, so that only those are told that the two
meshes treat differently.

It exits with 0 if each request would surely end as before or be let in, with 1 if not, and with 2 if it read none.`,
		Example: `  kubectl logs -l app=cart -c meshc-proxy --tail -1 | meshc replay
  meshc replay --from main access.log
  meshc replay --server 127.0.0.1:15011 yesterday/*.log -o json`,
		RunE: func(cmd *cobra.Command, files []string) error { return f.run(cmd, files) },
	}
	f.specFlags.add(cmd.Flags())
	f.bound(cmd, func() bool { return true })
	flags := cmd.Flags()
	flags.StringVar(&f.dir, "dir", ".", "the spec's directory, a mesh.json, or a directory that holds it")
	flags.StringVar(&f.from, "from", "", "revision of Git whose mesh logged the requests, where HEAD has parted from it")
	flags.StringVar(&f.server, "server", "", "admin address of the meshc serve whose mesh logged the requests")
	flags.IntVar(&f.examples, "examples", 20, "how many groups of each change are shown")
	f.output.add(cmd, "text", "json", "yaml")
	return cmd
}

func (f *replayFlags) run(cmd *cobra.Command, files []string) error {
	switch {
	case f.from != "" && f.server != "":
		return usage(errors.New("--from and --server both name the mesh that logged the requests: give one of them"))
	case f.examples < 0:
		return usage(fmt.Errorf("--examples is %d and must be 0 or more", f.examples))
	}
	then, now, err := f.meshes(cmd)
	if err != nil {
		return err
	}
	r := replay.New(then, now)
	if err := readLogs(cmd, files, r.Add); err != nil {
		return err
	}
	result := r.Result()
	if result.Requests+result.Connections == 0 {
		return fmt.Errorf("none of the %d lines is one of an access log of the mesh's proxies\n  "+
			"hint: telemetry.accessLog of the mesh makes them write one", result.Unread)
	}
	if f.output.program() {
		err = f.output.print(cmd.OutOrStdout(), result)
	} else {
		err = result.Text(cmd.OutOrStdout(), f.examples)
	}
	if err == nil && !result.Good() {
		err = errFindings
	}
	return err
}

// meshes are the one that logged the requests, nil when nobody says which, and the one that they are put to.
func (f *replayFlags) meshes(cmd *cobra.Command) (then, now *ir.Mesh, err error) {
	if f.from == "" && f.server == "" {
		s, err := f.side(cmd.Context(), f.dir)
		if err = f.explained(cmd, err); err != nil {
			return nil, nil, err
		}
		return nil, s.Mesh, nil
	}
	before, after, err := f.sides(cmd, []string{f.dir})
	if err != nil {
		return nil, nil, err
	}
	return before.Mesh, after.Mesh, nil
}
