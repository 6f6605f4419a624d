package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler/ir"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/host/local"
	"github.com/meshc/meshc/review/revision"
)

func newUpCmd() *cobra.Command {
	var flags specFlags
	var options local.Options
	cmd := &cobra.Command{
		Use:   "up [packages]",
		Short: "Run the whole mesh on this machine",
		Long: `Up compiles the mesh and runs it on loopback, without Kubernetes: meshc serve with an authority of its own, a real
Envoy beside each version of each service, a small application behind it that reports what it sees, and the gateways.
Externals are stood in for, so that nothing leaves the machine.

It prints where the gateways are, for each of them a request that works and one that is denied, both tried before, and
then the state of every proxy. In a mesh without a gateway they are calls of its services, by meshc curl. Commands that
ask meshc serve (top, edges, status, doctor, config, check and bundle) find the mesh from the spec's directory without
--server, and meshc curl sends requests through it. When the spec changes on disk the mesh changes with it; while the spec
is wrong the last good one runs on.
Ctrl-C ends it and leaves nothing behind. What one leaves that is killed, the next one removes.`,
		Example: `  meshc up
  meshc up ./... -t env=dev
  meshc up --dir /tmp/shop      # keep bootstraps, certificates and logs there`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := wholeMesh(cmd, args); err != nil {
				return err
			}
			ctx, stop := untilAnyEnd(cmd.Context())
			defer stop()
			cmd.SetContext(ctx)
			source := &upSource{cmd: cmd, flags: &flags, packages: args}
			began := time.Now()
			linked, directories, err := source.Load(cmd.Context())
			if err != nil {
				return err
			}
			if options.Mesh = linked; flags.untrusted {
				if options.Outside, err = revision.Top("."); err != nil {
					return err
				}
			}
			if spec, found := load.Root("."); found {
				options.Spec = actual(spec)
			}
			options.SignTokens = true // for meshc curl
			options.Log = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelError}))
			return up(cmd, options, source, directories, began)
		},
	}
	flags.add(cmd.Flags())
	cmd.Flags().StringVar(&options.Directory, "dir", "",
		"keep the mesh's files in this directory (default: a temporary one)")
	cmd.Flags().StringVar(&options.Envoy, "envoy", "",
		"the Envoy to run (default: $ENVOY, then PATH, then beside meshc)")
	return cmd
}

// untilAnyEnd also ends with the signals that would end the program at once, and leave behind what it
// has: private keys, in a temporary directory. What is ignored (nohup) stays ignored.
func untilAnyEnd(ctx context.Context) (context.Context, context.CancelFunc) {
	var ends []os.Signal
	for _, s := range []os.Signal{
		syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE, syscall.SIGALRM, syscall.SIGUSR1,
		syscall.SIGUSR2,
	} {
		if !signal.Ignored(s) {
			ends = append(ends, s)
		}
	}
	if len(ends) == 0 {
		return ctx, func() {}
	}
	return signal.NotifyContext(ctx, ends...)
}

// upTime bounds the start of a mesh.
const upTime = 2 * time.Minute

