package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitGood     = 0
	exitFindings = 1 // the mesh has errors, or is not what it should be
	exitFault    = 2 // wrong use, or a fault of meshc or its surroundings
	exitLimit    = 3 // a limit of --untrusted was reached, so that nothing is known
)

// errFindings says that all there is to say has been printed.
var errFindings = errors.New("findings")

// run runs meshc and returns its exit code. An interrupt ends it in good order.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) (code int) {
	defer func() {
		if p := recover(); p != nil {
			fmt.Fprintf(stderr,
				"meshc: a fault of meshc itself: %v\nPlease report it with the mesh that causes it; MESHC_DEBUG=1 shows where it happened.\n", p)
			if os.Getenv("MESHC_DEBUG") != "" {
				fmt.Fprintf(stderr, "%s\n", debug.Stack())
			}
			code = exitFault
		}
	}()
	in, stderr := invoked(args, stderr)
	stdout, stderr = newPlain(stdout), newPlain(stderr)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRootCmd()
	root.SetArgs(in.args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	ran, err := root.ExecuteContextC(context.WithValue(ctx, invocationKey{}, in))
	var wrong usageError
	var done exited
	var over limited
	switch {
	case err == nil:
		return exitGood
	case errors.As(err, &done):
		return int(done)
	case errors.As(err, &over):
		if !errors.Is(err, errFindings) {
			fmt.Fprintf(stderr, "meshc: %v\n", err)
		}
		return exitLimit
	case errors.Is(err, errFindings):
		return exitFindings
	case errors.As(err, &wrong):
		fmt.Fprintf(stderr, "meshc: %v\nSee: %s --help\n", err, ran.CommandPath())
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintln(stderr, "meshc: interrupted")
	default:
		fmt.Fprintf(stderr, "meshc: %v\n", err)
	}
	return exitFault
}

func newRootCmd() *cobra.Command {
	root := &cobra.Command{
		Use:   "meshc",
		Short: "A service mesh whose configuration is compiled",
		Long: `meshc compiles a service mesh. Teams write what their services are, whom they call and whom they let in, in CUE, in
Git. meshc checks the whole mesh at once and renders Kubernetes manifests, Envoy configuration and certificate
requests; meshc serve feeds the Envoys and proves that they took it.

It exits with 0 when all is good, 1 when it found something wrong with the mesh, 2 when it was used wrongly or has a
fault of its own, 3 when a limit of --untrusted was reached.`,
		Example: `  meshc init shop              # a small mesh to begin with
  meshc vet                    # check the mesh that this directory stands in
  meshc compile -o out         # and write everything it compiles to
  meshc up                     # run it on this machine, without Kubernetes`,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	var dir string
	root.PersistentFlags().StringVarP(&dir, "chdir", "C", "", "run as if started in this directory")
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		if dir == "" {
			return nil
		}
		named, err := filepath.Abs(dir)
		if err == nil {
			err = os.Chdir(named)
		}
		if err != nil {
			return usage(fmt.Errorf("--chdir: %w", err))
		}
		return os.Setenv("PWD", named) // as a shell's cd: links in the path stay in it
	}
	root.SetFlagErrorFunc(wrongFlag)
	root.AddCommand(
		newInitCmd(), newVetCmd(), newCompileCmd(), newServeCmd(), newUpCmd(), newStatusCmd(), newTopCmd(), newTapCmd(),
		newLeverCmd(),
		newEdgesCmd(), newDescribeCmd(), newConfigCmd(), newDoctorCmd(),
		newTryCmd(), newCurlCmd(),
		newLogsCmd(), newWhyCmd(), newReplayCmd(),
		newImportCmd(), newInjectCmd(), newApplyCmd(), newPushCmd(), newDiffCmd(), newVerifyCmd(), newGraphCmd(),
		newRedirectCmd(), newCertsCmd(), newEvaluateCmd(), newBundleCmd(), newCheckCmd(),
		newExplainCmd(), newVersionCmd(),
	)
	wrongArguments(root)
	return root
}
