package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/review/logs"
	"github.com/meshc/meshc/review/revision"
	"github.com/meshc/meshc/review/why"
)

// whyFlags say which requests are explained, and by which mesh, which is read as "meshc replay" reads it.
type whyFlags struct {
	replayFlags
	id string
}

func newWhyCmd() *cobra.Command {
	var f whyFlags
	cmd := &cobra.Command{
		Use:   "why [FILE]",
		Short: "Say why requests of access logs ended so: each step with its line, and the one that decided",
		Long: `Why reads lines of access logs from a file or standard input, and follows the request of each through the mesh of that time,
as "meshc try" does: each step with its line of the spec, and ">" before the one that decided. --id takes the lines of one trace or
one request alone, by trace.id or request.id.

The mesh of that time is the spec as Git had it in the last commit before the line was written; --from names another
revision, --server one that is served, and --dir a compiled mesh. Where the repository has no such commit it is the spec
of now. What a log does not say, as headers, is taken to be as it leads to where the request ended, and told. A request that was
not logged is followed by "meshc try".

It exits with 1 if a request ended otherwise than it does in that mesh.`,
		Example: `  kubectl logs deploy/cart -c meshc-proxy | meshc why --id 4bf92f3577b34da6a3ce929d0e0e4736
  meshc why access.log --from v1.4`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	f.specFlags.add(cmd.Flags())
	f.bound(cmd, func() bool { return true })
	flags := cmd.Flags()
	flags.StringVar(&f.id, "id", "", "explain the lines of this trace or this request alone")
	flags.StringVar(&f.dir, "dir", ".", "the spec's directory, a mesh.json, or a directory that holds it")
	flags.StringVar(&f.from, "from", "", "revision of Git whose mesh logged the requests")
	flags.StringVar(&f.server, "server", "", "admin address of the meshc serve whose mesh logged the requests")
	f.output.add(cmd, "text", "json")
	return cmd
}

func (f *whyFlags) run(cmd *cobra.Command, args []string) error {
	if f.from != "" && f.server != "" {
		return usage(errors.New("--from and --server both name the mesh that logged the requests: give one of them"))
	}
	lines, err := f.lines(cmd, args)
	if err != nil {
		return err
	}
	if len(lines) == 0 {
		return errors.New("no line is one of an access log of the mesh's proxies, or none has that id\n" +
			"  hint: telemetry.accessLog of the mesh makes them write one")
	}
	if f.from == "" && f.server == "" {
		f.from, f.fromTip = f.commitAt(cmd, lines[0].Time), true
	}
	then, now, err := f.meshes(cmd)
	if err != nil {
		return err
	}
	if then == nil {
		then = now
	}
	return f.explain(cmd.OutOrStdout(), then, lines)
}

// lines are those that are to be explained.
func (f *whyFlags) lines(cmd *cobra.Command, args []string) (out []*logs.Line, err error) {
	err = readLogs(cmd, args, func(text string) {
		line, known := logs.Parse(text)
		if known && line.Kind != "" && (f.id == "" || line.ID == f.id || line.Trace == f.id) {
			out = append(out, line)
		}
	})
	return out, err
}

// commitAt is the last commit before a time; "" where there is none.
func (f *whyFlags) commitAt(cmd *cobra.Command, time string) string {
	repository, err := revision.Find(f.dir)
	if err != nil || time == "" {
		return ""
	}
	commit, err := repository.Git(cmd.Context(), "rev-list", "-1", "--before="+time, "HEAD")
	if err != nil {
		return ""
	}
	return commit
}

func (f *whyFlags) explain(w io.Writer, m *ir.Mesh, lines []*logs.Line) error {
	var failed error
	for _, line := range lines {
		r, err := why.Explain(m, line)
		switch {
		case err != nil:
			return fmt.Errorf("%s %s%s: %w", line.Method, line.Host, line.Path, err)
		case f.output.program():
			err = f.output.print(w, r)
		default:
			err = r.Text(w)
		}
		if err != nil {
			return err
		}
		if !r.Agrees {
			failed = errFindings
		}
	}
	return failed
}