// up runs the mesh until the command's context ends. It was loaded from the
// directories, beginning at the given time.
func up(cmd *cobra.Command, o local.Options, source *upSource, directories []string, began time.Time) (err error) {
	ctx := cmd.Context()
	starting, cancel := context.WithTimeout(ctx, upTime)
	defer cancel()
	mesh, err := local.Start(starting, o)
	if ctx.Err() != nil {
		return nil // it was interrupted, and is gone
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mesh.Stop()) }()

	out := cmd.OutOrStdout()
	status := mesh.Status()
	fmt.Fprintf(out, "%s runs: %d proxies, up in %.1fs. Their files are in %s\n", o.Mesh.Name, len(status.Proxies),
		time.Since(began).Seconds(), mesh.Directory())
	if err := printGateways(starting, out, mesh); err != nil {
		return err
	}
	if at := mesh.ServerAdmin(); at != "" {
		fmt.Fprintf(out, "\nwhat calls what: http://%s/, or meshc top in this directory\n", at)
	}
	fmt.Fprintln(out, "\nCtrl-C ends it. A change of the spec is taken at once.")
	fmt.Fprintln(out)

	view := newLiveView(out)
	if err := view.show(statusTable(status)); err != nil {
		return err
	}
	followed := make(chan error, 1)
	changed := make(chan error)
	go func() {
		followed <- mesh.Follow(ctx, source, directories, began, func(err error) {
			select {
			case changed <- err:
			case <-ctx.Done():
			}
		})
	}()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case err := <-followed:
			return err
		case err := <-changed:
			view.interrupt()
			switch {
			case errors.Is(err, errFindings):
				fmt.Fprintln(cmd.ErrOrStderr(), "the spec is wrong; the last good one runs on")
			case err != nil:
				fmt.Fprintf(cmd.ErrOrStderr(), "the spec cannot be run: %v\n", err)
			default:
				fmt.Fprintf(out, "%s  the spec has changed, and every proxy has taken it\n", time.Now().
					Format(time.TimeOnly))
			}
			if err := view.show(statusTable(mesh.Status())); err != nil {
				return err
			}
		case <-tick.C:
			if err := view.show(statusTable(mesh.Status())); err != nil {
				return err
			}
		}
	}
}

// printGateways writes where the gateways are, and what can be tried there, or between services.
func printGateways(ctx context.Context, out io.Writer, mesh *local.Mesh) error {
	fmt.Fprintln(out)
	for _, g := range mesh.Placed().Gateways {
		for _, url := range gatewayURLs(mesh, g) {
			fmt.Fprintf(out, "gateway %s: %s\n", g.Name, url)
		}
	}
	meshc := meshcCommand()
	for _, e := range mesh.Examples(ctx) {
		by := ""
		if e.Gateway != "" && len(mesh.Placed().Gateways) > 1 {
			by = "gateway " + e.Gateway + " "
		}
		if e.Works != nil {
			fmt.Fprintf(out, "\n%sworks, %d through %s:\n  %s\n", by, e.Works.Status, strings.Join(e.Works.Hops, " → "),
				e.Works.Command(meshc))
		}
		if e.Denied != nil {
			fmt.Fprintf(out, "\n%sdenied, %d, as no rule allows it:\n  %s\n", by, e.Denied.Status, e.Denied.Command(meshc))
		}
	}
	return ctx.Err()
}

// meshcCommand is how this meshc is started in a shell, for the spec in the working directory.
func meshcCommand() string {
	command := "meshc"
	own, err := os.Executable()
	if found, lookErr := exec.LookPath(command); err == nil && (lookErr != nil || actual(found) != actual(own)) {
		command = local.Quote(own)
	}
	dir, err := os.Getwd()
	if err != nil {
		return command
	}
	return command + " -C " + local.Quote(dir)
}

func gatewayURLs(mesh *local.Mesh, g *ir.Gateway) []string {
	var urls []string
	at := mesh.Gateway(g.Name)
	for _, l := range g.Listeners {
		urls = append(urls, at.Listeners[l.Name])
	}
	return urls
}

// upSource compiles the spec and prints what is wrong with it.
type upSource struct {
	cmd      *cobra.Command
	flags    *specFlags
	packages []string
}

// Load returns errFindings when the spec is wrong.
func (s *upSource) Load(context.Context) (*ir.Mesh, []string, error) {
	result, err := s.flags.compile(s.cmd, s.packages, true)
	if err != nil {
		return nil, nil, err
	}
	if result.Mesh == nil {
		return nil, result.Directories, findings{result.Diagnostics.FirstError()}
	}
	if err := refusePart(s.cmd.Name(), result.Part); err != nil {
		return nil, result.Directories, err // packages have come beside it
	}
	return result.Mesh, result.Directories, nil
}

// findings are printed already, and say in short what was found.
type findings struct{ text string }

func (f findings) Error() string { return f.text }

// Is lets a command end with the exit code for findings.
func (f findings) Is(target error) bool { return target == errFindings }
